"""Masks that obey clicks and thresholds: probabilities whose regions are known, 5 mm voxels unless said."""

import numpy as np
import pytest
from scipy.special import logit

from lesionclick.case.clicks import Click
from lesionclick.inference.settings import PostProcessing
from lesionclick.session.postprocessing import post_process

SHAPE = (11, 12, 30)
SPACING = (5.0, 5.0, 5.0)  # 0.125 ml a voxel
FLOOR = PostProcessing(component_floor=0.7)
GATE = PostProcessing(lesion_free_gate_ml=1.5)
OBEY = PostProcessing(obey_clicks=True)


@pytest.fixture
def probability() -> np.ndarray:
    """A sure region of 27 voxels (x 2 to 4), a doubtful one of 9 (x 10 to 12), and a faint one of 5 (x 20 to 24)."""
    values = np.full(SHAPE, 1e-4)
    values[4:7, 4:7, 2:5] = 0.9
    values[5, 4:7, 10:13] = 0.6
    values[5, 5, 20:25] = (0.1, 0.3, 0.4, 0.3, 0.1)
    return values


def mask_of(
    probability: np.ndarray,
    settings: PostProcessing,
    *clicks: Click,
    spacing_zyx: tuple[float, float, float] = SPACING,
) -> np.ndarray:
    mask = post_process(logit(probability).astype(np.float32), clicks, spacing_zyx, settings)
    assert mask.dtype == np.uint8
    return mask.astype(bool)


def tumor(x: int, y: int = 5, z: int = 5) -> Click:
    return Click(x, y, z, "tumor")


def background(x: int, y: int = 5, z: int = 5) -> Click:
    return Click(x, y, z, "background")


def test_nothing_is_done_by_default(probability: np.ndarray) -> None:
    for clicks in ((), (tumor(22), background(3))):
        np.testing.assert_array_equal(mask_of(probability, PostProcessing(), *clicks), probability > 0.5)


# ---- floor


def test_doubtful_components_go_unless_a_tumor_click_lies_in_them(probability: np.ndarray) -> None:
    sure = probability == 0.9
    np.testing.assert_array_equal(mask_of(probability, FLOOR), sure)
    np.testing.assert_array_equal(mask_of(probability, FLOOR, background(11), tumor(3)), sure)
    np.testing.assert_array_equal(mask_of(probability, FLOOR, tumor(11)), probability > 0.5)


def test_components_are_the_lesions_that_the_challenge_counts(probability: np.ndarray) -> None:
    """Those of 18 neighbors: over a face or an edge, not over a corner."""
    probability[5, 7, 13] = 0.95  # touches the doubtful region at an edge: its mean is 0.635 then
    np.testing.assert_array_equal(mask_of(probability, PostProcessing(component_floor=0.63)), probability > 0.5)
    np.testing.assert_array_equal(mask_of(probability, PostProcessing(component_floor=0.64)), probability == 0.9)
    probability[5, 7, 13] = 1e-4
    probability[6, 7, 13] = 0.95  # touches it at a corner: judged by itself
    np.testing.assert_array_equal(mask_of(probability, PostProcessing(component_floor=0.63)), probability >= 0.9)
    np.testing.assert_array_equal(
        mask_of(probability, OBEY, background(11)), (probability >= 0.9), "a background click takes one lesion away"
    )


# ---- gate


def test_little_volume_is_none_where_no_tumor_is_clicked(probability: np.ndarray) -> None:
    probability[4:7, 4:7, 2:5] = 0.1  # 9 voxels are left, 1.125 ml
    assert not mask_of(probability, GATE).any()
    assert not mask_of(probability, GATE, background(3)).any()
    np.testing.assert_array_equal(mask_of(probability, GATE, tumor(25)), probability > 0.5)
    np.testing.assert_array_equal(mask_of(probability, PostProcessing(lesion_free_gate_ml=1.125)), probability > 0.5)
    larger = mask_of(probability, GATE, spacing_zyx=(5.0, 5.0, 10.0))
    np.testing.assert_array_equal(larger, probability > 0.5)


def test_the_gate_measures_what_floor_and_clicks_leave(probability: np.ndarray) -> None:
    assert mask_of(probability, GATE).sum() == 36
    probability[4:7, 4:7, 2:5] = 0.6
    both = PostProcessing(lesion_free_gate_ml=1.5, component_floor=0.7)
    assert not mask_of(probability, both).any()
    both = PostProcessing(lesion_free_gate_ml=1.5, obey_clicks=True)
    assert not mask_of(probability, both, background(3)).any()


# ---- tumor clicks


def test_a_missed_tumor_is_marked_as_far_as_half_the_clicks_probability_reaches(probability: np.ndarray) -> None:
    expected = probability > 0.5
    expected[5, 5, 21:24] = True  # 0.3, 0.4, 0.3
    np.testing.assert_array_equal(mask_of(probability, OBEY, tumor(22)), expected)
    expected[5, 5, 20] = False
    probability[5, 5, 23] = 0.19  # below 0.5 * 0.4
    expected[5, 5, 23] = False
    np.testing.assert_array_equal(mask_of(probability, OBEY, tumor(22)), expected)


def test_a_tumor_click_in_the_mask_adds_nothing(probability: np.ndarray) -> None:
    probability[5, 5, 5] = 0.49
    np.testing.assert_array_equal(mask_of(probability, OBEY, tumor(3)), probability > 0.5)


def test_what_a_tumor_click_adds_lies_within_10_mm(probability: np.ndarray) -> None:
    probability[5, 5, 14:30] = 0.3
    added = mask_of(probability, OBEY, tumor(22)) & (probability < 0.5)
    assert np.argwhere(added)[:, 2].tolist() == [20, 21, 22, 23, 24]
    finer = mask_of(probability, OBEY, tumor(22), spacing_zyx=(5.0, 5.0, 2.5)) & (probability < 0.5)
    assert np.argwhere(finer)[:, 2].tolist() == list(range(18, 27))


def test_a_tumor_click_without_support_marks_its_voxel(probability: np.ndarray) -> None:
    expected = probability > 0.5
    expected[0, 0, 29] = True
    np.testing.assert_array_equal(mask_of(probability, OBEY, tumor(29, 0, 0)), expected)


def test_a_region_that_touches_the_mask_joins_it(probability: np.ndarray) -> None:
    probability[5, 5, 5:8] = 0.45
    expected = probability > 0.5
    expected[5, 5, 5:8] = True
    np.testing.assert_array_equal(mask_of(probability, OBEY, tumor(6)), expected)


# ---- background clicks


def test_a_false_lesion_goes_as_a_whole(probability: np.ndarray) -> None:
    np.testing.assert_array_equal(mask_of(probability, OBEY, background(12), tumor(3)), probability == 0.9)


def test_a_background_click_outside_of_the_mask_changes_nothing(probability: np.ndarray) -> None:
    np.testing.assert_array_equal(mask_of(probability, OBEY, background(8), tumor(3)), probability > 0.5)


def test_a_lesion_with_both_clicks_is_parted_between_them(probability: np.ndarray) -> None:
    probability[5, 5, 2:13] = 0.9  # joins both regions
    mask = mask_of(probability, OBEY, tumor(7), background(11))
    expected = (probability > 0.5) & (np.arange(SHAPE[2]) <= 9)  # x 9 is as near to either click
    np.testing.assert_array_equal(mask, expected)
    nearer = mask_of(probability, OBEY, tumor(3), tumor(11, 4), background(11))
    assert nearer[5, 4, 11]
    assert not nearer[5, 5, 11]


def test_a_background_click_in_a_lesion_with_a_tumor_click_takes_away_what_is_within_10_mm(
    probability: np.ndarray,
) -> None:
    probability[5, 5, 2:13] = 0.9
    mask = mask_of(probability, OBEY, tumor(3), background(11))
    np.testing.assert_array_equal(mask, (probability > 0.5) & (np.arange(SHAPE[2]) <= 8))
    finer = mask_of(probability, OBEY, tumor(3), background(11), spacing_zyx=(5.0, 5.0, 2.5))
    assert finer[5, 5].nonzero()[0].tolist() == [2, 3, 4, 5, 6, 7]  # 7 is as near to either


def test_a_tumor_click_in_another_lesion_keeps_what_is_nearer_to_it(probability: np.ndarray) -> None:
    probability[5, 5, 5:8] = 0.9  # to x 7
    probability[5, 5, 9:13] = 0.9  # a lesion of its own, from x 9 on
    mask = mask_of(probability, OBEY, tumor(2), background(4), tumor(9))
    assert mask[5, 5].nonzero()[0].tolist() == [2, 3, 7, 9, 10, 11, 12]  # x 7 is nearer to x 9 than to x 4


def test_distances_are_in_mm(probability: np.ndarray) -> None:
    probability[:] = 1e-4
    probability[2:9, 5, 2:20] = 0.9
    clicks = (Click(5, 5, 8, "tumor"), Click(10, 5, 3, "background"))
    thick, thin = (mask_of(probability, OBEY, *clicks, spacing_zyx=(dz, 1.0, 1.0)) for dz in (5.0, 0.1))
    assert thick[8, 5, 19]
    assert not thick[3, 5, 2]
    assert not thin[8, 5, 19]
    assert thin[3, 5, 2]


def test_at_a_voxel_with_both_clicks_the_tumor_stays(probability: np.ndarray) -> None:
    np.testing.assert_array_equal(mask_of(probability, OBEY, tumor(3), background(3)), probability > 0.5)


@pytest.mark.parametrize("seed", range(5))
def test_clicks_are_obeyed_in_whatever_order(seed: int) -> None:
    generator = np.random.default_rng(seed)
    probability = generator.uniform(1e-3, 0.6, SHAPE)
    voxels = generator.permutation(np.stack(np.unravel_index(np.arange(probability.size), SHAPE), axis=1))[:20]
    clicks = [
        Click(int(x), int(y), int(z), "tumor" if index % 2 else "background") for index, (z, y, x) in enumerate(voxels)
    ]
    mask = mask_of(probability, OBEY, *clicks)
    for click in clicks:
        assert mask[click.z, click.y, click.x] == (click.label == "tumor")
    np.testing.assert_array_equal(mask_of(probability, OBEY, *clicks[::-1], *clicks), mask)
