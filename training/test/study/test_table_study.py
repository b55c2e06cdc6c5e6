"""The paper's table, trained and validated row by row on tiny networks."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers_training import DATASET, SHORT, make_job, make_workspace, tiny_environment

from lesionclick_training.nnunet.job import Device
from lesionclick_training.nnunet.network_sizes import NetworkSize
from lesionclick_training.nnunet.settings import Optimizer, TrainingSettings
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
    start = train_network(workspace, make_job(Variant.NoClicks, fold="all"), SHORT) / "fold_all/checkpoint_final.pth"
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


def test_the_budget_is_said_in_a_sentence() -> None:
    study = TableStudy(Workspace(Path()), 901, 902, Path("start.pth"))
    assert study.describe_budget() == (
        "Each row: 1000 epochs of 250 steps from the same network without clicks, SGD with an initial learning rate of "
        "0.001, fold 0."
    )
    short = TrainingSettings(8, 50, optimizer=Optimizer.AdamW, initial_lr=0.01)
    study = TableStudy(Workspace(Path()), 901, 902, Path("start.pth"), folds=(0, 1), training=short)
    assert study.describe_budget().endswith("AdamW with an initial learning rate of 0.01, folds 0, 1.")
