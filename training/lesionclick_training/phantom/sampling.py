"""Sampling of smooth functions of space on a coarse grid, where the fine one would take too long."""

import numpy as np

from lesionclick_training.phantom.shapes import Distance, Grid


def sampled(function: Distance, grid: Grid, box: tuple[slice, slice, slice], coarse_mm: float = 0.0) -> np.ndarray:
    """A function's values at a box's voxels: float32; linear between points `coarse_mm` apart on a finer grid."""
    steps = [max(1, round(coarse_mm / step)) for step in grid.spacing_zyx]
    if max(steps) == 1:
        return np.asarray(function(*grid.points(box)), dtype=np.float32)
    sizes = [part.stop - part.start for part in box]
    counts = [max(2, int(np.ceil((size - 1) / step)) + 1) for size, step in zip(sizes, steps, strict=True)]
    sparse = Grid(
        (counts[0], counts[1], counts[2]),
        tuple(s * (n - 1) / (c - 1) for s, n, c in zip(grid.spacing_zyx, sizes, counts, strict=True)),
        grid.part(box).origin_zyx,
        grid.bend,
    )
    distance = np.asarray(function(*sparse.points()), dtype=np.float32)
    for axis, size in enumerate(sizes):
        distance = _stretched(distance, axis, size)
    return distance


def _stretched(values: np.ndarray, axis: int, size: int) -> np.ndarray:
    """Values with linear ones in between, so that an axis has a size; both ends stay."""
    count = values.shape[axis]
    if count == size:
        return values
    at = np.linspace(0, count - 1, size)
    lower = np.minimum(at.astype(int), count - 2)
    shape = [1, 1, 1]
    shape[axis] = size
    rest = (at - lower).astype(np.float32).reshape(shape)
    low: np.ndarray = values.take(lower, axis)
    low += rest * (values.take(lower + 1, axis) - low)
    return low
