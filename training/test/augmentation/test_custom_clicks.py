from itertools import pairwise

import numpy as np
import pytest
from helpers_simulation import check_clicks, make_ball, make_random_case
from scipy import ndimage, stats

from lesionclick_training.augmentation.custom_clicks import custom_background_clicks, custom_tumor_clicks

NEIGHBORS_26 = np.ones((3, 3, 3))
SIGNIFICANCE = 0.001  # the seeds are fixed, so a test that passes once passes always


@pytest.mark.parametrize("seed", range(40))
def test_tumor_clicks_fall_in_lesions(seed: int) -> None:
    _, lesion = make_random_case(seed)
    generator = np.random.default_rng(seed)
    for budget in (0, 1, 3, 10, 60):
        for offset in (0, 3):
            clicks = custom_tumor_clicks(lesion, budget, generator, offset)
            check_clicks(clicks, lesion, budget)
            if offset == 0:
                assert len(clicks) >= min(budget, ndimage.label(lesion, NEIGHBORS_26)[1])


@pytest.mark.parametrize("seed", range(40))
def test_background_clicks_fall_in_high_uptake_outside_of_lesions(seed: int) -> None:
    pet, lesion = make_random_case(seed)
    generator = np.random.default_rng(seed)
    hot = (pet >= np.percentile(pet[~lesion], 98)) & (pet > 0) & ~lesion
    for budget in (0, 1, 3, 10, 60):
        clicks = custom_background_clicks(pet, ~lesion, budget, generator)
        check_clicks(clicks, hot, budget)
        assert len(clicks) == min(budget, hot.sum())


def test_a_large_hot_lesion_leaves_the_background_its_clicks() -> None:
    pet = np.ones((20, 20, 20))
    pet[:, :, 10:] = 50  # half of the patch
    pet[3, 3, 3:7] = 2
    lesion = pet == 50
    generator = np.random.default_rng(0)
    clicks = np.concatenate([custom_background_clicks(pet, ~lesion, 1, generator) for _ in range(3000)])
    counts = [(pet[tuple(clicks.T)] == level).sum() for level in (1, 2)]
    uptake = np.array([4000 - 4, 2 * 4])  # the 98th percentile of what is healthy is 1
    assert stats.chisquare(counts, 3000 * uptake / uptake.sum()).pvalue > SIGNIFICANCE
    pet[3:5, 3:8, :10] = 2  # 100 of 4000 healthy voxels, more than two in a hundred
    clicks = custom_background_clicks(pet, ~lesion, 200, generator)
    check_clicks(clicks, pet == 2, 100)
    assert len(clicks) == (pet == 2).sum()


def test_uptake_of_0_or_less_gets_no_click() -> None:
    pet = np.random.default_rng(0).normal(-10, 1, (20, 20, 20))
    pet[3, 3, 3:6] = (0, 1, 2)
    everywhere = np.ones(pet.shape, dtype=bool)
    clicks = custom_background_clicks(pet, everywhere, 10, np.random.default_rng(0))
    assert sorted(clicks.tolist()) == [[3, 3, 4], [3, 3, 5]]
    assert custom_background_clicks(pet - 2, everywhere, 10, np.random.default_rng(0)).shape == (0, 3)


@pytest.mark.parametrize("density", [0.001, 0.05, 0.3, 0.5, 0.95])
def test_no_mask_hangs(density: float) -> None:
    for seed in range(5):
        lesion = np.random.default_rng(seed).random((12, 13, 14)) < density
        for offset in (0, 3):
            check_clicks(custom_tumor_clicks(lesion, 5000, np.random.default_rng(seed), offset), lesion, 5000)


def test_no_lesion_no_tumor_click() -> None:
    assert custom_tumor_clicks(np.zeros((9, 8, 7), dtype=bool), 10, np.random.default_rng(0)).shape == (0, 3)


def test_background_clicks_need_no_lesion() -> None:
    pet = np.random.default_rng(0).random((20, 20, 20))
    nowhere = np.zeros(pet.shape, dtype=bool)
    assert len(custom_background_clicks(pet, ~nowhere, 10, np.random.default_rng(0))) == 10


def test_background_without_uptake_gets_no_click() -> None:
    nowhere = np.zeros((9, 8, 7), dtype=bool)
    for pet, lesion in ((np.zeros(nowhere.shape), nowhere), (np.ones(nowhere.shape), ~nowhere)):
        assert custom_background_clicks(pet, ~lesion, 10, np.random.default_rng(0)).shape == (0, 3)


@pytest.mark.parametrize("voxel", [(4, 4, 4), (0, 4, 4), (0, 0, 0), (8, 7, 6)])
def test_one_voxel_gets_one_click(voxel: tuple[int, int, int]) -> None:
    lesion = np.zeros((9, 8, 7), dtype=bool)
    lesion[voxel] = True
    for seed in range(20):
        assert custom_tumor_clicks(lesion, 10, np.random.default_rng(seed), 3).tolist() == [list(voxel)]


@pytest.mark.parametrize("offset", [0, 3])
def test_lesion_smaller_than_the_budget_is_clicked_all_over(offset: int) -> None:
    lesion = np.zeros((9, 9, 9), dtype=bool)
    lesion[4:6, 4:6, 4:6] = True
    assert len(custom_tumor_clicks(lesion, 10, np.random.default_rng(0), offset)) == 8


def test_lesion_that_fills_the_volume() -> None:
    lesion = np.ones((5, 5, 5), dtype=bool)
    clicks = custom_tumor_clicks(lesion, 10, np.random.default_rng(0), 0)
    check_clicks(clicks, lesion, 10)
    assert len(clicks) == 10


def test_every_lesion_is_chosen_as_often() -> None:
    lesion = np.zeros((5, 5, 30), dtype=bool)
    lesion[2, 2, 2::6] = True
    lesion[1:4, 1:4, 25:28] = True  # size gives no advantage
    labels, count = ndimage.label(lesion, NEIGHBORS_26)
    assert count == 5
    generator = np.random.default_rng(0)
    chosen = [labels[tuple(click)] for _ in range(500) for click in custom_tumor_clicks(lesion, 2, generator, 0)]
    assert len(chosen) == 1000
    assert stats.chisquare(np.bincount(chosen, minlength=6)[1:]).pvalue > SIGNIFICANCE


def test_a_moved_click_stays_in_its_lesion() -> None:
    lesion = np.zeros((5, 5, 9), dtype=bool)
    lesion[1:4, 1:4, 1:4] = lesion[1:4, 1:4, 5:8] = True
    generator = np.random.default_rng(0)
    clicks = [custom_tumor_clicks(lesion, 2, generator)[:, 2] for _ in range(200)]
    assert all(min(x) < 4 < max(x) for x in clicks)


def test_tumor_clicks_are_distributed_as_described() -> None:
    lesion = make_ball((11, 11, 11), (5, 5, 5), 4)
    depth = ndimage.distance_transform_edt(lesion)
    generator = np.random.default_rng(1)

    def expected(low: float, high: float, region: np.ndarray) -> float:
        weight = generator.uniform(low, high)
        score = weight * depth / depth.max() + (1 - weight) * generator.random(depth.shape)
        return float(depth.flat[np.argmax(np.where(region, score, -1))])

    clicks = [custom_tumor_clicks(lesion, 2, generator, offset=0) for _ in range(800)]
    first, second = (np.array([depth[tuple(pair[index])] for pair in clicks]) for index in range(2))
    assert second.max() < 3
    shell = lesion & (depth < 3)
    assert stats.ttest_ind(first, [expected(0.4, 0.9, lesion) for _ in range(800)]).pvalue > SIGNIFICANCE
    assert stats.ttest_ind(second, [expected(0.2, 0.6, shell) for _ in range(800)]).pvalue > SIGNIFICANCE


def test_background_follows_uptake() -> None:
    pet = np.full((20, 20, 20), 0.1)
    pet[3, 3, :] = 3.0
    pet[8, 8, :] = 1.0
    nowhere = np.zeros(pet.shape, dtype=bool)
    generator = np.random.default_rng(0)
    # 40 of 8000 voxels stand out, so that the 98th percentile is the level of all others, of which there are 7960
    drawn = np.array([pet[tuple(custom_background_clicks(pet, ~nowhere, 1, generator)[0])] for _ in range(3000)])
    counts = [np.isclose(drawn, level).sum() for level in (3.0, 1.0, 0.1)]
    uptake = np.array([3.0 * 20, 1.0 * 20, 0.1 * 7960])
    assert stats.chisquare(counts, 3000 * uptake / uptake.sum()).pvalue > SIGNIFICANCE


def test_seeds_reproduce() -> None:
    pet, lesion = make_random_case(3)

    def draw(seed: int) -> list[list[int]]:
        generator = np.random.default_rng(seed)
        tumor = custom_tumor_clicks(lesion, 10, generator, 3)
        background = custom_background_clicks(pet, ~lesion, 10, generator)
        found: list[list[int]] = np.concatenate([tumor, background]).tolist()
        return found

    assert draw(7) == draw(7)
    assert all(draw(a) != draw(b) for a, b in pairwise(range(5)))
