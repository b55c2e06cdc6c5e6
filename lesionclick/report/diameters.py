"""Diameters of lesions: how long each is at most within one axial slice."""

from collections.abc import Sequence

import numpy as np
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist


def axial_axis(direction: Sequence[float]) -> int:
    """The axis of indices (of x, y, z) that runs most nearly from feet to head.

    Args:
        direction: 3 x 3 cosines, row by row, of a `Geometry`.
    """
    return int(np.abs(np.reshape(direction, (3, 3))[2]).argmax())


def largest_axial_diameter(voxels_xyz: np.ndarray, spacing: Sequence[float], axis: int) -> float:
    """The longest distance across a lesion within one axial slice, from edge to edge.

    Edges are the middles of voxels' faces, halfway between a voxel of the lesion and the one beside it, which is where
    a mesh about the lesion has its corners: a row of n voxels is n voxels long. Parts that a slice cuts from one
    lesion count together.

    Args:
        voxels_xyz: all voxels of the lesion, indices (n, 3), at least one.
        spacing: mm, x, y, z.
        axis: along which slices are stacked, see `axial_axis`.

    Returns:
        mm.
    """
    across = [other for other in range(3) if other != axis]
    steps = np.asarray(spacing)[across]
    order = np.argsort(voxels_xyz[:, axis], kind="stable")
    starts = np.flatnonzero(np.diff(voxels_xyz[order, axis])) + 1
    return max(_diameter(each * steps, steps) for each in np.split(voxels_xyz[order][:, across], starts))


def _diameter(centers: np.ndarray, steps: np.ndarray) -> float:
    """The farthest distance between middles of edges of pixels with these centers, (n, 2), all in mm."""
    halves = np.array([(0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5)]) * steps
    edges = (centers[:, None] + halves).reshape(-1, 2)
    return float(pdist(edges[ConvexHull(edges).vertices]).max())
