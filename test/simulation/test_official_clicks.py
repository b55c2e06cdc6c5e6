from itertools import pairwise

import numpy as np
import pytest
from helpers_simulation import check_clicks, make_ball, make_box, make_random_case
from scipy import ndimage, stats

from lesionclick.case.clicks import Click
from lesionclick.simulation.official_clicks import (
    challenge_background_clicks,
    challenge_tumor_clicks,
    simulate_official,
)

NEIGHBORS_26 = np.ones((3, 3, 3))
SIGNIFICANCE = 0.001  # the seeds are fixed, so a test that passes once passes always


@pytest.mark.parametrize("seed", range(40))
def test_tumor_clicks_fall_in_lesions(seed: int) -> None:
    _, lesion = make_random_case(seed)
    generator = np.random.default_rng(seed)
    for budget in (0, 1, 3, 10, 60):
        for offset in (0, 3):
            clicks = challenge_tumor_clicks(lesion, budget, generator, offset)
            check_clicks(clicks, lesion, budget)
            if offset == 0:
                assert len(clicks) >= min(budget, ndimage.label(lesion, NEIGHBORS_26)[1])


@pytest.mark.parametrize("seed", range(40))
def test_background_clicks_start_in_the_hottest_healthy_voxels_and_move_to_any(seed: int) -> None:
    pet, lesion = make_random_case(seed)
    generator = np.random.default_rng(seed)
    hottest = (pet > np.percentile(pet[~lesion], 99.75)) & (pet > 0) & ~lesion
    for budget in (0, 1, 3, 10, 60):
        check_clicks(challenge_background_clicks(pet, ~lesion, budget, generator), hottest, budget)
        near = ndimage.binary_dilation(hottest, np.ones((7, 7, 7))) & ~lesion
        check_clicks(challenge_background_clicks(pet, ~lesion, budget, generator, 3), near, budget)


@pytest.mark.parametrize("density", [0.001, 0.05, 0.3, 0.5, 0.95])
def test_no_mask_hangs(density: float) -> None:
    for seed in range(5):
        lesion = np.random.default_rng(seed).random((12, 13, 14)) < density
        for offset in (0, 3):
            clicks = challenge_tumor_clicks(lesion, 5000, np.random.default_rng(seed), offset)
            check_clicks(clicks, lesion, 5000)


def test_no_lesion_no_tumor_click() -> None:
    assert challenge_tumor_clicks(np.zeros((9, 8, 7), dtype=bool), 10, np.random.default_rng(0)).shape == (0, 3)


@pytest.mark.parametrize("offset", [0, 3])
def test_background_clicks_need_no_lesion(offset: int) -> None:
    pet = np.random.default_rng(0).random((20, 20, 20))
    nowhere = np.zeros(pet.shape, dtype=bool)
    assert len(challenge_background_clicks(pet, ~nowhere, 10, np.random.default_rng(0), offset)) == 10


@pytest.mark.parametrize("offset", [0, 3])
def test_background_without_uptake_gets_no_click(offset: int) -> None:
    nowhere = np.zeros((9, 8, 7), dtype=bool)
    for pet, lesion in ((np.zeros(nowhere.shape), nowhere), (np.ones(nowhere.shape), ~nowhere)):
        assert challenge_background_clicks(pet, ~lesion, 10, np.random.default_rng(0), offset).shape == (0, 3)


@pytest.mark.parametrize("voxel", [(4, 4, 4), (0, 4, 4), (0, 0, 0), (8, 7, 6)])
def test_one_voxel_gets_one_click(voxel: tuple[int, int, int]) -> None:
    lesion = np.zeros((9, 8, 7), dtype=bool)
    lesion[voxel] = True
    for seed in range(20):
        assert challenge_tumor_clicks(lesion, 10, np.random.default_rng(seed), 3).tolist() == [list(voxel)]


@pytest.mark.parametrize("offset", [0, 3])
def test_lesion_smaller_than_the_budget_is_clicked_all_over(offset: int) -> None:
    lesion = np.zeros((9, 9, 9), dtype=bool)
    lesion[4:6, 4:6, 4:6] = True
    assert len(challenge_tumor_clicks(lesion, 10, np.random.default_rng(0), offset)) == 8


def test_lesion_that_fills_the_volume() -> None:
    lesion = np.ones((5, 5, 5), dtype=bool)
    clicks = challenge_tumor_clicks(lesion, 10, np.random.default_rng(0), 0)
    check_clicks(clicks, lesion, 10)
    assert len(clicks) == 10


def test_clicks_end_where_the_rim_runs_dry() -> None:
    lesion = np.zeros((9, 9, 9), dtype=bool)
    lesion[2:7, 2:7, 2:7] = True
    clicks = challenge_tumor_clicks(lesion, 200, np.random.default_rng(0))
    assert len(clicks) == 1 + 5**3 - 3**3
    assert clicks[0].tolist() == [4, 4, 4]


@pytest.mark.parametrize("seed", range(20))
def test_first_click_is_the_deepest_voxel_and_others_lie_on_the_rim(seed: int) -> None:
    _, lesion = make_random_case(seed)
    labels, count = ndimage.label(lesion, NEIGHBORS_26)
    clicks = challenge_tumor_clicks(lesion, count + 20, np.random.default_rng(seed))
    assert len(np.unique(labels[tuple(clicks[:count].T)])) == count
    for index, click in enumerate(clicks):
        component = labels == labels[tuple(click)]
        depth = ndimage.distance_transform_edt(component)
        expected = depth.max() if index < count else depth[component].min()
        assert depth[tuple(click)] == pytest.approx(expected)


def test_clicks_go_round_the_same_lesions() -> None:
    shape = (12, 12, 60)
    lesion = np.any([make_ball(shape, (6, 6, x), 3) for x in (8, 22, 36, 50)], axis=0)
    labels, _ = ndimage.label(lesion)
    for seed in range(20):
        clicks = challenge_tumor_clicks(lesion, 4, np.random.default_rng(seed))
        assert len(set(labels[tuple(clicks.T)])) == 4
        order = labels[tuple(challenge_tumor_clicks(lesion, 11, np.random.default_rng(seed)).T)]
        assert order.tolist() == [*order[:4], *order[:4], *order[:3]]


def test_every_lesion_is_chosen_as_often() -> None:
    lesion = np.zeros((5, 5, 30), dtype=bool)
    lesion[2, 2, 2::6] = True
    lesion[1:4, 1:4, 25:28] = True  # size gives no advantage
    labels, count = ndimage.label(lesion, NEIGHBORS_26)
    assert count == 5
    generator = np.random.default_rng(0)
    chosen = [labels[tuple(click)] for _ in range(500) for click in challenge_tumor_clicks(lesion, 2, generator, 0)]
    assert len(chosen) == 1000
    assert stats.chisquare(np.bincount(chosen, minlength=6)[1:]).pvalue > SIGNIFICANCE


@pytest.mark.parametrize("offset", [1, 3])
def test_offset_moves_clicks_evenly_and_no_further(offset: int) -> None:
    lesion = make_ball((25, 25, 25), (12, 12, 12), 8)
    generator = np.random.default_rng(0)
    moves = np.concatenate([challenge_tumor_clicks(lesion, 1, generator, offset) - 12 for _ in range(700)])
    for axis in range(3):
        values, counts = np.unique(moves[:, axis], return_counts=True)
        assert values.tolist() == list(range(-offset, offset + 1))
        assert stats.chisquare(counts).pvalue > SIGNIFICANCE


def expect_staying(region: np.ndarray, voxel: tuple[int, int, int], offset: int) -> float:
    """Probability that a click stays: all ten moves leave the region, or the first that does not is by nothing."""
    width = 2 * offset + 1
    around = tuple(slice(middle, middle + width) for middle in voxel)
    share = np.pad(region, offset)[around].mean()
    fails = (1 - share) ** 10
    return float(fails + (1 - fails) / (width**3 * share))


@pytest.mark.parametrize("radius", [0, 1, 2, 3])
def test_a_move_is_tried_ten_times(radius: int) -> None:
    lesion = make_ball((9, 9, 9), (2, 4, 4), radius)  # the largest touches the border
    generator = np.random.default_rng(0)
    clicks = np.concatenate([challenge_tumor_clicks(lesion, 1, generator, 3) for _ in range(4000)])
    center = tuple(challenge_tumor_clicks(lesion, 1, generator)[0].tolist())
    stayed = int((clicks == center).all(axis=1).sum())
    assert stats.binomtest(stayed, 4000, expect_staying(lesion, center, 3)).pvalue > SIGNIFICANCE
    moved = clicks[(clicks != center).any(axis=1)]
    if radius:  # to every other voxel in reach as often
        near = lesion & make_box(lesion.shape, center, 3)
        near[center] = False
        counts = np.array([(moved == voxel).all(axis=1).sum() for voxel in np.argwhere(near)])
        assert counts.sum() == len(moved)
        assert stats.chisquare(counts).pvalue > SIGNIFICANCE


def test_background_clicks_leave_hot_voxels_as_often_as_these_are_small() -> None:
    pet = np.zeros((24, 24, 24))
    hot = make_box(pet.shape, (11, 11, 11), 1)  # 27 of 13824 voxels, less than the hottest 0.25 %
    pet[hot] = 5
    healthy = ~make_box(pet.shape, (11, 11, 14), 1)  # a lesion close by
    generator = np.random.default_rng(0)
    clicks = np.concatenate([challenge_background_clicks(pet, healthy, 1, generator, 3) for _ in range(4000)])
    check_clicks(np.unique(clicks, axis=0), healthy & make_box(pet.shape, (11, 11, 11), 3), 343)
    share = 27 / (healthy & make_box(pet.shape, (11, 11, 11), 3)).sum()
    assert stats.binomtest(int(hot[tuple(clicks.T)].sum()), 4000, share).pvalue > SIGNIFICANCE


def test_no_background_click_moves_to_what_may_be_a_lesion() -> None:
    pet = np.zeros((24, 24, 24))
    healthy = make_box(pet.shape, (11, 11, 11), 1)
    pet[11, 11, 11] = 5
    pet[~healthy] = 100  # counts in no percentile
    for seed in range(50):
        (click,) = challenge_background_clicks(pet, healthy, 1, np.random.default_rng(seed), 3)
        assert healthy[tuple(click)]


def test_a_moved_click_may_fall_in_another_lesion() -> None:
    lesion = np.zeros((5, 5, 9), dtype=bool)
    lesion[1:4, 1:4, 1:4] = lesion[1:4, 1:4, 5:8] = True
    generator = np.random.default_rng(0)
    clicks = [challenge_tumor_clicks(lesion, 2, generator, 3)[:, 2] for _ in range(200)]
    assert any(max(x) < 4 or min(x) > 4 for x in clicks)


def test_seeds_reproduce() -> None:
    pet, lesion = make_random_case(3)

    def draw(seed: int) -> list[list[int]]:
        generator = np.random.default_rng(seed)
        tumor = challenge_tumor_clicks(lesion, 10, generator, 3)
        background = challenge_background_clicks(pet, ~lesion, 10, generator, 3)
        found: list[list[int]] = np.concatenate([tumor, background]).tolist()
        return found

    assert draw(7) == draw(7)
    assert all(draw(a) != draw(b) for a, b in pairwise(range(5)))


def test_official_clicks() -> None:
    generator = np.random.default_rng(0)
    lesion = make_ball((30, 40, 50), (12, 20, 35), 5)
    pet = ndimage.gaussian_filter(generator.random(lesion.shape), 1)
    clicks = simulate_official(pet, lesion)
    assert [click.label for click in clicks] == ["tumor"] * 10 + ["background"] * 10
    assert clicks[0] == Click(35, 20, 12, "tumor")
    assert all(lesion[click.z, click.y, click.x] == (click.label == "tumor") for click in clicks)
    assert clicks == simulate_official(pet, lesion, seed=42, budget=10)
    assert clicks != simulate_official(pet, lesion, seed=43)
    assert len(simulate_official(pet, lesion, budget=3)) == 6
    assert {click.label for click in simulate_official(pet, np.zeros_like(lesion))} == {"background"}


def test_official_clicks_are_those_recorded() -> None:
    generator = np.random.default_rng(0)
    pet = generator.integers(0, 1000, (16, 18, 20)).astype(np.float32)
    pet[12:] = 0
    lesion = np.zeros(pet.shape, dtype=np.uint8)
    lesion[2:7, 3:8, 4:9] = lesion[8:10, 12:15, 10:16] = 1
    tumor = [(10, 12, 8), (6, 5, 4), (14, 12, 8), (8, 7, 5)]
    background = [(13, 2, 0), (16, 5, 6), (8, 16, 4), (1, 17, 2)]
    assert [(click.x, click.y, click.z) for click in simulate_official(pet, lesion, budget=4)] == tumor + background
