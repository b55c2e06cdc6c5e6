"""Study for the paper's table: trains and validates its rows with one budget, and goes on where it stopped.

Each row starts from the same network without clicks, as the paper's start from the same pretrained one.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from lesionclick.case.dataset import Dataset
from lesionclick.evaluation.table import Table
from lesionclick.inference.ensemble import Ensemble
from lesionclick.inference.settings import DEFAULT_SETTINGS, InferenceSettings
from lesionclick.model.files import CHECKPOINT_FILE, fold_folder
from lesionclick_training.data.splits import SPLITS_FILE
from lesionclick_training.nnunet.job import AUTOPET_STEM, Device, TrainingJob
from lesionclick_training.nnunet.network_sizes import NetworkSize
from lesionclick_training.nnunet.settings import TrainingSettings
from lesionclick_training.nnunet.training import train_network
from lesionclick_training.nnunet.workspace import Workspace
from lesionclick_training.study.paper_rows import PAPER_ROWS, PaperRow
from lesionclick_training.study.validation import read_fold, validate


@dataclass(frozen=True)
class TableStudy:
    """What every row of the table is given.

    Attributes:
        workspace: holds the preprocessed datasets; networks and validations go to its folder of results.
        dataset: number of the dataset that the rows are trained and validated on.
        more_data: number of a dataset with the same folds and more cases on their training side.
        start: checkpoint without clicks that every row starts from.
        stem: number of the dataset whose stem is taken, where that checkpoint has one a dataset.
        size: of the networks.
        folds: numbers of the folds of the cross-validation.
        device: where to train and to validate.
        training: how networks are trained.
        inference: how networks look at a case in validation.
    """

    workspace: Workspace
    dataset: int
    more_data: int
    start: Path
    stem: int = AUTOPET_STEM
    size: NetworkSize = NetworkSize.published
    folds: tuple[int, ...] = (0,)
    device: Device = Device.cuda
    training: TrainingSettings = field(default_factory=TrainingSettings)
    inference: InferenceSettings = DEFAULT_SETTINGS

    def run(self, names: Collection[str]) -> dict[str, list[Table]]:
        """Trains and validates rows of the table.

        What is there of an earlier run is not made again.

        Args:
            names: the rows to train now, by their names in the table.

        Returns:
            The validations, one a fold, of every row that has some, rows of earlier runs included.

        Raises:
            CaseError, ModelError: see `train_network` and `validate`.
        """
        found: dict[str, list[Table]] = {}
        for row in PAPER_ROWS:
            tables = []
            for fold in self.folds:
                scores = self.workspace.results / f"{row.variant}_{self._training_dataset(row)}_fold_{fold}.csv"
                if not scores.exists() and row.name in names:
                    self._validate(self._train(row, fold), fold).write(scores)
                if scores.exists():
                    tables.append(Table.read(scores))
            if tables:
                found[row.name] = tables
        return found

    def describe_budget(self) -> str:
        """What each row is given, in a sentence."""
        training = self.training
        folds = f"fold{'s' if len(self.folds) > 1 else ''} {', '.join(map(str, self.folds))}"
        return (
            f"Each row: {training.epochs} epochs of {training.iterations} steps from the same network without clicks, "
            f"{training.optimizer} with an initial learning rate of {training.initial_lr}, {folds}."
        )

    def _training_dataset(self, row: PaperRow) -> int:
        return self.more_data if row.more_data else self.dataset

    def _train(self, row: PaperRow, fold: int) -> Path:
        """The model folder of a row, with the network of a fold, which is trained unless it is there."""
        number = self._training_dataset(row)
        model = self.workspace.model_folder(row.variant, self.workspace.find_plans(number, self.size))
        if (model / fold_folder(fold) / CHECKPOINT_FILE).exists():
            return model
        job = TrainingJob(number, str(fold), row.variant, self.size, self.device, self.start, self.stem)
        return train_network(self.workspace, job, self.training)

    def _validate(self, model: Path, fold: int) -> Table:
        """Scores of a fold's network on the cases that the dataset without more data keeps for that fold."""
        cases = Dataset.find(self.workspace.find_raw(self.dataset))
        splits = self.workspace.find_preprocessed(self.dataset) / SPLITS_FILE
        ensemble = Ensemble.load(model, self.device, folds=[str(fold)])
        return validate(ensemble, cases, read_fold(splits, cases.names, fold), inference=self.inference)
