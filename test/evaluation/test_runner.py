import csv
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_case import CLICKS, make_lesions, write_dataset, write_labelled_case

from lesionclick.case.clicks import Click, write_clicks
from lesionclick.case.dataset import Dataset
from lesionclick.case.images import read_mask
from lesionclick.errors import CaseError
from lesionclick.evaluation import figures
from lesionclick.evaluation.baseline_names import Baseline
from lesionclick.evaluation.baselines import segment
from lesionclick.evaluation.protocol import EvaluationProtocol
from lesionclick.evaluation.runner import evaluate_case, evaluate_dataset
from lesionclick.evaluation.segmenters import BaselineSegmenter, NetworkSegmenter
from lesionclick.inference.ensemble import Ensemble
from lesionclick.session.prediction import Prediction
from lesionclick.session.session import Session
from lesionclick.simulation.readers import AutopetvReader, CorrectiveReader, Reader, ReplayReader, first_clicks
from lesionclick.simulation.replay import PointsFolder
from lesionclick.testing import make_plans, write_model

NAMES = ("base_fdg_1", "base_fdg_2", "psma_3")


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return write_dataset(tmp_path / "cases")


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> NetworkSegmenter:
    model = write_model(tmp_path_factory.mktemp("models") / "tiny", make_plans(spacing=(2.0, 1.0, 1.0)))
    return NetworkSegmenter(Ensemble.load(model, "cpu", backend="torch"))


@pytest.fixture(autouse=True)
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures take most of the time; test_report.py draws them."""
    for name in ("draw_curves", "draw_worst"):
        monkeypatch.setattr(figures, name, lambda *_: None)


def protocol(*steps: int, reader: Reader | None = None) -> EvaluationProtocol:
    return EvaluationProtocol(steps) if reader is None else EvaluationProtocol(steps, reader)


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "cases.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def points_of(row: dict[str, str]) -> int:
    return int(row["tumor_points"]) + int(row["background_points"])


# ---- one case


def test_a_mask_is_predicted_once_while_no_click_is_new(
    dataset: Dataset, segmenter: NetworkSegmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Click, ...]] = []
    predict = Session.predict

    def record(session: Session, clicks: tuple[Click, ...]) -> Prediction:
        asked.append(clicks)
        return predict(session, clicks)

    monkeypatch.setattr(Session, "predict", record)
    labelled_case = dataset.read("base_fdg_1")
    results = list(evaluate_case(segmenter, labelled_case, protocol(0, 3, 7, 10)))
    assert [result.clicks for result in results] == [(), *[CLICKS] * 3]
    assert asked == [(), CLICKS]
    assert results[1].mask_zyx is results[3].mask_zyx


def test_all_clicks_so_far_are_given_again(dataset: Dataset, segmenter: NetworkSegmenter) -> None:
    labelled_case = dataset.read("base_fdg_1")
    asked = protocol(0, 1, 2, reader=AutopetvReader())
    results = list(evaluate_case(segmenter, labelled_case, asked))
    for before, after in itertools.pairwise(results):
        assert after.clicks[: len(before.clicks)] == before.clicks
        np.testing.assert_array_equal(
            after.mask_zyx, Session(segmenter.ensemble, labelled_case.case).predict(after.clicks).mask
        )
    again = list(evaluate_case(segmenter, labelled_case, asked))
    assert [result.score for result in again] == [result.score for result in results]


def test_model_without_clicks_gets_none(dataset: Dataset, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "m", make_plans(spacing=(2.0, 1.0, 1.0)), channels=2)
    blind = NetworkSegmenter(Ensemble.load(folder, "cpu", backend="torch"))
    results = list(evaluate_case(blind, dataset.read("psma_3"), protocol(0, 3)))
    assert [result.score.tumor_points for result in results] == [0, 0]
    assert results[0].mask_zyx is results[1].mask_zyx


# ---- a dataset


def test_scores_are_those_of_the_stored_masks(dataset: Dataset, segmenter: NetworkSegmenter, tmp_path: Path) -> None:
    assert evaluate_dataset(segmenter, dataset, protocol(0, 1, 3), tmp_path / "out", keep_masks=True) == {}
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
            np.testing.assert_array_equal(mask, Session(segmenter.ensemble, case).predict(chosen).mask)
        overlap = 2 * np.logical_and(mask, truth).sum() / (mask.sum() + truth.sum())
        assert case.name == "psma_3" or float(row["dice"]) == pytest.approx(overlap, abs=1e-6)
    assert {row["dice"] for row in rows[6:]} == {"nan"}


def test_last_masks_alone_are_stored_if_no_more_are_asked_for(
    dataset: Dataset, segmenter: NetworkSegmenter, tmp_path: Path
) -> None:
    evaluate_dataset(segmenter, dataset, protocol(0, 1), tmp_path / "out")
    stored = sorted(path.relative_to(tmp_path / "out") for path in (tmp_path / "out" / "masks").glob("*/*"))
    assert stored == [Path(f"masks/{name}/clicks-01.{ending}") for name in NAMES for ending in ("json", "mha")]


def test_corrections_add_up(dataset: Dataset, segmenter: NetworkSegmenter, tmp_path: Path) -> None:
    evaluate_dataset(segmenter, dataset, protocol(0, 1, 2, reader=CorrectiveReader()), tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    assert [row["round"] for row in rows] == ["0", "1", "2"] * 3
    assert {row["source"] for row in rows} == {"corrective-clicks"}
    points = [points_of(row) for row in rows]
    for first, second, third in zip(points[::3], points[1::3], points[2::3], strict=True):
        assert (first, second) == (0, 1)
        assert second <= third


def test_autopetv_scribbles_where_there_is_a_lesion_and_scores_dice_where_there_is_none(
    dataset: Dataset, segmenter: NetworkSegmenter, tmp_path: Path
) -> None:
    evaluate_dataset(segmenter, dataset, protocol(0, 1, 2, reader=AutopetvReader()), tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    assert [row["iteration"] for row in rows] == ["0", "1", "2"] * 3
    assert {row["source"] for row in rows} == {"autopetv"}
    for lesions in (rows[:3], rows[3:6]):
        points = [points_of(row) for row in lesions]
        assert 0 == points[0] < points[1] <= points[2]
    empty = rows[6:]
    assert [points_of(row) for row in empty] == [0, 0, 0]
    assert {row["detection_f1"] for row in empty} == {"nan"}
    assert {float(row["dice"]) for row in empty} == {float(empty[0]["false_positives"] == "0")}


def test_scribbles_of_files_are_replayed(dataset: Dataset, segmenter: NetworkSegmenter, tmp_path: Path) -> None:
    for name in NAMES:
        write_clicks(CLICKS, tmp_path / "points" / f"{name}.json")
    points = PointsFolder.find(tmp_path / "points", NAMES)
    asked = protocol(0, 1, 2, 3, reader=ReplayReader(points))
    assert evaluate_dataset(segmenter, dataset, asked, tmp_path / "out") == {}
    rows = rows_of(tmp_path / "out")
    assert {row["source"] for row in rows} == {"replay"}
    assert [points_of(row) for row in rows] == [0, 1, 2, 2] * 3
    assert [row["tumor_points"] for row in rows[:3]] == ["0", "1", "1"]
    write_clicks(CLICKS[:1], tmp_path / "points" / "psma_3.json")
    other = protocol(0, 1, 2, 3, reader=ReplayReader(PointsFolder.find(tmp_path / "points", NAMES)))
    with pytest.raises(CaseError, match="begun with another 'points_sha256'"):
        evaluate_dataset(segmenter, dataset, other, tmp_path / "out")


def test_points_outside_of_an_image_cost_that_case_alone_and_nothing_is_computed(
    dataset: Dataset, segmenter: NetworkSegmenter, tmp_path: Path
) -> None:
    for name in NAMES:
        write_clicks(CLICKS if name != "psma_3" else [Click(0, 0, 99, "tumor")], tmp_path / f"{name}.json")
    asked = protocol(0, 1, reader=ReplayReader(PointsFolder.find(tmp_path, NAMES)))
    failures = evaluate_dataset(segmenter, dataset, asked, tmp_path / "out")
    assert failures == {"psma_3": f"{tmp_path / 'psma_3.json'}: point 0 has z = 99, outside the image (0 to 13)"}
    assert not (tmp_path / "out" / "masks" / "psma_3").exists()


@pytest.mark.parametrize("baseline", Baseline)
def test_baselines_are_scored_like_networks(baseline: Baseline, dataset: Dataset, tmp_path: Path) -> None:
    out, segmenter = tmp_path / "out", BaselineSegmenter(baseline)
    assert evaluate_dataset(segmenter, dataset, protocol(0, 1), out) == {}
    rows = rows_of(out)
    assert [(row["case"], row["clicks"]) for row in rows] == [(case, step) for case in NAMES for step in "01"]
    assert rows[1]["tumor_points"] == ("1" if baseline.takes_clicks else "0")
    case = dataset.read("base_fdg_1").case
    clicks = first_clicks(case.clicks, 1) if baseline.takes_clicks else ()
    mask = read_mask(out / "masks" / "base_fdg_1" / "clicks-01.mha", case.geometry)
    np.testing.assert_array_equal(mask, segment(baseline, case, clicks))
    before = (out / "cases.csv").read_bytes()
    (out / "scores" / "base_fdg_2.csv").unlink()
    evaluate_dataset(segmenter, dataset, protocol(0, 1), out)  # goes on
    assert (out / "cases.csv").read_bytes() == before
    other = next(each for each in Baseline if each != baseline)
    with pytest.raises(CaseError, match="begun with another 'model'"):
        evaluate_dataset(BaselineSegmenter(other), dataset, protocol(0, 1), out)


def test_other_settings_are_refused(dataset: Dataset, segmenter: NetworkSegmenter, tmp_path: Path) -> None:
    out = tmp_path / "out"
    evaluate_dataset(segmenter, dataset, protocol(0), out)
    before = (out / "cases.csv").read_bytes()
    changed = write_model(tmp_path / "tiny", make_plans(spacing=(2.0, 1.0, 1.0)), seed=1)

    def refusal(asked: EvaluationProtocol, with_model: NetworkSegmenter = segmenter, **options: Any) -> str:
        with pytest.raises(CaseError) as raised:
            evaluate_dataset(with_model, Dataset.find(dataset.folder), asked, out, **options)
        return str(raised.value)

    text = "settings.json: the evaluation there was begun with another '{}', expected the same settings or another"
    of_changed = NetworkSegmenter(Ensemble.load(changed, "cpu", backend="torch"))
    assert text.format("steps") in refusal(protocol(0, 1))
    assert text.format("keep_masks") in refusal(protocol(0), keep_masks=True)
    assert text.format("interaction") in refusal(protocol(0, reader=CorrectiveReader()))
    assert text.format("seed") in refusal(EvaluationProtocol((0,), seed=1))
    assert text.format("model_sha256") in refusal(protocol(0), of_changed)
    write_labelled_case(dataset.folder / "new", make_lesions())
    assert text.format("cases") in refusal(protocol(0))
    assert (out / "cases.csv").read_bytes() == before
