import csv
import itertools
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, body, image_from

from lesionclick.case.case import Case
from lesionclick.case.clicks import Click
from lesionclick.case.dataset import Dataset
from lesionclick.case.geometry import Geometry
from lesionclick.case.images import read_mask
from lesionclick.errors import CaseError, ModelError
from lesionclick.evaluation import figures
from lesionclick.evaluation.protocol import EvaluationProtocol
from lesionclick.evaluation.runner import evaluate_case, evaluate_dataset
from lesionclick.inference.ensemble import Ensemble
from lesionclick.session.session import Session
from lesionclick.simulation.interaction import Scribble
from lesionclick.simulation.readers import CorrectiveReader, Reader, ScribbleReader, first_clicks
from lesionclick.testing import make_plans, write_model

SHAPE = (14, 15, 16)  # a single tile
SPACING = (1.0, 1.0, 2.0)
CLICKS = (*[Click(5, 5, 4, "tumor")] * 3, Click(0, 0, 0, "background"))
NAMES = ("base_fdg_1", "base_fdg_2", "psma_3")
REPORT = ("cases.csv", "summary.json", "summary.md", "curve.png", "worst.png")

Predict = Callable[..., Any]


def lesions() -> np.ndarray:
    lesion = np.zeros(SHAPE, dtype=np.uint8)
    lesion[3:7, 4:8, 5:9] = lesion[12, 12, 12] = 1
    return lesion


def write_case(folder: Path, lesion: np.ndarray, seed: int = 0) -> Path:
    ct, pet = body(SHAPE, seed)
    Case("uuid", ct, pet, Geometry.of(image_from(ct, SPACING)), CLICKS).write(folder, lesion_zyx=lesion)
    return folder


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Two cases of FDG, one without official clicks, and one of PSMA without lesions."""
    folder = tmp_path / "cases"
    write_case(folder / "base_fdg_1", lesions(), 0)
    (write_case(folder / "base_fdg_2", lesions()[::-1], 1) / "lesion-clicks.json").unlink()
    write_case(folder / "psma_3", np.zeros(SHAPE, np.uint8), 2)
    return Dataset.find(folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tiny", make_plans(spacing=(2.0, 1.0, 1.0)))


@pytest.fixture(scope="module")
def ensemble(model: Path) -> Ensemble:
    return Ensemble.load(model, "cpu", backend="torch")


@pytest.fixture(autouse=True)
def figures_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """What figures are drawn from instead of figures, which take most of the time; test_report.py draws them."""

    def worst_in_words(cases: Sequence[figures.DrawnCase], path: Path) -> None:
        words = [f"{each.labelled_case.case.name} {each.mask_zyx.sum()} {each.clicks} {each.dice}" for each in cases]
        path.write_text("\n".join(words))

    monkeypatch.setattr(figures, "draw_curves", lambda table, path: path.write_text(str(table.curves("dice"))))
    monkeypatch.setattr(figures, "draw_worst", worst_in_words)


def protocol(*steps: int, reader: Reader | None = None) -> EvaluationProtocol:
    return EvaluationProtocol(steps) if reader is None else EvaluationProtocol(steps, reader)


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "cases.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def report_of(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in REPORT}


def intercept(monkeypatch: pytest.MonkeyPatch, replacement: Callable[[Session, Predict], Any]) -> None:
    """Calls `replacement` with the session and a function that predicts, wherever a session is to predict."""
    predict = Session.predict

    def called(session: Session, *arguments: Any, **options: Any) -> Any:
        return replacement(session, lambda: predict(session, *arguments, **options))

    monkeypatch.setattr(Session, "predict", called)


# ---- one case


def test_a_mask_is_predicted_once_while_no_click_is_new(
    dataset: Dataset, ensemble: Ensemble, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    intercept(monkeypatch, lambda session, predict: calls.append(session) or predict())  # type: ignore[func-returns-value]
    labelled_case = dataset.read("base_fdg_1")
    results = list(evaluate_case(ensemble, labelled_case, protocol(0, 3, 7, 10)))
    assert [result.clicks for result in results] == [(), *[CLICKS] * 3]
    assert len(calls) == 2
    assert results[1].mask_zyx is results[3].mask_zyx


def test_all_clicks_so_far_are_given_again(dataset: Dataset, ensemble: Ensemble) -> None:
    labelled_case = dataset.read("base_fdg_1")
    asked = protocol(0, 1, 2, reader=ScribbleReader(Scribble.random_walk))
    results = list(evaluate_case(ensemble, labelled_case, asked))
    for before, after in itertools.pairwise(results):
        assert after.clicks[: len(before.clicks)] == before.clicks
        np.testing.assert_array_equal(after.mask_zyx, Session(ensemble, labelled_case.case).predict(after.clicks).mask)
    again = list(evaluate_case(ensemble, labelled_case, asked))
    assert [result.score for result in again] == [result.score for result in results]


def test_model_without_clicks_gets_none(dataset: Dataset, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "m", make_plans(spacing=(2.0, 1.0, 1.0)), channels=2)
    blind = Ensemble.load(folder, "cpu", backend="torch")
    results = list(evaluate_case(blind, dataset.read("psma_3"), protocol(0, 3)))
    assert [result.score.tumor_points for result in results] == [0, 0]
    assert results[0].mask_zyx is results[1].mask_zyx


# ---- a dataset


def test_scores_are_those_of_the_stored_masks(dataset: Dataset, ensemble: Ensemble, tmp_path: Path) -> None:
    assert evaluate_dataset(ensemble, dataset, protocol(0, 1, 3), tmp_path / "out", keep_masks=True) == {}
    rows = rows_of(tmp_path / "out")
    assert [(row["case"], row["clicks"]) for row in rows] == [(case, step) for case in NAMES for step in "013"]
    assert [(row["tracer"], row["source"]) for row in rows[::3]] == [
        ("fdg", "official"),
        ("fdg", "simulated"),
        ("psma", "official"),
    ]
    assert [(row["tumor_points"], row["background_points"]) for row in rows[3:6]] == [
        ("0", "0"),
        ("1", "1"),
        ("3", "3"),
    ]
    for row in rows:
        labelled_case = dataset.read(row["case"])
        case, truth = labelled_case.case, labelled_case.lesion_zyx
        mask = read_mask(tmp_path / "out" / "masks" / case.name / f"clicks-0{row['clicks']}.mha", case.geometry)
        if row["source"] == "official":
            chosen = first_clicks(case.clicks, int(row["clicks"]))
            np.testing.assert_array_equal(mask, Session(ensemble, case).predict(chosen).mask)
        overlap = 2 * np.logical_and(mask, truth).sum() / (mask.sum() + truth.sum())
        assert case.name == "psma_3" or float(row["dice"]) == pytest.approx(overlap, abs=1e-6)
    assert {row["dice"] for row in rows[6:]} == {"nan"}


def test_last_masks_alone_are_stored_if_no_more_are_asked_for(
    dataset: Dataset, ensemble: Ensemble, tmp_path: Path
) -> None:
    evaluate_dataset(ensemble, dataset, protocol(0, 1), tmp_path / "out")
    stored = sorted(path.relative_to(tmp_path / "out") for path in (tmp_path / "out" / "masks").glob("*/*"))
    assert stored == [Path(f"masks/{name}/clicks-01.{ending}") for name in NAMES for ending in ("json", "mha")]


@pytest.mark.parametrize("reader", [CorrectiveReader(), ScribbleReader(Scribble.random_walk)])
def test_corrections_add_up(reader: Reader, dataset: Dataset, ensemble: Ensemble, tmp_path: Path) -> None:
    evaluate_dataset(ensemble, dataset, protocol(0, 1, 2, reader=reader), tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    assert [row["round"] for row in rows] == ["0", "1", "2"] * 3
    assert {row["source"] for row in rows} == {reader.interaction}
    points = [int(row["tumor_points"]) + int(row["background_points"]) for row in rows]
    for first, second, third in zip(points[::3], points[1::3], points[2::3], strict=True):
        assert first == 0
        assert first < second <= third
        assert second == 1 or isinstance(reader, ScribbleReader)


def test_other_settings_are_refused(dataset: Dataset, ensemble: Ensemble, tmp_path: Path) -> None:
    out = tmp_path / "out"
    evaluate_dataset(ensemble, dataset, protocol(0), out)
    before = report_of(out)
    changed = write_model(tmp_path / "tiny", make_plans(spacing=(2.0, 1.0, 1.0)), seed=1)

    def refusal(asked: EvaluationProtocol, with_model: Ensemble = ensemble, **options: Any) -> str:
        with pytest.raises(CaseError) as raised:
            evaluate_dataset(with_model, Dataset.find(dataset.folder), asked, out, **options)
        return str(raised.value)

    text = "settings.json: the evaluation there was begun with another '{}', expected the same settings or another"
    assert text.format("steps") in refusal(protocol(0, 1))
    assert text.format("keep_masks") in refusal(protocol(0), keep_masks=True)
    assert text.format("interaction") in refusal(protocol(0, reader=CorrectiveReader()))
    assert text.format("seed") in refusal(EvaluationProtocol((0,), seed=1))
    assert text.format("model_sha256") in refusal(protocol(0), Ensemble.load(changed, "cpu", backend="torch"))
    write_case(dataset.folder / "new", lesions())
    assert text.format("cases") in refusal(protocol(0))
    assert report_of(out) == before


# ---- interruption, failure, and several processes


@pytest.mark.parametrize("asked", [protocol(0, 2), protocol(0, 1, reader=ScribbleReader())])
def test_interrupted_evaluation_goes_on_to_the_same_tables(
    asked: EvaluationProtocol,
    dataset: Dataset,
    ensemble: Ensemble,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    evaluate_dataset(ensemble, dataset, asked, tmp_path / "whole")
    calls = 0

    def stop(session: Session, predict: Predict) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4:  # in the second case
            raise KeyboardInterrupt
        return predict()

    intercept(monkeypatch, stop)
    with pytest.raises(KeyboardInterrupt):
        evaluate_dataset(ensemble, dataset, asked, out)
    assert len(list((out / "scores").iterdir())) == 1
    assert not (out / "summary.json").exists()

    calls = -100
    evaluate_dataset(ensemble, dataset, asked, out)
    assert calls == -96  # two cases of two steps; the first is not computed again
    assert report_of(out) == report_of(tmp_path / "whole")


def test_complete_evaluation_is_only_reported_again(
    dataset: Dataset, ensemble: Ensemble, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    evaluate_dataset(ensemble, dataset, protocol(0), tmp_path / "out")
    before = report_of(tmp_path / "out")
    for name in before:
        (tmp_path / "out" / name).unlink()
    intercept(monkeypatch, lambda session, predict: pytest.fail("predicts again"))
    evaluate_dataset(ensemble, dataset, protocol(0), tmp_path / "out")
    assert report_of(tmp_path / "out") == before


def test_failing_case_does_not_stop_the_others_and_is_tried_again(
    dataset: Dataset, ensemble: Ensemble, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    evaluate_dataset(ensemble, dataset, protocol(0, 1), tmp_path / "whole")
    truth = dataset.folder / "base_fdg_1" / "truth.mha"
    content = truth.read_bytes()
    truth.unlink()
    reason = f"{truth}: the truth is missing, expected a lesion mask"
    assert evaluate_dataset(ensemble, dataset, protocol(0, 1), out) == {"base_fdg_1": reason}
    assert f"base_fdg_1 is left out: {reason}" in caplog.messages
    assert f"## Not evaluated: 1 cases\n\n- base_fdg_1: {reason}\n" in (out / "summary.md").read_text()
    assert json.loads((out / "summary.json").read_text())["failed"] == {"base_fdg_1": reason}
    assert len(rows_of(out)) == 4
    truth.write_bytes(content)
    assert evaluate_dataset(ensemble, dataset, protocol(0, 1), out) == {}
    assert report_of(out) == report_of(tmp_path / "whole")


def test_unexpected_error_in_a_case_does_not_stop_the_others(
    dataset: Dataset,
    ensemble: Ensemble,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def fail(session: Session, predict: Predict) -> Any:
        if session.case.name == "base_fdg_2":
            raise ZeroDivisionError("in the\nmiddle")
        return predict()

    intercept(monkeypatch, fail)
    assert evaluate_dataset(ensemble, dataset, protocol(0), tmp_path / "out") == {
        "base_fdg_2": "ZeroDivisionError: in the middle"
    }
    assert [row["case"] for row in rows_of(tmp_path / "out")] == ["base_fdg_1", "psma_3"]
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info is not None  # with its traceback


def test_nothing_but_failing_cases_is_an_error(
    dataset: Dataset, ensemble: Ensemble, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(session: Session, predict: Predict) -> Any:
        raise ModelError("fold_0: its network gives values that are not finite")

    intercept(monkeypatch, fail)
    with pytest.raises(
        CaseError, match=r"none of its cases can be evaluated \(3\); of base_fdg_1: fold_0: its network gives"
    ):
        evaluate_dataset(ensemble, dataset, protocol(0), tmp_path / "out")


def test_an_evaluation_leaves_out_what_another_one_completes_meanwhile(
    dataset: Dataset, ensemble: Ensemble, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = protocol(0, 1)
    evaluate_dataset(ensemble, dataset, asked, tmp_path / "whole")
    out = tmp_path / "out"
    calls: list[str] = []

    def run_another(session: Session, predict: Predict) -> Any:
        calls.append(session.case.name)
        if len(calls) == 3:  # in the middle of the second case
            evaluate_dataset(ensemble, dataset, asked, out)
            assert report_of(out) == report_of(tmp_path / "whole")
        return predict()

    intercept(monkeypatch, run_another)
    assert evaluate_dataset(ensemble, dataset, asked, out) == {}
    assert report_of(out) == report_of(tmp_path / "whole")
    # Two predictions of each case, and two more of the one that both were working on.
    assert sorted(calls) == sorted([*NAMES, *NAMES, calls[2], calls[2]])


@pytest.mark.slow
def test_two_processes_in_one_folder_make_the_tables_of_one(
    dataset: Dataset, model: Path, ensemble: Ensemble, tmp_path: Path
) -> None:
    for index in (4, 5):
        write_case(dataset.folder / f"fdg_{index}", lesions(), seed=index)
    evaluate_dataset(ensemble, Dataset.find(dataset.folder), protocol(0, 1), tmp_path / "alone")
    command = [sys.executable, "-c", "from lesionclick.cli.main import main; main()", "evaluate", dataset.folder]
    command += ["--model", model, "--out", tmp_path / "shared", "--click-counts", "0-1"]
    command += ["--device", "cpu", "--backend", "torch"]
    processes = [subprocess.Popen([*map(str, command)], cwd=ROOT, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    for name in REPORT[:3]:
        assert (tmp_path / "shared" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
