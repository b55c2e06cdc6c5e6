import math

import numpy as np
import pytest
from scipy import ndimage

from lesionclick.case.geometry import Geometry
from lesionclick.case.organs import ORGANS, organ_number
from lesionclick.report.measurements import LesionTable, measure_lesions

SHAPE = (30, 40, 50)
SPACING = (2.0, 3.0, 4.0)
GEOMETRY = Geometry(SHAPE[::-1], SPACING, (5.0, 6.0, 7.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))


def measure(mask: np.ndarray, organs: np.ndarray, pet: np.ndarray | None = None) -> LesionTable:
    return measure_lesions(mask, np.ones(SHAPE, dtype=np.float32) if pet is None else pet, GEOMETRY, organs)


@pytest.fixture
def organs() -> np.ndarray:
    """A liver and, a row of voxels away, a stomach."""
    numbers = np.zeros(SHAPE, dtype=np.uint8)
    numbers[5:25, 5:30, 2:20] = organ_number("liver")
    numbers[5:25, 5:30, 21:30] = organ_number("stomach")
    return numbers


def test_a_lesion_lies_in_the_organ_of_most_of_its_voxels(organs: np.ndarray) -> None:
    mask = np.zeros(SHAPE, dtype=np.uint8)
    mask[10:12, 10:12, 10:14] = 1  # within the liver
    mask[15:16, 15:16, 18:25] = 1  # 2 voxels in the liver, 1 between, 4 in the stomach
    mask[20:21, 20:21, 19:22] = 1  # 1 in each, 1 between
    first, second, third = measure(mask, organs).lesions
    assert (first.organ, first.nearest_organ, first.nearest_organ_mm) == ("liver", "liver", 0)
    assert (second.organ, second.nearest_organ, second.nearest_organ_mm) == ("stomach", "stomach", 0)
    assert (third.organ, third.nearest_organ_mm) == (None, 0)


def test_the_nearest_organ_is_told_with_its_distance(organs: np.ndarray) -> None:
    mask = np.zeros(SHAPE, dtype=np.uint8)
    mask[27:29, 32:34, 10:13] = 1  # 3 slices above the liver and 3 rows behind it
    mask[10, 10, 40] = 1  # 11 voxels beside the stomach
    beside_both, beside_stomach = measure(mask, organs).lesions
    assert beside_both.nearest_organ == "liver"
    assert beside_both.nearest_organ_mm == pytest.approx(math.hypot(3 * 4, 3 * 3))
    assert (beside_stomach.organ, beside_stomach.nearest_organ) == (None, "stomach")
    assert beside_stomach.nearest_organ_mm == pytest.approx(11 * 2)


def test_distances_are_those_of_all_pairs_of_voxels() -> None:
    generator = np.random.default_rng(1)
    organs = (generator.random(SHAPE) > 0.999) * generator.integers(1, len(ORGANS) + 1, SHAPE)
    mask = (generator.random(SHAPE) > 0.9995) & (organs == 0)
    table = measure(mask, organs.astype(np.uint8))
    assert len(table.lesions) > 10
    for lesion in table.lesions:
        places = np.argwhere(table.numbers_zyx == lesion.number) * SPACING[::-1]
        others = np.argwhere(organs)
        distances = np.linalg.norm(places[:, None] - others * SPACING[::-1], axis=2)
        assert lesion.nearest_organ_mm == pytest.approx(distances.min())
        nearest = others[np.isclose(distances, distances.min()).any(axis=0)]
        assert lesion.nearest_organ in {ORGANS[organs[tuple(each)] - 1] for each in nearest}


def test_without_any_organ_nothing_is_near() -> None:
    mask = np.zeros(SHAPE, dtype=np.uint8)
    mask[1, 1, 1] = 1
    (lesion,) = (table := measure(mask, np.zeros(SHAPE, dtype=np.uint8))).lesions
    assert (lesion.organ, lesion.nearest_organ, lesion.nearest_organ_mm, table.liver) == (None, None, None, None)


def test_the_livers_uptake_is_measured_away_from_its_edge_and_from_lesions() -> None:
    """1 cm inside it is 2 and 3 g/ml in turns, everything else is as hot as can be."""
    organs = np.zeros(SHAPE, dtype=np.uint8)
    organs[5:25, 5:35, 5:45] = organ_number("liver")
    mask = np.zeros(SHAPE, dtype=np.uint8)
    mask[14:16, 18:21, 10:14] = 1
    outside = (organs == 0) | (mask > 0)
    deep = ndimage.distance_transform_edt(~outside, sampling=SPACING[::-1]) >= 10
    pet = np.where(deep, 2, 100).astype(np.float32)
    pet[deep] += np.arange(np.count_nonzero(deep)) % 2
    liver = measure(mask, organs, pet).liver
    assert liver is not None
    assert liver.suv_mean == pytest.approx(2.5, rel=1e-3)
    assert liver.suv_sd == pytest.approx(0.5, rel=1e-3)
    assert liver.volume_ml == pytest.approx(np.count_nonzero(deep) * 24 / 1000)


def test_a_liver_too_thin_to_measure_gives_nothing(organs: np.ndarray) -> None:
    organs[:, 9:] = 0
    assert measure(np.zeros(SHAPE, dtype=np.uint8), organs).liver is None


def test_numbers_beyond_the_organs_are_refused(organs: np.ndarray) -> None:
    organs[0, 0, 0] = 11
    mask = np.zeros(SHAPE, dtype=np.uint8)
    mask[1, 1, 1] = 1
    with pytest.raises(ValueError, match="organs have the number 11, expected 0 to 10"):
        measure(mask, organs)
