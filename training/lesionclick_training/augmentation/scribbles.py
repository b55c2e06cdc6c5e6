"""Scribbles in a training patch: lines through lesions and hot healthy tissue, as readers of autoPET V draw them."""

import numpy as np

from lesionclick.simulation.components import choose_components, to_zyx
from lesionclick.simulation.interaction import Scribble
from lesionclick.simulation.official_clicks import BACKGROUND_PERCENTILE
from lesionclick.simulation.scribbles import draw_scribble


def tumor_scribbles(lesion_zyx: np.ndarray, budget: int, generator: np.random.Generator) -> np.ndarray:
    """Scribbles inside lesions: at most `budget` lesions (26 neighbors) are chosen at random and get one each.

    Args:
        lesion_zyx: bool, the true lesions.
        budget: the most scribbles to draw, 0 or more.
        generator: what every random choice comes from, the kind of each line included.

    Returns:
        int64 array of shape (points, 3), z, y, x; none twice.
    """
    kinds = list(Scribble)
    lines = [
        draw_scribble(component.voxels, lesion_zyx.shape, kinds[generator.integers(len(kinds))], generator)
        for component in choose_components(lesion_zyx, budget, generator)
    ]
    return np.concatenate(lines) if lines else to_zyx([], lesion_zyx.shape)


def background_scribbles(
    pet_zyx: np.ndarray, healthy_zyx: np.ndarray, budget: int, generator: np.random.Generator
) -> np.ndarray:
    """The same inside the hottest healthy tissue, which is where the challenge's background clicks fall.

    Args:
        pet_zyx: uptake; any scale.
        healthy_zyx: bool, the voxels of the image that are known to be in no lesion.
        budget: the most scribbles to draw, 0 or more.
        generator: what every random choice comes from.

    Returns:
        int64 array of shape (points, 3), z, y, x; none twice, all above the 99.75th percentile of the healthy voxels.
    """
    if not budget or not healthy_zyx.any():
        return to_zyx([], healthy_zyx.shape)
    threshold = np.percentile(pet_zyx[healthy_zyx], BACKGROUND_PERCENTILE, overwrite_input=True)
    return tumor_scribbles((pet_zyx > threshold) & healthy_zyx, budget, generator)
