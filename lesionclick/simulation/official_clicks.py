"""Official clicks: where the autoPET/CT IV challenge's simulated reader clicks.

A case and a `numpy.random.Generator` give clicks; the same seed gives the same ones. Every function returns voxels in
the order z, y, x, and never the same voxel twice: where a lesion's rim or a region holds too few voxels, there are
fewer clicks than asked. (The challenge's own click files repeat voxels of tiny lesions; a repeated click changes
nothing in what a network sees.)
"""

import numpy as np

from lesionclick.case.clicks import Click, Label
from lesionclick.simulation.components import Component, choose_components, to_zyx
from lesionclick.simulation.round_robin import click_round_robin

OFFICIAL_BUDGET = 10  # clicks of each label in the challenge

OFFICIAL_SEED = 42  # the challenge's

BACKGROUND_PERCENTILE = 99.75  # of the PET outside of lesions; hotter voxels get background clicks (the challenge)


def challenge_tumor_clicks(
    lesion_zyx: np.ndarray, budget: int, generator: np.random.Generator, offset: int = 0
) -> np.ndarray:
    """Clicks on lesions as the challenge draws them.

    At most `budget` lesions (26 neighbors) are chosen at random. The first click of each is its deepest voxel; while
    budget is left, the same lesions get one more each in turn, at random on their rim.

    Args:
        lesion_zyx: bool, the true lesions.
        budget: the most clicks to draw, 0 or more.
        generator: what every random choice comes from.
        offset: each click is moved at random by up to so many voxels along each axis, to any voxel of a lesion; see
            `move_click`.

    Returns:
        int64 array of shape (clicks, 3), z, y, x.
    """
    return _challenge_clicks(lesion_zyx, lesion_zyx, budget, generator, offset)


def challenge_background_clicks(
    pet_zyx: np.ndarray, healthy_zyx: np.ndarray, budget: int, generator: np.random.Generator, offset: int = 0
) -> np.ndarray:
    """Clicks on physiological uptake as the challenge draws them: like those on lesions, in the hottest healthy voxels.

    The challenge also asks for uptake other than 0. What is hotter than nearly everything else is that, where uptake
    is in SUV; where it is normalized, 0 is a value like any other.

    Args:
        pet_zyx: uptake; any scale.
        healthy_zyx: bool, the voxels of the image that are known to be in no lesion.
        budget: the most clicks to draw, 0 or more.
        generator: what every random choice comes from.
        offset: each click is moved at random by up to so many voxels along each axis, to any healthy voxel.

    Returns:
        int64 array of shape (clicks, 3), z, y, x; before they are moved all are above the 99.75th percentile of the
        healthy voxels' uptake.
    """
    if not budget or not healthy_zyx.any():
        return to_zyx([], healthy_zyx.shape)
    threshold = np.percentile(pet_zyx[healthy_zyx], BACKGROUND_PERCENTILE, overwrite_input=True)
    return _challenge_clicks((pet_zyx > threshold) & healthy_zyx, healthy_zyx, budget, generator, offset)


def simulate_official(
    pet_zyx: np.ndarray, lesion_zyx: np.ndarray, seed: int = OFFICIAL_SEED, budget: int = OFFICIAL_BUDGET
) -> tuple[Click, ...]:
    """Clicks to validate with, for a case that has no official ones: the challenge's scheme without offsets.

    Args:
        pet_zyx: uptake on the image's own grid, 0 where there is no image.
        lesion_zyx: the true lesions, 0 and 1 of any type.
        seed: of the generator.
        budget: the most clicks of each label.

    Returns:
        The tumor clicks, then the background clicks.
    """
    generator = np.random.default_rng(seed)
    lesion_zyx = lesion_zyx > 0
    drawn: tuple[tuple[Label, np.ndarray], ...] = (
        ("tumor", challenge_tumor_clicks(lesion_zyx, budget, generator)),
        ("background", challenge_background_clicks(pet_zyx, ~lesion_zyx, budget, generator)),
    )
    return tuple(Click(x, y, z, label) for label, points in drawn for z, y, x in points.tolist())


def _challenge_clicks(
    mask: np.ndarray, region: np.ndarray, budget: int, generator: np.random.Generator, offset: int
) -> np.ndarray:
    """Clicks on the components of a mask, moved within a region; both bool."""
    components = choose_components(mask, budget, generator)
    regions = [region] * len(components)
    return click_round_robin(components, regions, mask.shape, budget, _challenge_score, generator, offset)


def _challenge_score(component: Component, is_first: bool, generator: np.random.Generator) -> np.ndarray:
    if is_first:
        return component.depths
    on_rim = component.depths == component.depths.min()
    return np.where(on_rim, generator.random(on_rim.size), -np.inf)
