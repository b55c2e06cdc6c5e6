"""Round-robin clicks: one for each component, and one more for each while there are clicks left."""

from collections.abc import Callable

import numpy as np

from lesionclick.simulation.components import Component, to_zyx

MOVES = 10  # tries to move a click before it stays where it is (the challenge's official code)

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
        regions: for each component, where its clicks may be moved to: bool, of the volume's shape.
        shape: the volume's.
        budget: the most clicks in all.
        score: see `Score`.
        generator: what every random choice comes from.
        offset: the most voxels that a click is moved by along each axis; see `move_click`.

    Returns:
        int64 array of shape (clicks, 3), z, y, x.
    """
    clicks: list[int] = []
    taken = np.zeros(shape, dtype=bool)
    is_first = True
    open_components = list(zip(components, regions, strict=True))
    while open_components and len(clicks) < budget:
        still_open = []
        for component, region in open_components[: budget - len(clicks)]:
            free = ~taken.ravel()[component.voxels]
            scores = np.where(free, score(component, is_first, generator), -np.inf)
            best = int(np.argmax(scores))
            if scores[best] > -np.inf:
                click = move_click(int(component.voxels[best]), region, taken, generator, offset)
                taken.ravel()[click] = True
                clicks.append(click)
                still_open.append((component, region))
        open_components, is_first = still_open, False
    return to_zyx(clicks, shape)


def move_click(voxel: int, region: np.ndarray, taken: np.ndarray, generator: np.random.Generator, offset: int) -> int:
    """A voxel moved at random by up to `offset` along each axis.

    A move fails where it leaves the volume or the region, or meets another click; after ten that fail the click stays.
    To move by nothing is a move like any other.

    Args:
        voxel: flat index.
        region: bool, the volume with those voxels that the click may be moved to.
        taken: bool, the volume with those voxels that are clicked already.
        generator: what the random choices come from.
        offset: in voxels, 0 or more.

    Returns:
        A flat index.
    """
    moves = generator.integers(-offset, offset, size=(MOVES, 3), endpoint=True)
    points = np.array(np.unravel_index(voxel, region.shape)) + moves
    points = points[((points >= 0) & (points < region.shape)).all(axis=1)]
    moved = np.ravel_multi_index(tuple(points.T), region.shape)
    allowed = moved[region.ravel()[moved] & ~taken.ravel()[moved]]
    return int(allowed[0]) if allowed.size else voxel
