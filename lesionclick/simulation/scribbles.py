"""Scribbles: lines of voxels that a simulated reader draws in an error."""

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from lesionclick.simulation.components import deepest_voxel, to_zyx
from lesionclick.simulation.interaction import Scribble

WALK_STEPS = 2  # of a random walk, for each voxel of the longest side of the error's bounding box


def draw_scribble(
    voxels: np.ndarray, shape: tuple[int, ...], scribble: Scribble, generator: np.random.Generator
) -> np.ndarray:
    """A scribble inside a component.

    Args:
        voxels: flat indices of the component in a volume.
        shape: the volume's, z, y, x.
        scribble: how the line runs.
        generator: what a random walk is drawn from.

    Returns:
        int64 array of shape (points, 3), z, y, x; at least one point, none twice, all in the component.
    """
    points = to_zyx(voxels, shape)
    corner = points.min(axis=0)
    box = np.zeros(points.max(axis=0) - corner + 1, dtype=bool)
    box[tuple((points - corner).T)] = True
    start = deepest_voxel(voxels, shape) - corner
    draw: dict[Scribble, Callable[[], np.ndarray]] = {
        Scribble.centerline: lambda: _centerline(box, start),
        Scribble.border: lambda: _border(box),
        Scribble.random_walk: lambda: _random_walk(box, start, generator),
    }
    line: np.ndarray = draw[scribble]().astype(np.int64) + corner
    return line


def _centerline(box: np.ndarray, start: np.ndarray) -> np.ndarray:
    """The path between the two ends farthest from each other that keeps to the middle."""
    from skimage.graph import MCP_Geometric  # slow to import and only needed here

    depths = ndimage.distance_transform_edt(np.pad(box, 1))[1:-1, 1:-1, 1:-1]
    costs = np.where(box, 1 / np.maximum(depths, 1), -1)  # a path never enters a voxel of negative cost
    for _ in range(2):  # the farthest voxel from anywhere is an end, and the farthest from there the other
        paths = MCP_Geometric(costs)
        reached, _ = paths.find_costs([tuple(start)])
        start = np.array(np.unravel_index(np.where(box, reached, -1).argmax(), box.shape))
    return np.array(paths.traceback(tuple(start)))


def _border(box: np.ndarray) -> np.ndarray:
    """The rim of the axial slice with the most voxels."""
    z = int(box.sum(axis=(1, 2)).argmax())
    rim = box[z] & ~ndimage.binary_erosion(box[z])
    return np.insert(np.argwhere(rim), 0, z, axis=1)


def _random_walk(box: np.ndarray, start: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Steps to random neighbors (26) from a voxel on; a step that would leave the component is not taken."""
    walk = [start]
    for step in generator.integers(-1, 1, size=(WALK_STEPS * max(box.shape), 3), endpoint=True):
        point = walk[-1] + step
        if (point >= 0).all() and (point < box.shape).all() and box[tuple(point)]:
            walk.append(point)
    return np.unique(walk, axis=0)
