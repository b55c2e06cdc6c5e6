import json
import logging
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from helpers_case import make_lesions, write_dataset, write_labelled_case

from lesionclick.case.dataset import Dataset
from lesionclick.errors import CaseError, ModelError
from lesionclick.evaluation import figures
from lesionclick.evaluation.protocol import EvaluationProtocol
from lesionclick.evaluation.runner import evaluate_dataset
from lesionclick.evaluation.segmenters import NetworkSegmenter
from lesionclick.evaluation.table import Table
from lesionclick.inference.ensemble import Ensemble
from lesionclick.session.session import Session
from lesionclick.simulation.readers import CorrectiveReader
from lesionclick.testing import make_plans, write_model

NAMES = ("base_fdg_1", "base_fdg_2", "psma_3")
REPORT = ("cases.csv", "summary.json", "summary.md", "curve.png", "worst.png")
ZERO, ZERO_AND_ONE = EvaluationProtocol((0,)), EvaluationProtocol((0, 1))

Predict = Callable[..., Any]


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return write_dataset(tmp_path / "cases")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tiny", make_plans(spacing=(2.0, 1.0, 1.0)))


@pytest.fixture(scope="module")
def segmenter(model: Path) -> NetworkSegmenter:
    return NetworkSegmenter(Ensemble.load(model, "cpu", backend="torch"))


@pytest.fixture(autouse=True)
def figures_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """What figures are drawn from instead of figures, which take most of the time; test_report.py draws them."""

    def worst_in_words(cases: Sequence[figures.DrawnCase], path: Path) -> None:
        words = [f"{each.labelled_case.case.name} {each.mask_zyx.sum()} {each.clicks} {each.dice}" for each in cases]
        path.write_text("\n".join(words))

    monkeypatch.setattr(figures, "draw_curves", lambda table, path: path.write_text(str(table.curves("dice"))))
    monkeypatch.setattr(figures, "draw_worst", worst_in_words)


def report_of(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in REPORT}


def intercept(monkeypatch: pytest.MonkeyPatch, replacement: Callable[[Session, Predict], Any]) -> None:
    """Calls `replacement` with the session and a function that predicts, wherever a session is to predict."""
    predict = Session.predict

    def called(session: Session, *arguments: Any, **options: Any) -> Any:
        return replacement(session, lambda: predict(session, *arguments, **options))

    monkeypatch.setattr(Session, "predict", called)


@pytest.mark.parametrize("asked", [EvaluationProtocol((0, 2)), EvaluationProtocol((0, 1), CorrectiveReader())])
def test_interrupted_evaluation_goes_on_to_the_same_tables(
    asked: EvaluationProtocol,
    dataset: Dataset,
    segmenter: NetworkSegmenter,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    evaluate_dataset(segmenter, dataset, asked, tmp_path / "whole")
    calls = 0

    def stop(session: Session, predict: Predict) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4:  # in the second case
            raise KeyboardInterrupt
        return predict()

    intercept(monkeypatch, stop)
    with pytest.raises(KeyboardInterrupt):
        evaluate_dataset(segmenter, dataset, asked, out)
    assert len(list((out / "scores").iterdir())) == 1
    assert not (out / "summary.json").exists()

    calls = -100
    evaluate_dataset(segmenter, dataset, asked, out)
    assert calls == -96  # two cases of two steps; the first is not computed again
    assert report_of(out) == report_of(tmp_path / "whole")


def test_complete_evaluation_is_only_reported_again(
    dataset: Dataset, segmenter: NetworkSegmenter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    evaluate_dataset(segmenter, dataset, ZERO, tmp_path / "out")
    before = report_of(tmp_path / "out")
    for name in before:
        (tmp_path / "out" / name).unlink()
    intercept(monkeypatch, lambda session, predict: pytest.fail("predicts again"))
    evaluate_dataset(segmenter, dataset, ZERO, tmp_path / "out")
    assert report_of(tmp_path / "out") == before


def test_failing_case_does_not_stop_the_others_and_is_tried_again(
    dataset: Dataset, segmenter: NetworkSegmenter, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    evaluate_dataset(segmenter, dataset, ZERO_AND_ONE, tmp_path / "whole")
    truth = dataset.folder / "base_fdg_1" / "truth.mha"
    content = truth.read_bytes()
    truth.unlink()
    reason = f"{truth}: the truth is missing, expected a lesion mask"
    assert evaluate_dataset(segmenter, dataset, ZERO_AND_ONE, out) == {"base_fdg_1": reason}
    assert f"base_fdg_1 is left out: {reason}" in caplog.messages
    assert f"## Not evaluated: 1 cases\n\n- base_fdg_1: {reason}\n" in (out / "summary.md").read_text()
    assert json.loads((out / "summary.json").read_text())["failed"] == {"base_fdg_1": reason}
    assert Table.read(out / "cases.csv").cases == NAMES[1:]
    truth.write_bytes(content)
    assert evaluate_dataset(segmenter, dataset, ZERO_AND_ONE, out) == {}
    assert report_of(out) == report_of(tmp_path / "whole")


def test_unexpected_error_in_a_case_does_not_stop_the_others(
    dataset: Dataset,
    segmenter: NetworkSegmenter,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def fail(session: Session, predict: Predict) -> Any:
        if session.case.name == "base_fdg_2":
            raise ZeroDivisionError("in the\nmiddle")
        return predict()

    intercept(monkeypatch, fail)
    assert evaluate_dataset(segmenter, dataset, ZERO, tmp_path / "out") == {
        "base_fdg_2": "ZeroDivisionError: in the middle"
    }
    assert Table.read(tmp_path / "out" / "cases.csv").cases == (NAMES[0], NAMES[2])
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info is not None  # with its traceback


def test_nothing_but_failing_cases_is_an_error(
    dataset: Dataset, segmenter: NetworkSegmenter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(session: Session, predict: Predict) -> Any:
        raise ModelError("fold_0: its network gives values that are not finite")

    intercept(monkeypatch, fail)
    with pytest.raises(
        CaseError, match=r"none of its cases can be evaluated \(3\); of base_fdg_1: fold_0: its network gives"
    ):
        evaluate_dataset(segmenter, dataset, ZERO, tmp_path / "out")


def test_an_evaluation_leaves_out_what_another_one_completes_meanwhile(
    dataset: Dataset, segmenter: NetworkSegmenter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = ZERO_AND_ONE
    evaluate_dataset(segmenter, dataset, asked, tmp_path / "whole")
    out = tmp_path / "out"
    calls: list[str] = []

    def run_another(session: Session, predict: Predict) -> Any:
        calls.append(session.case.name)
        if len(calls) == 3:  # in the middle of the second case
            evaluate_dataset(segmenter, dataset, asked, out)
            assert report_of(out) == report_of(tmp_path / "whole")
        return predict()

    intercept(monkeypatch, run_another)
    assert evaluate_dataset(segmenter, dataset, asked, out) == {}
    assert report_of(out) == report_of(tmp_path / "whole")
    # Two predictions of each case, and two more of the one that both were working on.
    assert sorted(calls) == sorted([*NAMES, *NAMES, calls[2], calls[2]])


@pytest.mark.slow
def test_two_processes_in_one_folder_make_the_tables_of_one(
    dataset: Dataset, model: Path, segmenter: NetworkSegmenter, tmp_path: Path
) -> None:
    for index in (4, 5):
        write_labelled_case(dataset.folder / f"fdg_{index}", make_lesions(), seed=index)
    evaluate_dataset(segmenter, Dataset.find(dataset.folder), ZERO_AND_ONE, tmp_path / "alone")
    command = [sys.executable, "-c", "from lesionclick.cli.main import main; main()", "evaluate", dataset.folder]
    command += ["--model", model, "--out", tmp_path / "shared", "--click-counts", "0-1"]
    command += ["--device", "cpu", "--backend", "torch"]
    processes = [subprocess.Popen([*map(str, command)], cwd=ROOT, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    for name in REPORT[:3]:
        assert (tmp_path / "shared" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
