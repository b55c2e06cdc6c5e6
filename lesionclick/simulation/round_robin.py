"""Round-robin clicks: one for each component, and one more for each while there are clicks left."""

from collections.abc import Callable

import numpy as np

from lesionclick.simulation.components import Component, to_zyx

Score = Callable[[Component, bool, np.random.Generator], np.ndarray]
"""One value for each voxel of a component, of which the highest is clicked and -inf never.

It is given the component, whether this is the component's first click, and the generator for random choices.
"""


def click_round_robin(
    components: list[Component],
    regions: list[np.ndarray],
    shape: tuple[int, ...],
    budget: int,
    score: Score,
    generator: np.random.Generator,
    offset: int,
) -> np.ndarray:
    """One click for each component and round, until the budget is spent or no component has a voxel left to click.

    Args:
        components: what gets clicks, in this order.
        regions: for each component, the voxels (flat indices) that its clicks may be moved to.
        shape: the volume's.
        budget: the most clicks in all.
        score: see `Score`.
        generator: what every random choice comes from.
        offset: the most voxels that a click is moved by along each axis.

    Returns:
        int64 array of shape (clicks, 3), z, y, x.
    """
    clicks: list[int] = []
    is_first = True
    open_components = list(zip(components, regions, strict=True))
    while open_components and len(clicks) < budget:
        still_open = []
        for component, region in open_components[: budget - len(clicks)]:
            free = np.isin(component.voxels, clicks, invert=True)
            scores = np.where(free, score(component, is_first, generator), -np.inf)
            best = int(np.argmax(scores))
            if scores[best] > -np.inf:
                clicks.append(jitter_click(int(component.voxels[best]), region, shape, clicks, generator, offset))
                still_open.append((component, region))
        open_components, is_first = still_open, False
    return to_zyx(clicks, shape)


def jitter_click(
    voxel: int,
    region: np.ndarray,
    shape: tuple[int, ...],
    taken: list[int],
    generator: np.random.Generator,
    offset: int,
) -> int:
    """A voxel moved at random by up to `offset` along each axis; itself where that leaves the region or meets a click.

    Args:
        voxel: flat index.
        region: flat indices of the voxels that the click may fall on.
        shape: the volume's.
        taken: flat indices of the clicks so far.
        generator: what the random choice comes from.
        offset: in voxels, 0 or more.

    Returns:
        A flat index.
    """
    point = np.array(np.unravel_index(voxel, shape)) + generator.integers(-offset, offset, size=3, endpoint=True)
    if np.any(point < 0) or np.any(point >= shape):
        return voxel
    moved = int(np.ravel_multi_index(tuple(point), shape))
    return moved if moved not in taken and np.any(region == moved) else voxel
