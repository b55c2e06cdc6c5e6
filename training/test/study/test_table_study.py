"""The paper's table, trained and validated row by row on tiny networks."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from helpers_study import make_study, stand_in, write_names
from helpers_training import DATASET, SHORT, make_job, make_trainer, make_workspace, tiny_environment
from nnunetv2.training.logging.nnunet_logger import LocalLogger

from lesionclick.inference.settings import FieldOfView, InferenceSettings
from lesionclick_training.nnunet.job import Device
from lesionclick_training.nnunet.network_sizes import NetworkSize
from lesionclick_training.nnunet.settings import TrainingSettings
from lesionclick_training.nnunet.trainer import LesionClickTrainer
from lesionclick_training.nnunet.training import train_network
from lesionclick_training.nnunet.variants import Variant
from lesionclick_training.nnunet.workspace import Workspace
from lesionclick_training.study.row_study import RowStudy
from lesionclick_training.study.table_study import run_table


@pytest.fixture(autouse=True)
def tiny() -> Iterator[None]:
    with tiny_environment():
        yield


def make_tiny_study(workspace: Workspace, start: Path, training: TrainingSettings) -> RowStudy:
    return RowStudy(workspace, DATASET, start, size=NetworkSize.small, device=Device.cpu, training=training)


@pytest.mark.slow
def test_the_table_goes_on_row_by_row(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    start = train_network(workspace, make_job(Variant.NoClicks, fold=0), SHORT) / "fold_0/checkpoint_final.pth"
    table = Workspace(tmp_path, results_name="table")
    study = make_tiny_study(table, start, TrainingSettings(1, 1, 1))
    first = run_table(study, DATASET, ["autoPET III model (no clicks)"])
    assert list(first) == ["autoPET III model (no clicks)"]
    (validation,) = first["autoPET III model (no clicks)"]
    assert (validation.cases, validation.steps) == (("case_3",), (0, 3, 7, 10))

    both = run_table(study, DATASET, ["autoPET III model (no clicks)", "EDT 2"])
    # with the same dataset as "more data" another row has the same figures
    assert list(both) == ["autoPET III model (no clicks)", "EDT 2", "EDT 2, more data"]
    networks = table.results.glob("*/seed_0/*/*/fold_0/checkpoint_final.pth")
    trained = sorted(path.parent.parent.name.split("__")[0] for path in networks)
    assert trained == ["LesionClickTrainer_EDT2", "LesionClickTrainer_NoClicks"]
    assert list(run_table(study, DATASET, [])) == list(both)


@pytest.mark.slow
def test_a_row_that_is_killed_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = make_workspace(tmp_path)
    start = tmp_path / "start.pth"
    network = make_trainer(workspace, Variant.NoClicks).network
    torch.save({"network_weights": network.state_dict()}, start)
    study = make_tiny_study(Workspace(tmp_path, results_name="table"), start, SHORT)
    epochs: list[int] = []
    stops = [KeyboardInterrupt()]

    begin = LesionClickTrainer.on_train_epoch_start

    def begin_or_stop(trainer: LesionClickTrainer) -> None:
        trainer.save_every = 1
        if trainer.current_epoch == 1 and stops:
            raise stops.pop()
        epochs.append(trainer.current_epoch)
        begin(trainer)

    monkeypatch.setattr(LesionClickTrainer, "on_train_epoch_start", begin_or_stop)
    monkeypatch.setattr(LocalLogger, "plot_progress_png", lambda *_: None)  # takes longer than an epoch
    with pytest.raises(KeyboardInterrupt):
        run_table(study, DATASET, ["EDT 2"])
    assert list(run_table(study, DATASET, ["EDT 2"])) == ["EDT 2", "EDT 2, more data"]
    assert epochs == [0, 1]


def test_rows_with_more_data_are_validated_on_the_same_cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = stand_in(monkeypatch)
    study = make_study(tmp_path, seeds=(0, 1))
    write_names(study.workspace, 902, [{"train": ["b", "c", "d"], "val": ["a"]}] * 2)
    found = run_table(study, 902, ["EDT 2, more data", "EDT 2"])
    assert {name: [table.cases for table in tables] for name, tables in found.items()} == {
        "EDT 2": [("a",), ("a",)],
        "EDT 2, more data": [("a",), ("a",)],
    }
    assert {(place, job.dataset) for place, job, _ in calls.trained} == {
        (f"study/EDT2_{dataset}/seed_{seed}", dataset) for dataset in (901, 902) for seed in (0, 1)
    }


def test_validation_is_at_the_full_field_of_view() -> None:
    assert RowStudy(Workspace(Path()), 901, Path("start.pth")).inference == InferenceSettings(FieldOfView.full)
