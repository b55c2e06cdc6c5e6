import json
import multiprocessing
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers_study import make_study, stand_in, write_names, write_raw_names

from lesionclick.errors import CaseError
from lesionclick.files import write_json
from lesionclick.inference.settings import InferenceSettings, PostProcessing
from lesionclick_training.nnunet.settings import Optimizer, TrainingSettings
from lesionclick_training.nnunet.variants import Variant
from lesionclick_training.nnunet.workspace import Workspace
from lesionclick_training.study.row_study import FOLD_CASES, HELD_OUT_CASES, Row, RowStudy


def make_row(study: RowStudy, name: str = "row", **changes: Any) -> Row:
    row = Row(name, name, study.dataset, Variant.EDT2, study.size, study.training, study.inference)
    return replace(row, **changes)


def test_a_row_is_trained_once_a_seed_and_fold_and_validated_on_both_kinds_of_cases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = stand_in(monkeypatch)
    phantoms = write_raw_names(tmp_path / "phantoms", ["p", "q"])
    study = make_study(tmp_path, folds=(0, 1), seeds=(3, 4), steps=(0, 1), held_out=phantoms)
    look = InferenceSettings(post_processing=PostProcessing(1))
    rows = [make_row(study), make_row(study, "gate", networks="row", inference=look)]
    study.run(rows)
    assert [(place, job.fold, job.pretrained, settings.seed) for place, job, settings in calls.trained[::2]] == [
        (f"study/row/seed_{seed}", str(fold), study.start, seed) for seed in (3, 4) for fold in (0, 1)
    ]
    assert calls.trained[1][0] == "study/row/seed_3"  # the other row has the same networks
    assert calls.validated[:5] == [
        ("row/seed_3/cases_fold_0.csv", ("a",), study.inference),
        ("row/seed_3/held_out_fold_0.csv", ("p", "q"), study.inference),
        ("gate/seed_3/cases_fold_0.csv", ("a",), look),
        ("gate/seed_3/held_out_fold_0.csv", ("p", "q"), look),
        ("row/seed_3/cases_fold_1.csv", ("b",), study.inference),
    ]
    assert len(calls.validated) == 16
    assert [table.cases for table in study.read(["row"], FOLD_CASES)["row"]] == [("a",), ("b",), ("a",), ("b",)]
    assert study.read(["row", "other"], HELD_OUT_CASES)["row"][3].steps == (0, 1)
    assert study.networks == 4


def test_a_study_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = stand_in(monkeypatch)
    study = make_study(tmp_path, folds=(0, 1))
    rows = [make_row(study, "first"), make_row(study, "second")]

    def stop() -> None:
        if len(calls.trained) == 2:
            raise KeyboardInterrupt

    calls.before_training = stop
    with pytest.raises(KeyboardInterrupt):
        study.run(rows)
    assert {name: len(tables) for name, tables in study.read(["first", "second"]).items()} == {"first": 1, "second": 1}
    calls.before_training = lambda: None
    study.run(rows)
    study.run(rows)
    assert [file for file, _, _ in calls.validated] == [
        "first/seed_0/cases_fold_0.csv",
        "second/seed_0/cases_fold_0.csv",
        "first/seed_0/cases_fold_1.csv",
        "second/seed_0/cases_fold_1.csv",
    ]
    assert len(calls.trained) == 4
    replace(study, seeds=(0, 1)).run(rows)  # more seeds may come later
    assert len(calls.trained) == 8


def test_other_settings_than_those_there_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = stand_in(monkeypatch)
    study = make_study(tmp_path)
    study.run([make_row(study)])
    changes: list[tuple[dict[str, Any], str]] = [
        ({"training": TrainingSettings(4)}, r"study/settings\.json: .* LESIONCLICK_EPOCHS \"3\", not \"4\", expected"),
        ({"inference": InferenceSettings()}, 'made with field_of_view "full", not "body", expected the same'),
        ({"steps": (0, 1)}, r"made with steps \[0, 3, 7, 10\], not \[0, 1\], expected the same"),
        ({"held_out": write_raw_names(tmp_path / "phantoms", ["p"])}, r"made with held_out null, not \[\"p\"\]"),
        ({"stem": 1}, "made with stem 221, not 1, expected the same"),
    ]
    for changed, message in changes:
        with pytest.raises(CaseError, match=message):
            replace(study, **changed).run([make_row(study, "other")])
    with pytest.raises(
        CaseError, match=r'row/networks\.json: the rows there were made with variant "EDT2", not "EDT3"'
    ):
        study.run([make_row(study, variant=Variant.EDT3)])
    look = InferenceSettings(post_processing=PostProcessing(1))
    with pytest.raises(CaseError, match=r"row/validation\.json: the rows there were made with "):
        study.run([make_row(study, inference=look)])
    study.start.write_bytes(b"other weights")
    with pytest.raises(CaseError, match="made with start_sha256 "):
        study.run([make_row(study)])
    assert len(calls.trained) == 1


def test_no_network_is_validated_on_what_it_or_its_start_saw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = stand_in(monkeypatch)
    study = make_study(tmp_path)
    held_out = replace(study, held_out=write_raw_names(tmp_path / "phantoms", ["p", "c"]))
    with pytest.raises(
        CaseError, match=r"901_Names/splits_final\.json: trains on c, of the patient of c in .*phantoms"
    ):
        held_out.run([make_row(study)])
    write_names(study.workspace, 902, [{"train": ["a", "b", "c"], "val": ["x"]}] * 2)
    with pytest.raises(CaseError, match="fold 0 trains on the case a, which"):
        study.run([make_row(study, dataset=902)])
    (tmp_path / "phantoms/labelsTr/c.nii.gz").unlink()
    held_out = replace(held_out)
    for seen in ("a", "p"):
        (tmp_path / "training_cases.json").write_text(json.dumps({"training_cases": [seen, "other"]}))
        with pytest.raises(CaseError, match=f"the network was trained on 1 of the 2 cases .* {seen} for one"):
            held_out.run([make_row(study)])
    assert not calls.trained
    (tmp_path / "training_cases.json").write_text(json.dumps({"training_cases": ["other"]}))
    record = study.workspace.results / "row/seed_0/model/fold_0/training_cases.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"training_cases": ["a"]}))
    with pytest.raises(CaseError, match="the network was trained on 1 of the 1 cases that it is to be validated on"):
        held_out.run([make_row(study)])
    assert not calls.validated


def run_slowly(root: Path, done: Any) -> None:
    """Runs two rows in a process of its own, each training and validation a tenth of a second long."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        calls = stand_in(monkeypatch)
        calls.before_training = lambda: time.sleep(0.1)
        calls.before_validation = lambda: time.sleep(0.1)
        study = make_study_there(root)
        study.run([make_row(study, "first"), make_row(study, "second")])
        done.put(([place for place, _, _ in calls.trained], len(calls.validated)))


def begin(root: Path, epochs: int, done: Any) -> None:
    """Begins a study in a process of its own; tells whether it was refused."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        stand_in(monkeypatch)

        def write_slowly(*arguments: Any) -> None:
            time.sleep(0.2)  # the other process sees no file meanwhile
            write_json(*arguments)

        monkeypatch.setattr("lesionclick_training.study.same_settings.write_json", write_slowly)
        study = make_study(root, training=TrainingSettings(epochs))
        try:
            study.run([make_row(study, f"row-{epochs}")])
        except CaseError:
            done.put("refused")
        else:
            done.put("done")


def test_of_two_processes_with_other_settings_one_is_refused(tmp_path: Path) -> None:
    make_study(tmp_path)
    context = multiprocessing.get_context("fork")
    done = context.Queue()
    processes = [context.Process(target=begin, args=(tmp_path, epochs, done)) for epochs in (1, 2)]
    for process in processes:
        process.start()
    assert sorted(done.get(timeout=60) for _ in processes) == ["done", "refused"]
    for process in processes:
        process.join()


def make_study_there(root: Path) -> RowStudy:
    return make_study(root, seeds=(0, 1))


def test_two_processes_that_start_at_once_share_the_rows(tmp_path: Path) -> None:
    make_study_there(tmp_path)
    context = multiprocessing.get_context("fork")
    done = context.Queue()
    processes = [context.Process(target=run_slowly, args=(tmp_path, done)) for _ in range(2)]
    for process in processes:
        process.start()
    found = [done.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert all(process.exitcode == 0 for process in processes)
    assert sum(validated for _, validated in found) == 4  # no network is validated twice
    assert all(trained for trained, _ in found)
    study = make_study_there(tmp_path)
    assert {name: len(tables) for name, tables in study.read(["first", "second"]).items()} == {"first": 2, "second": 2}


def test_the_budget_is_said_in_a_sentence(tmp_path: Path) -> None:
    study = RowStudy(Workspace(tmp_path), 901, tmp_path / "start.pth")
    assert study.describe_budget("one network") == (
        "Each row: 1000 epochs of 250 steps from one network, SGD with an initial learning rate of 0.001, fold 0, seed "
        "0. It is not on record what that network was trained on."
    )
    (tmp_path / "training_cases.json").write_text('{"training_cases": ["a"]}')
    short = TrainingSettings(8, 50, 1, optimizer=Optimizer.AdamW, initial_lr=0.01, organ_weight=0.2)
    study = replace(study, folds=(0, 1), seeds=(0, 1, 2), training=short)
    assert study.describe_budget("one network").endswith(
        "AdamW with an initial learning rate of 0.01, LESIONCLICK_ORGAN_WEIGHT=0.2, folds 0, 1, seeds 0, 1, 2."
    )
