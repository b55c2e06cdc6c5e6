"""Study of rows: networks that are trained with one budget from one start, and validated on the same cases.

Each row is trained and validated once a seed and fold, and goes on where it stopped. No network is validated on a case
that it, or the network it started from, was trained on. Several processes may work in one folder of results, on the
same rows or on different ones: each takes what no other is at work on.

<results>/settings.json                                       what all rows have in common
<results>/<row>/networks.json, validation.json                what the row has of its own
<results>/<row>/seed_<n>/Dataset.../<trainer>/fold_<n>        its networks, where it does not share another row's
<results>/<row>/seed_<n>/<cases>_fold_<n>.csv                 their scores
"""

import dataclasses
import itertools
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from lesionclick.case.dataset import Dataset
from lesionclick.errors import CaseError
from lesionclick.evaluation.results import SETTINGS_FILE
from lesionclick.evaluation.table import Table
from lesionclick.inference.ensemble import Ensemble
from lesionclick.inference.settings import FieldOfView, InferenceSettings
from lesionclick.model.checksums import sha256_of
from lesionclick.model.files import fold_folder
from lesionclick_training.data.splits import SPLITS_FILE, patient_of
from lesionclick_training.nnunet.job import AUTOPET_STEM, Device, TrainingJob
from lesionclick_training.nnunet.network_sizes import NetworkSize
from lesionclick_training.nnunet.settings import TrainingSettings, variable_of
from lesionclick_training.nnunet.training import train_network
from lesionclick_training.nnunet.training_cases import read_current_splits, read_training_cases
from lesionclick_training.nnunet.variants import Variant
from lesionclick_training.nnunet.workspace import Workspace
from lesionclick_training.study.larger_dataset import require_larger
from lesionclick_training.study.locks import locked
from lesionclick_training.study.same_settings import require_same_settings
from lesionclick_training.study.seen_cases import require_new
from lesionclick_training.study.validation import STEPS, find_fold, validate

logger = logging.getLogger("lesionclick")

FOLD_CASES, HELD_OUT_CASES = "cases", "held_out"
"""Kinds of cases that networks are validated on: those of their fold, and those that no network is trained on."""


@dataclass(frozen=True)
class Row:
    """Networks that are trained and validated alike, one a seed and fold.

    Attributes:
        name: of the row's folder.
        networks: name of the row whose networks they are: this one's own, or those of another that trains alike.
        dataset: number of the dataset that they are trained on.
        variant: how clicks are drawn and shown.
        size: of the networks.
        training: how they are trained; the seed is the study's.
        inference: how they look at a case in validation.
    """

    name: str
    networks: str
    dataset: int
    variant: Variant
    size: NetworkSize
    training: TrainingSettings
    inference: InferenceSettings


@dataclass(frozen=True)
class RowStudy:
    """What all rows have in common.

    Attributes:
        workspace: holds the preprocessed datasets; networks and validations go to its folder of results.
        dataset: number of the dataset whose folds the rows are validated on.
        start: checkpoint that every row starts from.
        stem: number of the dataset whose stem is taken, where that checkpoint has one a dataset.
        size: of the networks.
        folds: numbers of the folds of the cross-validation.
        seeds: of the trainings.
        device: where to train and to validate.
        training: how networks are trained, but for what rows change; its seed has no meaning.
        inference: how networks look at a case in validation; as the published method, at the full field of view.
        steps: numbers of clicks a label to validate at.
        held_out: folder of further cases to validate on, which no network is trained on.
    """

    workspace: Workspace
    dataset: int
    start: Path
    stem: int = AUTOPET_STEM
    size: NetworkSize = NetworkSize.published
    folds: tuple[int, ...] = (0,)
    seeds: tuple[int, ...] = (0,)
    device: Device = Device.cuda
    training: TrainingSettings = field(default_factory=TrainingSettings)
    inference: InferenceSettings = field(default_factory=lambda: InferenceSettings(FieldOfView.full))
    steps: tuple[int, ...] = STEPS
    held_out: Path | None = None

    @property
    def networks(self) -> int:
        """How many networks a row has."""
        return len(self.folds) * len(self.seeds)

    @cached_property
    def cases(self) -> Mapping[str, Dataset]:
        """The dataset of each kind of cases that networks are validated on.

        Raises:
            CaseError: a dataset is missing.
        """
        found = {FOLD_CASES: Dataset.find(self.workspace.find_raw(self.dataset))}
        return found if self.held_out is None else {**found, HELD_OUT_CASES: Dataset.find(self.held_out)}

    def run(self, rows: Sequence[Row]) -> None:
        """Trains and validates rows, in the order of seeds and folds, so that all rows soon have some network.

        What is there is not made again, and a training that was killed goes on. What another process is at work on
        comes last, and is then waited for.

        Raises:
            CaseError: the splits of a dataset are missing or stale, or a row would be trained on what it is validated
                on, or with other settings than the rows that are there; no row is trained then.
            CaseError, ModelError: see `train_network` and `validate`.
        """
        if not rows:
            return
        self._require_new_cases(rows)
        self._require_same_settings(rows)
        tasks = [(row, seed, fold) for seed, fold, row in itertools.product(self.seeds, self.folds, rows)]
        busy = [task for task in tasks if not self._complete(*task, wait=False)]
        for row, seed, fold in busy:
            logger.info("%s, seed %d, fold %d: waits for the process that is at work on it", row.name, seed, fold)
            self._complete(row, seed, fold, wait=True)

    def read(self, names: Iterable[str], cases: str = FOLD_CASES) -> dict[str, list[Table]]:
        """The validations, one a seed and fold, of those of the named rows that have some.

        Args:
            names: of rows.
            cases: which kind of cases.
        """
        found = {}
        for name in names:
            paths = [self._scores(name, cases, seed, fold) for seed in self.seeds for fold in self.folds]
            tables = [Table.read(path) for path in paths if path.exists()]
            if tables:
                found[name] = tables
        return found

    def describe_budget(self, start: str) -> str:
        """What each row is given, in a sentence or two; `start` names the network that all start from."""
        training = self.training
        told = {variable_of(name) for name in ("epochs", "iterations", "val_iterations", "optimizer", "initial_lr")}
        parts = [
            f"{training.epochs} epochs of {training.iterations} steps from {start}",
            f"{training.optimizer} with an initial learning rate of {training.initial_lr}",
            *(f"{name}={value}" for name, value in _describe(training).items() if name not in told),
            _numbers("fold", self.folds),
            _numbers("seed", self.seeds),
        ]
        known = read_training_cases(self.start.parent) is not None
        return f"Each row: {', '.join(parts)}." + (
            "" if known else " It is not on record what that network was trained on."
        )

    def _require_new_cases(self, rows: Sequence[Row]) -> None:
        """Raises CaseError where rows would be trained on cases that they are validated on."""
        splits = read_current_splits(self.workspace, self.dataset, self.size)
        held_out = self.cases[HELD_OUT_CASES].names if self.held_out else ()
        patients = {patient_of(name): name for name in held_out}
        for dataset, size in {(row.dataset, row.size): None for row in rows}:
            trained = read_current_splits(self.workspace, dataset, size)
            folder = self.workspace.find_preprocessed(dataset)
            require_larger(splits, trained, self.folds, self.workspace.find_preprocessed(self.dataset), folder)
            for name in sorted({name for fold in self.folds for name in trained[fold]["train"]}):
                if patient_of(name) in patients:
                    raise CaseError(
                        f"{folder / SPLITS_FILE}: trains on {name}, of the patient of {patients[patient_of(name)]} in "
                        f"{self.held_out}, expected held-out cases of other patients"
                    )
        for fold in self.folds:
            require_new(self.start.parent, [*splits[fold]["val"], *held_out])

    def _require_same_settings(self, rows: Sequence[Row]) -> None:
        """Writes what all rows have in common and what each has of its own, or compares it with what is there.

        Folds and seeds are none of it, since more of them may come later, nor is the device.
        """
        results = self.workspace.results
        splits = read_current_splits(self.workspace, self.dataset, self.size)
        common = {
            "dataset": self.dataset,
            "validation_cases": [fold["val"] for fold in splits],
            "held_out": self.cases[HELD_OUT_CASES].names if self.held_out else None,
            "size": self.size,
            "start_sha256": sha256_of(self.start),  # not its name, which nearly all checkpoints share
            "stem": self.stem,
            "steps": self.steps,
            **_describe(self.training),
            **dataclasses.asdict(self.inference),
        }
        with self._locked("settings", wait=True):  # or two processes that start at once would both write them
            require_same_settings(common, results / SETTINGS_FILE)
            for row in rows:
                own = {"dataset": row.dataset, "variant": row.variant, "size": row.size, **_describe(row.training)}
                require_same_settings(own, results / row.networks / "networks.json")
                looks = {"networks": row.networks, **dataclasses.asdict(row.inference)}
                require_same_settings(looks, results / row.name / "validation.json")

    def _complete(self, row: Row, seed: int, fold: int, *, wait: bool) -> bool:
        """Does what is left to do of one network; False, and nothing, where another process is at work on it."""
        if not self._missing(row, seed, fold):
            return True
        with self._locked(f"train_{row.networks}_{seed}_{fold}", wait) as mine:
            if not mine:
                return False
            name = f"{self.workspace.results_name}/{row.networks}/seed_{seed}"
            workspace = dataclasses.replace(self.workspace, results_name=name)
            job = TrainingJob(row.dataset, str(fold), row.variant, row.size, self.device, self.start, self.stem)
            model = train_network(workspace, job, dataclasses.replace(row.training, seed=seed), resume=True)
        with self._locked(f"validate_{row.name}_{seed}_{fold}", wait) as mine:
            if not mine:
                return False
            for cases in self._missing(row, seed, fold):
                self._validate(model, row, cases, fold, self._scores(row.name, cases, seed, fold))
        return True

    def _missing(self, row: Row, seed: int, fold: int) -> list[str]:
        """The kinds of cases that a network is not validated on yet."""
        return [cases for cases in self.cases if not self._scores(row.name, cases, seed, fold).exists()]

    def _validate(self, model: Path, row: Row, cases: str, fold: int, scores: Path) -> None:
        """Writes scores of a fold's network on one kind of cases."""
        dataset = self.cases[cases]
        names = find_fold(dataset, fold) if cases == FOLD_CASES else dataset.names
        require_new(model / fold_folder(fold), names)
        ensemble = Ensemble.load(model, self.device, folds=[str(fold)])
        validate(ensemble, dataset, names, inference=row.inference, steps=self.steps, out=scores)

    def _scores(self, name: str, cases: str, seed: int, fold: int) -> Path:
        return self.workspace.results / name / f"seed_{seed}" / f"{cases}_fold_{fold}.csv"

    def _locked(self, name: str, wait: bool) -> AbstractContextManager[bool]:
        return locked(self.workspace.results / "locks" / name, wait=wait)


def _describe(training: TrainingSettings) -> dict[str, str]:
    """The settings of a training other than the default, but for its seed, by the names of their variables.

    So a study goes on though settings were added to the program meanwhile.
    """
    usual = {**TrainingSettings().to_environment(), variable_of("seed"): str(training.seed)}
    return {name: value for name, value in training.to_environment().items() if usual.get(name) != value}


def _numbers(word: str, numbers: Sequence[int]) -> str:
    return f"{word}{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
