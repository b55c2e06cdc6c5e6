"""A cohort in one process: what it leaves, what it does not do twice, and what it survives."""

import errno
import json
import logging
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_cohort import files_of, recipe_of, rows_of, write_cases

import lesionclick
from lesionclick.case.case import Case
from lesionclick.case.images import read_mask
from lesionclick.checks.plausibility import run_checks
from lesionclick.cohort import worker
from lesionclick.cohort.manifest import Recipe
from lesionclick.cohort.out_folder import locked
from lesionclick.cohort.runner import CohortResult, run_cohort
from lesionclick.errors import CaseError
from lesionclick.inference.ensemble import Ensemble
from lesionclick.report import lesion_files
from lesionclick.report.measurements import measure_lesions
from lesionclick.session.session import Session
from lesionclick.testing import make_plans, write_model

Start = Callable[..., CohortResult]


@pytest.fixture(scope="module")
def recipe(model_folder: Path) -> Recipe:
    return recipe_of(model_folder)


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    return write_cases(tmp_path / "cases", 3)


@pytest.fixture
def start(cases: Path, tmp_path: Path, model_folder: Path, recipe: Recipe) -> Start:
    """Runs the cohort, where nothing else is said with these cases into tmp_path/out."""

    def run(
        inputs: Path = cases, out: Path = tmp_path / "out", model: Path = model_folder, recipe: Recipe = recipe
    ) -> CohortResult:
        return run_cohort(inputs, out, model, lambda: recipe)

    return run


@pytest.fixture
def predicted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the cases that are computed, as they are."""
    names: list[str] = []
    predict = Session.predict

    def record(session: Session, *arguments: Any, **options: Any) -> Any:
        names.append(session.case.name)
        return predict(session, *arguments, **options)

    monkeypatch.setattr(Session, "predict", record)
    return names


def manifest_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return content


def test_results_are_those_of_a_session(
    start: Start, cases: Path, tmp_path: Path, model_folder: Path, recipe: Recipe
) -> None:
    assert start() == CohortResult(3, 3, {})
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir() if not path.name.startswith(".")) == [
        *("case-00", "case-01", "case-02", "cases.csv", "failed.csv", "lesions.csv")
    ]
    assert [row["case"] for row in rows_of(out / "cases.csv")] == ["case-00", "case-01", "case-02"]
    assert rows_of(out / "failed.csv") == []
    ensemble = Ensemble.load(model_folder, "cpu", backend="torch")
    case = Case.read(cases / "case-01")
    mask = read_mask(out / "case-01" / "lesions.nii.gz", case.geometry)
    np.testing.assert_array_equal(mask, Session(ensemble, case, recipe.settings).predict().mask)
    of_case = [row for row in rows_of(out / "lesions.csv") if row.pop("case") == "case-01"]
    assert of_case == rows_of(out / "case-01" / "lesions.csv")
    manifest = manifest_of(out / "case-01")
    assert manifest["made_of"]["model_sha256"] == recipe.model_sha256
    assert manifest["made_of"]["version"] == lesionclick.__version__
    assert manifest["made_of"]["settings"]["networks"] == "all"
    assert manifest["record"]["seconds"] >= 0


def test_nothing_is_done_twice(
    start: Start, cases: Path, tmp_path: Path, predicted: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "lesionclick")
    start()
    before = files_of(tmp_path / "out")
    predicted.clear()
    assert start() == CohortResult(3, 0, {})
    assert "3 cases, 3 of them are done already" in caplog.messages
    assert predicted == []
    shutil.copytree(cases, tmp_path / "moved")  # the same bytes under other paths
    assert start(inputs=tmp_path / "moved") == CohortResult(3, 0, {})
    assert "case-02 was done already, from the same bytes" in caplog.messages
    assert predicted == []
    assert files_of(tmp_path / "out") == before


def test_what_has_changed_is_done_again(
    start: Start, cases: Path, tmp_path: Path, predicted: list[str], recipe: Recipe
) -> None:
    start()
    predicted.clear()
    case = Case.read(cases / "case-01")
    Case(case.name, case.ct_zyx, case.pet_zyx + 1, case.geometry).write(cases / "case-01")
    (tmp_path / "out" / "case-02" / "lesions.csv").unlink()
    assert start() == CohortResult(3, 2, {})
    assert predicted == ["case-01", "case-02"]
    other = write_model(tmp_path / "other", make_plans(), seed=1)
    assert start(model=other, recipe=recipe_of(other)).done == 3


def test_a_stopped_cohort_goes_on(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, predicted: list[str]
) -> None:
    start(out=tmp_path / "whole")

    def stop(*arguments: Any) -> Any:
        if len(predicted) == 5:  # in the second case of the second cohort
            raise KeyboardInterrupt
        return measure_lesions(*arguments)

    monkeypatch.setattr(worker, "measure_lesions", stop)
    with pytest.raises(KeyboardInterrupt):
        start()
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == [".cohort-lock", "case-00", "failed.csv"]
    predicted.clear()
    assert start() == CohortResult(3, 2, {})
    assert predicted == ["case-01", "case-02"]
    assert files_of(out) == files_of(tmp_path / "whole")


def test_a_case_that_fails_hurts_no_other_and_is_tried_again(
    start: Start, cases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(out=tmp_path / "whole")
    pet = next((cases / "case-01" / "images" / "pet").iterdir())
    content = pet.read_bytes()
    pet.write_bytes(content[:1000])

    def fail(case: Case, *arguments: Any, **options: Any) -> Any:
        if case.name == "case-02":
            raise ZeroDivisionError("in the\nmiddle")
        return run_checks(case, *arguments, **options)

    monkeypatch.setattr(worker, "run_checks", fail)
    result = start()
    assert (result.cases, result.done, list(result.failures)) == (3, 1, ["case-01", "case-02"])
    failed = rows_of(tmp_path / "out" / "failed.csv")
    assert [row["case"] for row in failed] == ["case-01", "case-02"]
    assert str(pet) in failed[0]["reason"]
    assert failed[1]["reason"] == "ZeroDivisionError: in the middle"
    assert [row["case"] for row in rows_of(tmp_path / "out" / "cases.csv")] == ["case-00"]
    monkeypatch.undo()
    pet.write_bytes(content)
    assert start() == CohortResult(3, 2, {})
    assert files_of(tmp_path / "out") == files_of(tmp_path / "whole")


def test_nothing_but_failures_is_an_error(start: Start, tmp_path: Path) -> None:
    (tmp_path / "none" / "a").mkdir(parents=True)
    with pytest.raises(CaseError, match=r"failed\.csv: every case failed \(1\); a: .*holds neither DICOM nor"):
        start(inputs=tmp_path / "none")


def test_a_full_disk_stops_all(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, predicted: list[str]
) -> None:
    write_csv = lesion_files.write_csv

    def fill(table: Any, path: Path) -> None:
        if len(predicted) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_csv(table, path)

    monkeypatch.setattr(lesion_files, "write_csv", fill)
    with pytest.raises(CaseError, match=r"stopped at case-01: .*case-01: cannot be written: No space left on device$"):
        start()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".cohort-lock", "case-00", "failed.csv"]
    monkeypatch.undo()
    assert start().done == 2


def test_two_cohorts_do_not_share_a_folder(start: Start, tmp_path: Path) -> None:
    with (
        locked(tmp_path / "out"),
        pytest.raises(CaseError, match=rf"another cohort is at work in it \(process {os.getpid()} on"),
    ):
        start()
    start()


def test_what_is_no_result_is_not_replaced(start: Start, tmp_path: Path) -> None:
    (tmp_path / "out" / "case-01").mkdir(parents=True)
    (tmp_path / "out" / "case-01" / "thesis.txt").touch()
    with pytest.raises(CaseError, match="case-01: holds something else than a case of a cohort"):
        start()
    assert not (tmp_path / "out" / "case-00").exists()


def test_places_of_input_and_output_are_apart(start: Start, cases: Path) -> None:
    with pytest.raises(CaseError, match="is no place for the results"):
        start(out=cases / "out")
    assert not (cases / "out").exists()


def test_a_worker_of_another_folder_or_model_is_refused(
    start: Start, tmp_path: Path, model_folder: Path, recipe: Recipe
) -> None:
    other = write_model(tmp_path / "other", make_plans(), seed=1)
    with pytest.raises(lesionclick.errors.ModelError, match="is another model than where the cohort was started"):
        start(model=other)
    with locked(tmp_path / "out") as token:
        make = partial(worker.CohortTask, out=tmp_path / "out", model=model_folder, recipe=recipe)
        worker.CaseWorker(make(token=token)).prepare()
        with pytest.raises(CaseError, match="is not the folder that the cohort was started in"):
            worker.CaseWorker(make(token="another")).prepare()
