from collections.abc import Callable
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage, stats

from lesionclick.case.clicks import Click
from lesionclick.simulation.official_clicks import (
    challenge_background_clicks,
    challenge_tumor_clicks,
    simulate_official,
)
from lesionclick_training.augmentation.custom_clicks import custom_background_clicks, custom_tumor_clicks
from lesionclick_training.augmentation.draw_clicks import draw_count

NEIGHBOURS_26 = np.ones((3, 3, 3))
TUMOR_SCHEMES = (challenge_tumor_clicks, custom_tumor_clicks)
BACKGROUND_SCHEMES: tuple[Callable[..., np.ndarray], ...] = (
    partial(challenge_background_clicks, offset=3),
    challenge_background_clicks,
    custom_background_clicks,
)
SIGNIFICANCE = 0.001  # the seeds are fixed, so a test that passes once passes always


def make_case(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """PET with no image beyond one plane, and lesions of any size and place, those at the border included."""
    generator = np.random.default_rng(seed)
    shape = tuple(generator.integers(16, 30, size=3))
    smooth = ndimage.gaussian_filter(generator.normal(size=shape), generator.uniform(0.5, 3))
    lesion = smooth > np.quantile(smooth, generator.uniform(0.8, 0.999))
    uptake = ndimage.gaussian_filter(generator.normal(size=shape), 1)
    pet = (uptake - uptake.min() + 2 * lesion).astype(np.float32)
    pet[generator.integers(10, 16) :] = 0
    return pet, lesion


def ball(shape: tuple[int, int, int], centre: tuple[int, int, int], radius: float) -> np.ndarray:
    distances = sum(
        (axis - middle) ** 2 for axis, middle in zip(np.ogrid[tuple(map(slice, shape))], centre, strict=True)
    )
    return np.asarray(distances <= radius**2)


def check_clicks(clicks: np.ndarray, region: np.ndarray, budget: int) -> None:
    assert clicks.dtype == np.int64
    assert clicks.shape == (len(clicks), 3)
    assert len(clicks) <= budget
    assert len(np.unique(clicks, axis=0)) == len(clicks)
    assert (clicks >= 0).all()
    assert region[tuple(clicks.T)].all()


@pytest.mark.parametrize("seed", range(40))
def test_tumor_clicks_fall_in_lesions(seed: int) -> None:
    _, lesion = make_case(seed)
    generator = np.random.default_rng(seed)
    for budget in (0, 1, 3, 10, 60):
        for offset in (0, 3):
            for scheme in TUMOR_SCHEMES:
                clicks = scheme(lesion, budget, generator, offset)
                check_clicks(clicks, lesion, budget)
                if offset == 0:
                    assert len(clicks) >= min(budget, ndimage.label(lesion, NEIGHBOURS_26)[1])


@pytest.mark.parametrize("seed", range(40))
def test_background_clicks_fall_in_high_uptake_outside_of_lesions(seed: int) -> None:
    pet, lesion = make_case(seed)
    generator = np.random.default_rng(seed)
    hottest = (pet > np.percentile(pet[~lesion], 99.75)) & (pet > 0) & ~lesion
    hot = (pet >= np.percentile(pet, 98)) & (pet > 0) & ~lesion
    for budget in (0, 1, 3, 10, 60):
        for offset in (0, 3):
            check_clicks(challenge_background_clicks(pet, lesion, budget, generator, offset), hottest, budget)
        clicks = custom_background_clicks(pet, lesion, budget, generator)
        check_clicks(clicks, hot, budget)
        assert len(clicks) == min(budget, hot.sum())


@pytest.mark.parametrize("density", [0.001, 0.05, 0.3, 0.5, 0.95])
def test_no_mask_hangs(density: float) -> None:
    for seed in range(5):
        lesion = np.random.default_rng(seed).random((12, 13, 14)) < density
        for scheme in TUMOR_SCHEMES:
            for offset in (0, 3):
                check_clicks(scheme(lesion, 5000, np.random.default_rng(seed), offset), lesion, 5000)


@pytest.mark.parametrize("scheme", TUMOR_SCHEMES)
def test_no_lesion_no_tumor_click(scheme: Callable[..., np.ndarray]) -> None:
    assert scheme(np.zeros((9, 8, 7), dtype=bool), 10, np.random.default_rng(0)).shape == (0, 3)


@pytest.mark.parametrize("scheme", BACKGROUND_SCHEMES)
def test_background_clicks_need_no_lesion(scheme: Callable[..., np.ndarray]) -> None:
    pet = np.random.default_rng(0).random((20, 20, 20))
    assert len(scheme(pet, np.zeros(pet.shape, dtype=bool), 10, np.random.default_rng(0))) == 10


@pytest.mark.parametrize("scheme", BACKGROUND_SCHEMES)
def test_background_without_uptake_gets_no_click(scheme: Callable[..., np.ndarray]) -> None:
    nowhere = np.zeros((9, 8, 7), dtype=bool)
    assert scheme(np.zeros(nowhere.shape), nowhere, 10, np.random.default_rng(0)).shape == (0, 3)
    assert scheme(np.ones(nowhere.shape), ~nowhere, 10, np.random.default_rng(0)).shape == (0, 3)


@pytest.mark.parametrize("voxel", [(4, 4, 4), (0, 4, 4), (0, 0, 0), (8, 7, 6)])
@pytest.mark.parametrize("scheme", TUMOR_SCHEMES)
def test_one_voxel_gets_one_click(scheme: Callable[..., np.ndarray], voxel: tuple[int, int, int]) -> None:
    lesion = np.zeros((9, 8, 7), dtype=bool)
    lesion[voxel] = True
    for seed in range(20):
        assert scheme(lesion, 10, np.random.default_rng(seed), 3).tolist() == [list(voxel)]


@pytest.mark.parametrize("scheme", TUMOR_SCHEMES)
def test_lesion_smaller_than_the_budget_is_clicked_all_over(scheme: Callable[..., np.ndarray]) -> None:
    lesion = np.zeros((9, 9, 9), dtype=bool)
    lesion[4:6, 4:6, 4:6] = True
    for offset in (0, 3):
        assert len(scheme(lesion, 10, np.random.default_rng(0), offset)) == 8


@pytest.mark.parametrize("scheme", TUMOR_SCHEMES)
def test_lesion_that_fills_the_volume(scheme: Callable[..., np.ndarray]) -> None:
    lesion = np.ones((5, 5, 5), dtype=bool)
    clicks = scheme(lesion, 10, np.random.default_rng(0), 0)
    check_clicks(clicks, lesion, 10)
    assert len(clicks) == 10


def test_challenge_stops_where_the_rim_runs_dry() -> None:
    lesion = np.zeros((9, 9, 9), dtype=bool)
    lesion[2:7, 2:7, 2:7] = True
    clicks = challenge_tumor_clicks(lesion, 200, np.random.default_rng(0))
    assert len(clicks) == 1 + 5**3 - 3**3
    assert clicks[0].tolist() == [4, 4, 4]


@pytest.mark.parametrize("seed", range(20))
def test_challenge_first_click_is_the_deepest_voxel_and_others_lie_on_the_rim(seed: int) -> None:
    _, lesion = make_case(seed)
    labels, count = ndimage.label(lesion, NEIGHBOURS_26)
    clicks = challenge_tumor_clicks(lesion, count + 20, np.random.default_rng(seed))
    assert len(np.unique(labels[tuple(clicks[:count].T)])) == count
    for index, click in enumerate(clicks):
        component = labels == labels[tuple(click)]
        depth = ndimage.distance_transform_edt(component)
        expected = depth.max() if index < count else depth[component].min()
        assert depth[tuple(click)] == pytest.approx(expected)


def test_challenge_goes_round_the_same_lesions() -> None:
    shape = (12, 12, 60)
    lesion = np.any([ball(shape, (6, 6, x), 3) for x in (8, 22, 36, 50)], axis=0)
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
    labels, count = ndimage.label(lesion, NEIGHBOURS_26)
    assert count == 5
    generator = np.random.default_rng(0)
    for scheme in TUMOR_SCHEMES:
        chosen = [labels[tuple(click)] for _ in range(500) for click in scheme(lesion, 2, generator, 0)]
        assert len(chosen) == 1000
        assert stats.chisquare(np.bincount(chosen, minlength=6)[1:]).pvalue > SIGNIFICANCE


@pytest.mark.parametrize("offset", [1, 3])
def test_offset_moves_clicks_evenly_and_no_further(offset: int) -> None:
    lesion = ball((25, 25, 25), (12, 12, 12), 8)
    generator = np.random.default_rng(0)
    moves = np.concatenate([challenge_tumor_clicks(lesion, 1, generator, offset) - 12 for _ in range(700)])
    for axis in range(3):
        values, counts = np.unique(moves[:, axis], return_counts=True)
        assert values.tolist() == list(range(-offset, offset + 1))
        assert stats.chisquare(counts).pvalue > SIGNIFICANCE


def test_a_custom_click_stays_in_its_lesion_and_a_challenge_click_among_lesions() -> None:
    lesion = np.zeros((5, 5, 9), dtype=bool)
    lesion[1:4, 1:4, 1:4] = lesion[1:4, 1:4, 5:8] = True
    generator = np.random.default_rng(0)
    custom = [custom_tumor_clicks(lesion, 2, generator)[:, 2] for _ in range(200)]
    assert all(min(x) < 4 < max(x) for x in custom)
    challenge = [challenge_tumor_clicks(lesion, 2, generator, 3)[:, 2] for _ in range(200)]
    assert any(max(x) < 4 or min(x) > 4 for x in challenge)


def test_custom_tumor_clicks_are_distributed_as_described() -> None:
    lesion = ball((11, 11, 11), (5, 5, 5), 4)
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


def test_custom_background_follows_uptake() -> None:
    pet = np.full((20, 20, 20), 0.1)
    pet[3, 3, :] = 3.0
    pet[8, 8, :] = 1.0
    nowhere = np.zeros(pet.shape, dtype=bool)
    generator = np.random.default_rng(0)
    # 40 of 8000 voxels stand out, so that the 98th percentile is the level of all others, of which there are 7960
    drawn = np.array([pet[tuple(custom_background_clicks(pet, nowhere, 1, generator)[0])] for _ in range(3000)])
    counts = [np.isclose(drawn, level).sum() for level in (3.0, 1.0, 0.1)]
    uptake = np.array([3.0 * 20, 1.0 * 20, 0.1 * 7960])
    assert stats.chisquare(counts, 3000 * uptake / uptake.sum()).pvalue > SIGNIFICANCE


@pytest.mark.parametrize("most", [1, 3, 10])
def test_number_of_clicks_is_distributed_as_described(most: int) -> None:
    generator = np.random.default_rng(0)
    counts = np.bincount([draw_count(generator, most) for _ in range(20000)], minlength=most + 1)
    weights = np.log(np.arange(most + 2, 1, -1))
    assert len(counts) == most + 1
    assert stats.chisquare(counts, 20000 * weights / weights.sum()).pvalue > SIGNIFICANCE


def test_number_of_clicks_by_default_is_0_to_10_with_its_mean_below_the_middle() -> None:
    generator = np.random.default_rng(0)
    counts = [draw_count(generator) for _ in range(5000)]
    assert (min(counts), max(counts)) == (0, 10)
    assert draw_count(generator, most=0) == 0
    weights = np.log(12 - np.arange(11))
    assert np.mean(counts) == pytest.approx(np.average(np.arange(11), weights=weights), abs=0.15)


def test_seeds_reproduce() -> None:
    pet, lesion = make_case(3)

    def draw(seed: int) -> list[list[int]]:
        generator = np.random.default_rng(seed)
        parts = [scheme(lesion, 10, generator, 3) for scheme in TUMOR_SCHEMES]
        parts += [scheme(pet, lesion, 10, generator) for scheme in BACKGROUND_SCHEMES]
        return np.concatenate(parts).tolist()

    assert draw(7) == draw(7)
    assert all(draw(a) != draw(b) for a, b in pairwise(range(5)))


def test_official_clicks() -> None:
    generator = np.random.default_rng(0)
    lesion = ball((30, 40, 50), (12, 20, 35), 5)
    pet = ndimage.gaussian_filter(generator.random(lesion.shape), 1)
    clicks = simulate_official(pet, lesion)
    assert [click.label for click in clicks] == ["tumor"] * 10 + ["background"] * 10
    assert clicks[0] == Click(35, 20, 12, "tumor")
    assert all(lesion[click.z, click.y, click.x] == (click.label == "tumor") for click in clicks)
    assert clicks == simulate_official(pet, lesion, seed=42, budget=10)
    assert clicks != simulate_official(pet, lesion, seed=43)
    assert len(simulate_official(pet, lesion, budget=3)) == 6
    assert {click.label for click in simulate_official(pet, np.zeros_like(lesion))} == {"background"}
