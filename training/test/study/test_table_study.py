"""The paper's table, trained and validated row by row on tiny networks."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers_training import (
    CASES,
    DATASET,
    SHORT,
    make_job,
    make_trainer,
    make_workspace,
    tiny_environment,
    write_tiny_dataset,
)
from nnunetv2.training.logging.nnunet_logger import LocalLogger

from lesionclick.errors import CaseError
from lesionclick.inference.settings import FieldOfView, InferenceSettings
from lesionclick_training.data.splits import write_splits
from lesionclick_training.nnunet.job import Device
from lesionclick_training.nnunet.network_sizes import NetworkSize
from lesionclick_training.nnunet.settings import Optimizer, TrainingSettings
from lesionclick_training.nnunet.trainer import LesionClickTrainer
from lesionclick_training.nnunet.training import train_network
from lesionclick_training.nnunet.variants import Variant
from lesionclick_training.nnunet.workspace import Workspace
from lesionclick_training.study.table_study import TableStudy


@pytest.fixture(autouse=True)
def tiny() -> Iterator[None]:
    with tiny_environment():
        yield


@pytest.mark.slow
def test_the_table_goes_on_row_by_row(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    start = train_network(workspace, make_job(Variant.NoClicks, fold=0), SHORT) / "fold_0/checkpoint_final.pth"
    table = Workspace(tmp_path, results_name="table")
    shortest = TrainingSettings(1, 1, 1)
    study = TableStudy(table, DATASET, DATASET, start, size=NetworkSize.small, device=Device.cpu, training=shortest)
    first = study.run(["autoPET III model (no clicks)"])
    assert list(first) == ["autoPET III model (no clicks)"]
    (validation,) = first["autoPET III model (no clicks)"]
    assert (validation.cases, validation.steps) == (("case_3",), (0, 3, 7, 10))

    both = study.run(["autoPET III model (no clicks)", "EDT 2"])
    # with the same dataset as "more data" another row has the same figures
    assert list(both) == ["autoPET III model (no clicks)", "EDT 2", "EDT 2, more data"]
    networks = table.results.glob("*/*/fold_0/checkpoint_final.pth")
    trained = sorted(path.parent.parent.name.split("__")[0] for path in networks)
    assert trained == ["LesionClickTrainer_EDT2", "LesionClickTrainer_NoClicks"]
    assert list(study.run([])) == list(both)


@pytest.mark.slow
def test_a_row_that_is_killed_goes_on_and_keeps_its_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = make_workspace(tmp_path)
    start = tmp_path / "start.pth"
    network = make_trainer(workspace, Variant.NoClicks).network
    torch.save({"network_weights": network.state_dict()}, start)
    study = replace(make_study(replace(workspace, results_name="table"), start=start), training=SHORT)
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
        study.run(["EDT 2"])
    changes: list[tuple[dict[str, Any], str]] = [
        ({"training": replace(SHORT, epochs=3)}, 'made with LESIONCLICK_EPOCHS "2", not "3", expected the same'),
        ({"training": replace(SHORT, seed=1)}, 'made with LESIONCLICK_SEED null, not "1", expected the same'),
        ({"inference": InferenceSettings()}, 'made with field_of_view "full", not "body", expected the same'),
        ({"stem": 1}, "made with stem 221, not 1, expected the same"),
    ]
    for changed, message in changes:
        with pytest.raises(CaseError, match=message):
            replace(study, **changed).run(["EDT 2"])
    assert list(study.run(["EDT 2"])) == ["EDT 2", "EDT 2, more data"]
    assert epochs == [0, 1]

    torch.save({"network_weights": {}}, start)
    with pytest.raises(CaseError, match=r"table/settings\.json: the rows there were made with start_sha256 "):
        study.run(["EDT 3"])


def make_study(workspace: Workspace, more_data: int = DATASET, start: Path = Path("start.pth")) -> TableStudy:
    return TableStudy(workspace, DATASET, more_data, start, size=NetworkSize.small, device=Device.cpu)


def write_larger_dataset(workspace: Workspace) -> None:
    """A dataset 902 with the cases of the tiny one and another, all but that on the training side of its fold."""
    for source in (workspace.find_raw(DATASET), workspace.find_preprocessed(DATASET)):
        larger = source.parent / "Dataset902_Larger"
        shutil.copytree(source, larger)
        write_splits(larger, [{"train": CASES, "val": ["other"]}])
    write_tiny_dataset(workspace.find_raw(902), ["other"], 7)
    (larger / "TinyPlans_3d_fullres" / "other.pkl").touch()


@pytest.mark.slow
def test_no_row_is_trained_on_what_it_is_validated_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = make_workspace(tmp_path)
    monkeypatch.setattr("lesionclick_training.study.table_study.train_network", lambda *_: pytest.fail("trained"))
    write_larger_dataset(workspace)
    with pytest.raises(CaseError, match=r"902_Larger/splits_final\.json: fold 0 trains on the case case_3, which"):
        make_study(workspace, 902).run(["EDT 2", "EDT 2, more data"])

    (tmp_path / "training_cases.json").write_text(json.dumps({"training_cases": CASES}))
    with pytest.raises(CaseError, match="the network was trained on 1 of the 1 cases that it is to be validated on"):
        make_study(workspace, start=tmp_path / "start.pth").run(["EDT 2"])

    write_splits(workspace.find_raw(DATASET), [{"train": CASES[1:], "val": CASES[:1]}])
    with pytest.raises(CaseError, match="holds other splits than"):
        make_study(workspace).run(["EDT 2"])


def test_validation_is_at_the_full_field_of_view() -> None:
    assert TableStudy(Workspace(Path()), 901, 902, Path("start.pth")).inference == InferenceSettings(FieldOfView.full)


def test_the_budget_is_said_in_a_sentence() -> None:
    study = TableStudy(Workspace(Path()), 901, 902, Path("start.pth"))
    assert study.describe_budget() == (
        "Each row: 1000 epochs of 250 steps from the same network without clicks, SGD with an initial learning rate of "
        "0.001, fold 0."
    )
    short = TrainingSettings(8, 50, optimizer=Optimizer.AdamW, initial_lr=0.01)
    study = TableStudy(Workspace(Path()), 901, 902, Path("start.pth"), folds=(0, 1), training=short)
    assert study.describe_budget().endswith("AdamW with an initial learning rate of 0.01, folds 0, 1.")
