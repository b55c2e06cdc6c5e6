"""Study for the paper's table: trains and validates its rows with one budget, and goes on where it stopped.

Each row starts from the same network without clicks, as the paper's start from the same pretrained one. No network is
validated on a case that it, or the network it started from, was trained on. All rows in a folder of results have the
same settings, which settings.json there names.
"""

import dataclasses
import json
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lesionclick.case.dataset import Dataset
from lesionclick.errors import CaseError
from lesionclick.evaluation.results import SETTINGS_FILE
from lesionclick.evaluation.table import Table
from lesionclick.files import read_json_object, short_json, write_json
from lesionclick.inference.ensemble import Ensemble
from lesionclick.inference.settings import FieldOfView, InferenceSettings
from lesionclick.model.checksums import sha256_of
from lesionclick.model.files import fold_folder
from lesionclick_training.nnunet.job import AUTOPET_STEM, Device, TrainingJob
from lesionclick_training.nnunet.network_sizes import NetworkSize
from lesionclick_training.nnunet.settings import TrainingSettings
from lesionclick_training.nnunet.training import train_network
from lesionclick_training.nnunet.training_cases import read_current_splits
from lesionclick_training.nnunet.workspace import Workspace
from lesionclick_training.study.larger_dataset import require_larger
from lesionclick_training.study.paper_rows import PAPER_ROWS, PaperRow
from lesionclick_training.study.seen_cases import require_new
from lesionclick_training.study.validation import find_fold, validate

logger = logging.getLogger("lesionclick")


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
        inference: how networks look at a case in validation; as the published method, at the full field of view.
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
    inference: InferenceSettings = field(default_factory=lambda: InferenceSettings(FieldOfView.full))

    def run(self, names: Collection[str]) -> dict[str, list[Table]]:
        """Trains and validates rows of the table.

        What is there of an earlier run is not made again, and a training that was killed goes on.

        Args:
            names: the rows to train now, by their names in the table.

        Returns:
            The validations, one a fold, of every row that has some, rows of earlier runs included.

        Raises:
            CaseError: the splits of a dataset are missing or stale, or a row would be trained on what it is validated
                on, or with other settings than the rows that are there; no row is trained then.
            CaseError, ModelError: see `train_network` and `validate`.
        """
        self._require_new_cases([row for row in PAPER_ROWS if row.name in names])
        if names:
            self._require_same_settings()
        found: dict[str, list[Table]] = {}
        for row in PAPER_ROWS:
            tables = []
            for fold in self.folds:
                scores = self.workspace.results / f"{row.variant}_{self._training_dataset(row)}_fold_{fold}.csv"
                if not scores.exists() and row.name in names:
                    self._validate(self._train(row, fold), fold, scores)
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

    def _require_new_cases(self, rows: Sequence[PaperRow]) -> None:
        """Raises CaseError where rows would be trained on cases that they are validated on."""
        if not rows:
            return
        smaller = read_current_splits(self.workspace, self.dataset, self.size)
        larger = self.more_data if any(row.more_data for row in rows) else self.dataset
        require_larger(
            smaller,
            read_current_splits(self.workspace, larger, self.size),
            self.folds,
            self.workspace.find_preprocessed(self.dataset),
            self.workspace.find_preprocessed(larger),
        )
        for fold in self.folds:
            require_new(self.start.parent, smaller[fold]["val"])

    def _require_same_settings(self) -> None:
        """Writes what all rows have in common, or raises CaseError where the rows that are there have something else.

        Folds are none of it, since more of them may come later, nor is the device.
        """
        asked: dict[str, Any] = {
            "dataset": self.dataset,
            "size": self.size,
            "start_sha256": sha256_of(self.start),  # not its name, which nearly all checkpoints share
            "stem": self.stem,
            **self.training.to_environment(),
            **dataclasses.asdict(self.inference),
        }
        settings = json.loads(json.dumps(asked))  # as they come back from the file
        path = self.workspace.results / SETTINGS_FILE
        if not path.exists():
            if any(self.workspace.results.glob("*.csv")):
                logger.warning("%s: is written now, it is not known whether earlier rows had these settings", path)
            write_json(settings, path)
        stored = read_json_object(path, CaseError)
        for name in [*settings, *(name for name in stored if name not in settings)]:
            there, now = stored.get(name), settings.get(name)
            if there != now:
                raise CaseError(
                    f"{path}: the rows there were made with {name} {short_json(there)}, not {short_json(now)}, "
                    "expected the same settings or another folder"
                )

    def _training_dataset(self, row: PaperRow) -> int:
        return self.more_data if row.more_data else self.dataset

    def _train(self, row: PaperRow, fold: int) -> Path:
        """The model folder of a row, with the network of a fold, which is trained as far as that is left to do."""
        number = self._training_dataset(row)
        job = TrainingJob(number, str(fold), row.variant, self.size, self.device, self.start, self.stem)
        return train_network(self.workspace, job, self.training, resume=True)

    def _validate(self, model: Path, fold: int, scores: Path) -> None:
        """Writes scores of a fold's network on the cases that the dataset without more data keeps for that fold."""
        cases = Dataset.find(self.workspace.find_raw(self.dataset))
        names = find_fold(cases, fold)
        require_new(model / fold_folder(fold), names)
        ensemble = Ensemble.load(model, self.device, folds=[str(fold)])
        validate(ensemble, cases, names, inference=self.inference, out=scores)
