"""Which cases a job is trained on, and what is recorded of it; datasets whose splits changed after preprocessing."""

import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from helpers_training import (
    CASES,
    DATASET,
    SHORT,
    TINY,
    make_job,
    make_workspace,
    quick_preprocessing,
    tiny_environment,
    write_tiny_dataset,
)

from lesionclick.case.dataset import case_names
from lesionclick.errors import CaseError, ModelError
from lesionclick_training.data.splits import patient_of, read_splits, write_splits
from lesionclick_training.nnunet.network_sizes import NetworkSize
from lesionclick_training.nnunet.preprocessing import preprocess
from lesionclick_training.nnunet.training import train_network
from lesionclick_training.nnunet.training_cases import (
    find_training_cases,
    read_current_splits,
    read_training_cases,
    record_training_cases,
)
from lesionclick_training.nnunet.variants import Variant
from lesionclick_training.nnunet.workspace import Workspace


@pytest.fixture(autouse=True)
def tiny() -> Iterator[None]:
    with tiny_environment():
        yield


@pytest.fixture(scope="module")
def preprocessed(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return make_workspace(tmp_path_factory.mktemp("root"))


@pytest.fixture
def workspace(preprocessed: Workspace, tmp_path: Path) -> Workspace:
    """A copy of its own, to be changed."""
    shutil.copytree(preprocessed.root, tmp_path / "root")
    return Workspace(tmp_path / "root")


def raw_splits(workspace: Workspace) -> Path:
    return workspace.find_raw(DATASET) / "splits_final.json"


def splits_of(workspace: Workspace) -> list[dict[str, list[str]]]:
    return read_current_splits(workspace, DATASET, NetworkSize.small)


# ---- what a job is trained on


def test_a_job_is_trained_on_one_side_of_its_fold_or_on_all(preprocessed: Workspace) -> None:
    assert find_training_cases(preprocessed, make_job(Variant.EDT2, 1)) == list(CASES[:3])
    assert find_training_cases(preprocessed, make_job(Variant.EDT2, "all")) == list(CASES)
    with pytest.raises(CaseError, match=r"splits_final\.json: has no fold 2, it has 2"):  # nnU-Net would make one up
        find_training_cases(preprocessed, make_job(Variant.EDT2, 2))


def test_splits_that_changed_after_preprocessing_are_refused(workspace: Workspace) -> None:
    write_splits(raw_splits(workspace).parent, [{"train": CASES[1:], "val": CASES[:1]}])
    sentence = r"preprocessed/.*/splits_final\.json: holds other splits than .*raw/.*, expected the same: run"
    with pytest.raises(CaseError, match=sentence):
        train_network(workspace, make_job(Variant.EDT2), SHORT)
    shutil.copy(raw_splits(workspace), workspace.find_preprocessed(DATASET))
    assert find_training_cases(workspace, make_job(Variant.EDT2)) == list(CASES[1:])


def test_cases_that_came_after_preprocessing_are_missed(workspace: Workspace) -> None:
    write_tiny_dataset(raw_splits(workspace).parent, ["new"], 7)
    with pytest.raises(CaseError, match="has a case new that is not preprocessed"):
        find_training_cases(workspace, make_job(Variant.EDT2, "all"))
    splits = [{"train": [*CASES[:3], "new"], "val": CASES[3:]}]
    for folder in (workspace.find_raw(DATASET), workspace.find_preprocessed(DATASET)):
        write_splits(folder, splits)
    with pytest.raises(CaseError, match="has a case new that is not preprocessed"):
        splits_of(workspace)


def test_a_raw_dataset_may_lie_elsewhere_while_networks_are_trained(workspace: Workspace) -> None:
    shutil.rmtree(workspace.raw)
    assert len(splits_of(workspace)) == 2
    assert find_training_cases(workspace, make_job(Variant.EDT2, "all")) == list(CASES)


def test_a_fold_needs_splits(workspace: Workspace) -> None:
    raw_splits(workspace).unlink()  # as nnU-Net leaves it where it made the splits itself
    with pytest.raises(CaseError, match=r"raw/.*splits_final\.json: the file is missing, expected what"):
        train_network(workspace, make_job(Variant.EDT2), SHORT)


# ---- the record


def test_a_training_leaves_a_record_of_its_cases(workspace: Workspace) -> None:
    model = train_network(workspace, make_job(Variant.NoClicks), replace(SHORT, epochs=1, iterations=1))
    assert read_training_cases(model / "fold_0") == set(CASES[:3])
    assert read_training_cases(model / "fold_1") is None
    start = model / "fold_0" / "checkpoint_final.pth"

    # a network that starts from it has seen these cases too, and so has one that goes on
    later = [{"train": CASES[3:], "val": CASES[:1]}]
    for folder in (workspace.find_raw(DATASET), workspace.find_preprocessed(DATASET)):
        write_splits(folder, later)
    record_training_cases(workspace, make_job(Variant.EDT2, pretrained=start))
    other = model.parent / model.name.replace("NoClicks", "EDT2") / "fold_0"
    assert read_training_cases(other) == set(CASES)
    record_training_cases(workspace, make_job(Variant.EDT2))
    assert read_training_cases(other) == {CASES[3]}
    record_training_cases(workspace, make_job(Variant.NoClicks), resume=True)
    assert read_training_cases(model / "fold_0") == set(CASES)


def test_a_damaged_record_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "training_cases.json").write_text('{"training_cases": "all"}')
    with pytest.raises(ModelError, match=r"training_cases\.json: expected a list of case names"):
        read_training_cases(tmp_path)


# ---- preprocessing


@pytest.mark.slow
def test_preprocessing_splits_by_patient_where_nobody_has(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    workspace = Workspace(tmp_path)
    dataset = workspace.raw / f"Dataset{DATASET}_Tiny"
    names = [f"fdg_{patient}_{study}" for patient in "abcde" for study in (1, 2)]
    write_tiny_dataset(dataset, names[:2], 1)
    with quick_preprocessing(), caplog.at_level(logging.INFO, logger="lesionclick"):
        preprocess(workspace, DATASET, NetworkSize.small, processes=1)
        assert "has 1 patients, too few for the splits of 5 folds" in caplog.text
        assert not (dataset / "splits_final.json").exists()
        assert find_training_cases(workspace, make_job(Variant.EDT2, "all")) == names[:2]

        write_tiny_dataset(dataset, names[2:], 3)
        preprocessed = workspace.find_preprocessed(DATASET)
        by_case = [{"train": names[::2], "val": names[1::2]}]
        write_splits(preprocessed, by_case)  # as nnU-Net makes them
        preprocess(workspace, DATASET, NetworkSize.small, processes=1)
    splits = read_splits(dataset / "splits_final.json", case_names(dataset))
    assert json.loads((preprocessed / "splits_final.json").read_text()) == splits
    assert "held other splits than" in caplog.text
    assert len(splits) == 5
    for fold in splits:
        assert not {patient_of(name) for name in fold["train"]} & {patient_of(name) for name in fold["val"]}
    assert TINY.plans_name in str(workspace.find_plans(DATASET, NetworkSize.small))
