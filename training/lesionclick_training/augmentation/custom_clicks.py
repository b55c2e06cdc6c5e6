"""Custom scheme of clicks in training (arXiv 2508.21680); the challenge's is `simulation.official_clicks`."""

import numpy as np

from lesionclick.simulation.components import Component, choose_components, to_zyx
from lesionclick.simulation.round_robin import click_round_robin

CUSTOM_PERCENTILE = 98.0  # of the PET outside of lesions

SHELL_DEPTH = 3.0  # voxels; further custom clicks fall where a lesion is less deep than this

FIRST_DEPTH_WEIGHT = (0.4, 0.9)  # how much depth counts against noise, for a lesion's first custom click

FURTHER_DEPTH_WEIGHT = (0.2, 0.6)  # and for its further ones


def custom_tumor_clicks(
    lesion_zyx: np.ndarray, budget: int, generator: np.random.Generator, offset: int = 3
) -> np.ndarray:
    """Clicks on lesions by the custom scheme: somewhere deep inside first, then nearer to the surface.

    At most `budget` lesions (26 neighbors) are chosen at random and get one click each in turn: the voxel with the
    highest weighted mean of relative depth and uniform noise; from the second click on, among those less than 3
    voxels deep and with more noise.

    Args:
        lesion_zyx: bool, the true lesions.
        budget: the most clicks to draw, 0 or more.
        generator: what every random choice comes from.
        offset: each click is moved at random by up to so many voxels an axis, within its lesion; see `move_click`.

    Returns:
        int64 array of shape (clicks, 3), z, y, x.
    """
    components = choose_components(lesion_zyx, budget, generator)
    regions = [_mask_of(component, lesion_zyx.shape) for component in components]
    return click_round_robin(components, regions, lesion_zyx.shape, budget, _custom_score, generator, offset)


def custom_background_clicks(
    pet_zyx: np.ndarray, healthy_zyx: np.ndarray, budget: int, generator: np.random.Generator
) -> np.ndarray:
    """Clicks outside of lesions by the custom scheme: among hot voxels, with a probability proportional to uptake.

    Args:
        pet_zyx: uptake as the network sees it, normalized; where it is 0 or less no click falls.
        healthy_zyx: bool, the voxels of the image that are known to be in no lesion.
        budget: the most clicks to draw, 0 or more.
        generator: what every random choice comes from.

    Returns:
        int64 array of shape (clicks, 3), z, y, x; all healthy, above 0 and at or above the 98th percentile of the
        healthy voxels.
    """
    if not budget or not healthy_zyx.any():
        return to_zyx([], healthy_zyx.shape)
    threshold = np.percentile(pet_zyx[healthy_zyx], CUSTOM_PERCENTILE, overwrite_input=True)
    candidates = np.flatnonzero((pet_zyx >= threshold) & (pet_zyx > 0) & healthy_zyx)
    if not candidates.size:
        return to_zyx([], healthy_zyx.shape)
    uptake = pet_zyx.ravel()[candidates].astype(np.float64)
    count = min(budget, candidates.size)
    chosen = generator.choice(candidates, count, replace=False, p=uptake / uptake.sum())
    return to_zyx(chosen, healthy_zyx.shape)


def _mask_of(component: Component, shape: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask.ravel()[component.voxels] = True
    return mask


def _custom_score(component: Component, is_first: bool, generator: np.random.Generator) -> np.ndarray:
    weight = generator.uniform(*(FIRST_DEPTH_WEIGHT if is_first else FURTHER_DEPTH_WEIGHT))
    noise = generator.random(component.depths.size)
    score = weight * component.depths / component.depths.max() + (1 - weight) * noise
    return score if is_first else np.where(component.depths < SHELL_DEPTH, score, -np.inf)
