"""Baselines: thresholds of a PET whose regions are known."""

import numpy as np
import pytest

from lesionclick.case.case import Case
from lesionclick.case.clicks import Click
from lesionclick.case.geometry import Geometry
from lesionclick.evaluation.baseline_names import Baseline
from lesionclick.evaluation.baselines import segment

SHAPE = (12, 20, 40)


@pytest.fixture
def case() -> Case:
    """A tumor with a cold center and a hot end (x 2 to 8), and a hot organ (x 25 to 35), 4 mm voxels."""
    pet = np.ones(SHAPE, dtype=np.float32)
    pet[2:9, 4:11, 2:9] = 4
    pet[4:7, 6:9, 4:7] = 1
    pet[2:9, 4:11, 8] = 12
    pet[2:9, 4:11, 25:36] = 30
    geometry = Geometry(SHAPE[::-1], (4.0, 4.0, 4.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    return Case("case", np.zeros(SHAPE, dtype=np.float32), pet, geometry, ())


def test_a_fixed_threshold_takes_all_that_is_hot(case: Case) -> None:
    np.testing.assert_array_equal(segment(Baseline.suv_everywhere, case, ()), case.pet_zyx > 2.5)


def test_a_click_takes_the_nearest_hot_region_alone(case: Case) -> None:
    mask = segment(Baseline.suv_at_clicks, case, [Click(5, 7, 5, "tumor")])
    np.testing.assert_array_equal(mask, (case.pet_zyx > 2.5) & (np.arange(SHAPE[2]) < 20))


def test_a_share_of_the_maximum_is_that_of_the_surroundings(case: Case) -> None:
    mask = segment(Baseline.share_at_clicks, case, [Click(5, 7, 5, "tumor")])
    np.testing.assert_array_equal(mask, case.pet_zyx == 12)


@pytest.mark.parametrize("baseline", [Baseline.suv_at_clicks, Baseline.share_at_clicks])
def test_without_a_tumor_click_there_is_no_region(case: Case, baseline: Baseline) -> None:
    assert not segment(baseline, case, [Click(5, 7, 5, "background")]).any()
    assert not segment(baseline, case, []).any()


def test_a_case_without_uptake_has_no_region(case: Case) -> None:
    case.pet_zyx[:] = 0
    assert not any(segment(baseline, case, [Click(5, 7, 5, "tumor")]).any() for baseline in Baseline)
