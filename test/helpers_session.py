"""Sessions made up for tests: a patient with air beside, three networks of random weights, and a restless reader."""

from pathlib import Path

import numpy as np
import pytest
from conftest import body, image_from, write_case
from scipy.special import expit

from lesionclick import Case, Click, Ensemble, Session
from lesionclick.inference import run
from lesionclick.inference.tile_cache import TileCache
from lesionclick.testing import make_plans, write_model

SHAPE = (18, 18, 60)


def load(folder: Path, backend: str = "torch") -> Ensemble:
    return Ensemble.load(folder, "cpu", backend=backend, precision="float32")


def make_ensemble(folder: Path) -> Ensemble:
    """Of three networks; the first two see every tile."""
    return load(write_model(folder, make_plans(spacing=(5, 5, 5)), folds=(0, 1, 2), mirror_axes=(0,)))


def make_case(folder: Path) -> Case:
    """A patient of 5 mm voxels with air beside, so that some tiles hold no body."""
    ct, pet = body(SHAPE)
    ct[:, :, 34:] = -1000
    ct[:, :, :34] = np.maximum(ct[:, :, :34], -200)
    pet[:, :, 34:] *= 0.01
    return Case.read(write_case(folder, image_from(ct, (5, 5, 5)), image_from(pet, (5, 5, 5))))


def make_half_quiet(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts the limit at what the median tile gives: networks of random weights find something everywhere."""
    inputs, tiles = session.open_case.inputs([]), session.open_case.tiles([])
    cache = TileCache(1 << 30)
    session.ensemble.predict_logits(inputs, session.settings, tiles=tiles, cache=cache)
    sums = [cache.get(key) for key in inputs.keys(tiles)]
    peaks = [float(each.peak) for each in sums if each is not None]
    assert len(peaks) == len(sums)
    monkeypatch.setattr(run, "QUIET_PROBABILITY", float(expit(np.median(peaks))))


def random_click(generator: np.random.Generator) -> Click:
    z, y, x = (int(generator.integers(size)) for size in SHAPE)
    return Click(x, y, z, ("tumor", "background")[generator.integers(2)])


def change(session: Session, generator: np.random.Generator) -> None:
    """One step of a reader: adds, removes, undoes, redoes or takes all back."""
    match generator.integers(11):
        case 0 | 1 | 2 | 3:
            session.add_click(*(random_click(generator) for _ in range(generator.integers(1, 4))))
        case 4 | 5 if session.clicks:
            session.remove_click(session.clicks[generator.integers(len(session.clicks))])
        case 6 | 7:
            session.undo()
        case 8:
            session.clear()
        case _:
            session.redo()
