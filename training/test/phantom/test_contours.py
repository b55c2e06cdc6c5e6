import numpy as np
import pytest

from lesionclick_training.phantom.contours import draw_contours
from lesionclick_training.phantom.foci import Focus
from lesionclick_training.phantom.population import Reading
from lesionclick_training.phantom.shapes import Grid, Waves, ellipsoid

GRID = Grid((21, 21, 21), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0))


def focus(radius: float) -> Focus:
    center = np.array((40.0, 41.0, 42.0))
    solid = ellipsoid(center, (radius,) * 3)
    return Focus(True, center, radius, solid, None, 8.0, 1.8, Waves(np.random.default_rng(0), 9, 0.1))


def contour(radius: float, reading: Reading, pet: np.ndarray, seed: int = 0) -> np.ndarray:
    lesion = focus(radius)
    return draw_contours(np.random.default_rng(seed), pet, [(lesion, lesion.solid)], GRID, reading)


def test_a_hand_drawn_contour_is_near_the_true_outline_and_not_quite_it() -> None:
    pet = np.ones(GRID.shape_zyx, dtype=np.float32)
    truth = focus(16.0).solid.distance(*GRID.points()) < 0
    drawn = [contour(16.0, Reading(threshold=0.0), pet, seed) > 0 for seed in range(6)]
    dice = [2 * (truth & each).sum() / (truth.sum() + each.sum()) for each in drawn]
    assert 0.75 < min(dice) < max(dice) < 1
    exact = Reading(threshold=0.0, offset_mm=0.0, jitter_mm=0.0)
    np.testing.assert_array_equal(contour(16.0, exact, pet) > 0, truth)


def test_a_threshold_follows_the_pet_and_leaves_out_what_is_cold() -> None:
    solid = focus(14.0).solid
    distance = solid.distance(*GRID.points())
    pet = np.where(distance < -6, 10.0, 1.0).astype(np.float32)
    drawn = contour(14.0, Reading(threshold=1.0), pet) > 0
    np.testing.assert_array_equal(drawn, distance < -6)


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_a_lesion_between_voxels_keeps_one(threshold: float) -> None:
    pet = np.ones(GRID.shape_zyx, dtype=np.float32)
    assert contour(0.5, Reading(threshold=threshold), pet).sum() == 1


def test_no_loose_voxels_are_drawn() -> None:
    pet = np.ones(GRID.shape_zyx, dtype=np.float32)
    pet[9:12, 9:12, 9:12] = 10
    pet[13, 10, 10] = 9
    drawn = contour(14.0, Reading(threshold=1.0), pet)
    assert drawn.sum() == 27
