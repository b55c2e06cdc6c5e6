"""Studies of rows without training: datasets that hold names alone, and stand-ins for training and validation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lesionclick.case.dataset import Dataset
from lesionclick.evaluation.table import CaseScore, Table
from lesionclick.files import write_json
from lesionclick.inference.settings import InferenceSettings
from lesionclick_training.data.splits import write_splits
from lesionclick_training.nnunet.job import Device, TrainingJob
from lesionclick_training.nnunet.network_sizes import CONFIGURATION, PLANS, NetworkSize, PETNormalization
from lesionclick_training.nnunet.plans import make_plans
from lesionclick_training.nnunet.settings import TrainingSettings
from lesionclick_training.nnunet.workspace import Workspace
from lesionclick_training.study import row_study
from lesionclick_training.study.row_study import RowStudy

SPLITS = [{"train": ["b", "c"], "val": ["a"]}, {"train": ["a", "c"], "val": ["b"]}]


def make_table(
    dice: Mapping[str, Sequence[float]], steps: Sequence[int], fp: Sequence[float] | None = None, fn: float = 0.0
) -> Table:
    """Scores of cases by name: Dice and false positive ml at each step, false negative ml alike at all."""
    rows = [
        CaseScore(case, "fdg", step, "simulated", step, step, values[index], fp[index] if fp else 0, fn, 1, 0, 0, 1.0)
        for case, values in dice.items()
        for index, step in enumerate(steps)
    ]
    return Table("clicks", tuple(rows))


def write_names(
    workspace: Workspace,
    number: int,
    splits: Sequence[Mapping[str, Sequence[str]]] = SPLITS,
    normalization: PETNormalization = PETNormalization.published,
    size: NetworkSize = NetworkSize.small,
) -> None:
    """Writes a dataset, raw and preprocessed, whose cases are empty files."""
    name = f"Dataset{number}_Names"
    cases = {case for fold in splits for side in fold.values() for case in side}
    write_raw_names(workspace.raw / name, cases)
    numbers = {"mean": 1.0, "std": 1.0, "percentile_00_5": 0.0, "percentile_99_5": 2.0}
    fingerprint = {
        "foreground_intensity_properties_per_channel": {"0": numbers, "1": numbers},
        "spacings": [[5.0, 5.0, 5.0]],
        "shapes_after_crop": [[20, 20, 20]],
    }
    plan, folder = PLANS[size], workspace.preprocessed / name
    write_json(make_plans(name, fingerprint, plan, normalization), folder / f"{plan.plans_name}.json")
    (folder / f"{plan.plans_name}_{CONFIGURATION}").mkdir(exist_ok=True)
    for case in cases:
        (folder / f"{plan.plans_name}_{CONFIGURATION}" / f"{case}.pkl").touch()
    for place in (workspace.raw / name, folder):
        write_splits(place, splits)


def write_raw_names(folder: Path, cases: Sequence[str] | set[str]) -> Path:
    """Writes a raw dataset whose cases are empty files, without splits."""
    (folder / "labelsTr").mkdir(parents=True, exist_ok=True)
    for case in cases:
        (folder / "labelsTr" / f"{case}.nii.gz").touch()
    return folder


def make_study(root: Path, **changes: Any) -> RowStudy:
    """A study on such a dataset 901, whose networks start from a file of a few bytes."""
    workspace = Workspace(root, results_name="study")
    if not workspace.raw.exists():
        write_names(workspace, 901)
    (root / "start.pth").write_bytes(b"weights")
    settings: dict[str, Any] = {"size": NetworkSize.small, "device": Device.cpu, "training": TrainingSettings(3)}
    return RowStudy(workspace, 901, root / "start.pth", **{**settings, **changes})


@dataclass
class StandIns:
    """What was asked of the stand-ins.

    Attributes:
        trained: folder of results below the root, job and settings of each training.
        validated: name of the scores' folder and file, cases, and inference of each validation.
        before_training: is called first in each training.
        before_validation: is called first in each validation.
    """

    trained: list[tuple[str, TrainingJob, TrainingSettings]] = field(default_factory=list)
    validated: list[tuple[str, tuple[str, ...], InferenceSettings]] = field(default_factory=list)
    before_training: Callable[[], None] = lambda: None
    before_validation: Callable[[], None] = lambda: None

    def train(self, workspace: Workspace, job: TrainingJob, settings: TrainingSettings, *, resume: bool) -> Path:
        """Stands in for `train_network`."""
        assert resume
        self.before_training()
        self.trained.append((workspace.results_name, job, settings))
        return workspace.results / "model"

    def validate(
        self,
        ensemble: object,
        dataset: Dataset,
        names: Sequence[str],
        *,
        inference: InferenceSettings,
        steps: Sequence[int],
        out: Path,
    ) -> None:
        """Stands in for `validate`."""
        self.before_validation()
        file = str(out.relative_to(out.parents[2]))
        self.validated.append((file, tuple(names), inference))
        make_table({name: [0.5] * len(steps) for name in names}, steps).write(out)


def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandIns:
    """Puts stand-ins in the place of training and validation."""
    calls = StandIns()
    monkeypatch.setattr(row_study, "train_network", calls.train)
    monkeypatch.setattr(row_study, "validate", calls.validate)
    monkeypatch.setattr(row_study, "Ensemble", SimpleNamespace(load=lambda *_, **__: None))
    return calls
