"""What ships in the box: the model in resources/ and the sample cases."""

import time
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, process

from lesionclick import Case, Ensemble, Session
from lesionclick.case.case import TRUTH_FILE
from lesionclick.case.images import read_mask
from lesionclick.evaluation.metrics import score_mask
from lesionclick.model.folder import ModelFolder

MODEL = ROOT / "resources" / "model"
CASES = ROOT / "test" / "cases"


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_the_model_is_small_and_says_what_it_is() -> None:
    model = ModelFolder.read(MODEL)
    assert model.channels == 4
    assert "not for patients" in model.description
    assert "not for patients" in (ROOT / "resources" / "README.md").read_text().splitlines()[0]
    assert size(MODEL) < 40e6


def test_the_samples_are_small_and_one_of_each_kind() -> None:
    assert sorted(path.name for path in CASES.iterdir() if path.is_dir()) == ["fdg", "no-lesions", "psma"]
    assert size(CASES) < 6e6


@pytest.mark.parametrize("name", ["fdg", "psma"])
def test_clicks_correct_a_sample(name: str) -> None:
    """One network, to be quick; the README has all of them on phantoms.

    Both samples have lesions that it misses without clicks.
    """
    case = Case.read(CASES / name)
    truth = read_mask(CASES / name / TRUTH_FILE, case.geometry)
    assert [sum(click.label == label for click in case.clicks) for label in ("tumor", "background")] == [10, 10]
    session = Session(Ensemble.load(MODEL, "cpu", folds=["0"]), case)
    before, after = (
        score_mask(session.predict(clicks).mask, truth, case.geometry.spacing_zyx) for clicks in ((), case.clicks)
    )
    assert after.dice > before.dice
    assert after.detection.false_negatives < before.detection.false_negatives
    assert after.false_negative_ml < 0.2 * before.false_negative_ml


def test_a_sample_without_lesions_has_none() -> None:
    case = Case.read(CASES / "no-lesions")
    assert not read_mask(CASES / "no-lesions" / TRUTH_FILE, case.geometry).any()
    assert {click.label for click in case.clicks} == {"background"}
    mask = Session(Ensemble.load(MODEL, "cpu", folds=["0"]), case).predict().mask
    assert np.count_nonzero(mask) * np.prod(case.geometry.spacing) / 1000 < 30  # ml


@pytest.mark.slow
def test_a_real_time_limit_is_kept(tmp_path: Path) -> None:
    """All networks with all mirrorings would take far longer on two cores; passes are left out instead."""
    limit = 30.0
    places = ["--input", CASES / "psma", "--output", tmp_path, "--model", MODEL, "--mirroring", "all"]
    start = time.monotonic()
    done = process(*places, "--device", "cpu", "--time-limit", limit)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - start < limit
    assert "WARNING time limit: the result holds" in done.stderr
    case = Case.read(CASES / "psma")
    mask = read_mask(Path(done.stdout.strip()), case.geometry)
    truth = read_mask(CASES / "psma" / TRUTH_FILE, case.geometry)
    assert score_mask(mask, truth, case.geometry.spacing_zyx).dice > 0.5
