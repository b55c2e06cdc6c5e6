"""Scribbles: lines of voxels in one axial slice of an error, as autoPET V's simulated reader draws them.

What they look like follows the organizers' public simulator; the code is our own. docs/evaluation.md says where the
challenge's own descriptions disagree.
"""

import numpy as np
from scipy import ndimage
from scipy.spatial.distance import cdist

from lesionclick.simulation.components import to_zyx
from lesionclick.simulation.interaction import Scribble

TRIMMED_PART = 10  # one tenth of a centerline is left out at each end

BOUNDARY_PART = 5  # a walk takes one step for five voxels of the boundary

FEWEST_STEPS = 2  # of a walk, where the boundary has the voxels for it

NEIGHBORS_8 = np.ones((3, 3))

STEPS = ((-1, 0), (0, -1), (0, 1), (1, 0), (-1, -1), (-1, 1), (1, -1), (1, 1))
"""To the neighbors in a slice (y, x). Edges first, for a walk that cuts a corner may come back and be stuck."""


def draw_scribble(
    voxels: np.ndarray, shape: tuple[int, ...], scribble: Scribble, generator: np.random.Generator
) -> np.ndarray:
    """A scribble in the axial slice of a component that has most of its voxels (the first of several such).

    A centerline is the path through the slice's skeleton, without a tenth at each end; a skeleton of less than two
    voxels makes all of the component in that slice the scribble. A random line is straight, between two voxels at
    random; where it leaves the component it is not drawn. A boundary is a walk along a fifth of the inner boundary.

    Args:
        voxels: flat indices of the component in a volume, at least one, ascending.
        shape: the volume's, z, y, x.
        scribble: how the line runs.
        generator: what random choices come from.

    Returns:
        int64 array of shape (points, 3), z, y, x; at least one point, none twice, all in the component and one slice.
    """
    starts = np.searchsorted(voxels, np.arange(shape[0] + 1) * shape[1] * shape[2])  # of each slice's voxels
    z = int(np.diff(starts).argmax())
    points_yx = to_zyx(voxels[starts[z] : starts[z + 1]], shape)[:, 1:]
    corner = points_yx.min(axis=0) - 1  # a rim of nothing, so that an image's border bounds a component too
    area = np.zeros(points_yx.max(axis=0) - corner + 2, dtype=bool)
    area[tuple((points_yx - corner).T)] = True
    if scribble == Scribble.centerline:
        line = _centerline(area)
    elif scribble == Scribble.random_line:
        line = _random_line(area, generator)
    else:
        line = _boundary_walk(area, generator)
    return np.insert(line + corner, 0, z, axis=1)


def _centerline(area: np.ndarray) -> np.ndarray:
    """The path between the two voxels of the skeleton's largest part that are farthest from each other."""
    from skimage.graph import route_through_array  # slow to import and only needed here
    from skimage.morphology import skeletonize

    parts, _ = ndimage.label(skeletonize(area), NEIGHBORS_8)  # cc3d 4.1 goes wrong with 8 neighbors
    sizes = np.bincount(parts.ravel())[1:]
    if sizes.max(initial=0) < 2:
        return np.argwhere(area)
    skeleton = parts == 1 + sizes.argmax()
    # Of each row only the first and the last voxel can belong to the pair.
    voxels = np.argwhere(skeleton)
    is_first = np.append(True, np.diff(voxels[:, 0]) != 0)
    ends = voxels[is_first | np.append(is_first[1:], True)]
    start, stop = np.unravel_index(cdist(ends, ends).argmax(), (len(ends), len(ends)))
    # A path never enters a voxel of negative cost.
    path, _ = route_through_array(np.where(skeleton, 1, -1), ends[start], ends[stop], geometric=False)
    trimmed = len(path) // TRIMMED_PART
    return np.array(path, dtype=np.int64)[trimmed : len(path) - trimmed]


def _random_line(area: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The voxels of the area on the line between two of them."""
    from skimage.draw import line  # slow to import and only needed here

    voxels = np.argwhere(area)
    start, stop = voxels[generator.integers(len(voxels), size=2)]
    on_line = np.stack(line(*start, *stop), axis=1)
    inside: np.ndarray = on_line[area[tuple(on_line.T)]]
    return inside


def _boundary_walk(area: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Voxels of the area that touch its outside, each next to the one before, from a random one on."""
    from skimage.segmentation import find_boundaries  # slow to import and only needed here

    left = find_boundaries(area, mode="inner")
    rim = np.argwhere(left)
    walk = [rim[generator.integers(len(rim))]]
    left[tuple(walk[0])] = False
    for _ in range(max(FEWEST_STEPS, len(rim) // BOUNDARY_PART)):
        around = walk[-1] + np.array(STEPS)
        free = np.flatnonzero(left[tuple(around.T)])
        if not free.size:
            break
        if len(walk) == 1:  # the direction; from here on there is but one
            free = generator.permutation(free)
        walk.append(around[free[0]])
        left[tuple(walk[-1])] = False
    return np.array(walk)
