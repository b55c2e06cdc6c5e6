"""Where the sliding window stands, and how much each voxel of a tile counts."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from nnunetv2.inference.sliding_window_prediction import compute_gaussian, compute_steps_for_sliding_window

STEP = 0.5  # of the patch, nnU-Net's default

Tile = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class Region:
    """What a window has to cover: a rectangle in each slice of a volume.

    Attributes:
        starts: integers (slices, 2), the rectangles' first voxels along the second and third axis.
        stops: the same, behind their last voxels; not beyond the start where a slice has nothing to cover.
    """

    starts: np.ndarray
    stops: np.ndarray

    @classmethod
    def whole(cls, shape: Sequence[int]) -> "Region":
        """All of a volume."""
        return cls(np.zeros((shape[0], 2), dtype=np.int64), np.tile(np.array(shape[1:], dtype=np.int64), (shape[0], 1)))

    @classmethod
    def nothing(cls, shape: Sequence[int]) -> "Region":
        """Nothing of a volume yet; `widen` adds to it."""
        everything = cls.whole(shape)
        return cls(everything.stops, everything.starts)

    @property
    def slices(self) -> np.ndarray:
        """Which slices have something to cover: a boolean each."""
        return np.all(self.starts < self.stops, axis=1)

    def widen(self, slices: slice, starts: Sequence[int], stops: Sequence[int]) -> None:
        """Widens the rectangles of some slices, in place, until they hold another one too.

        Args:
            slices: which.
            starts: the other rectangle's first voxels along the second and third axis.
            stops: behind its last voxels.
        """
        empty = ~self.slices[slices, None]
        self.starts[slices] = np.where(empty, starts, np.minimum(self.starts[slices], starts))
        self.stops[slices] = np.where(empty, stops, np.maximum(self.stops[slices], stops))

    def with_points(self, points: np.ndarray, margins: Sequence[int], shape: Sequence[int]) -> "Region":
        """The region with those points that it lacks, and voxels round each of them.

        Args:
            points: integers (n, 3); those outside the volume count nothing.
            margins: voxels on each side of a point, an axis.
            shape: the volume's.
        """
        result = Region(self.starts.copy(), self.stops.copy())
        for point in points[((points >= 0) & (points < np.array(shape))).all(axis=1)]:
            (z, *place), (margin, *others) = point, margins
            if (self.starts[z] <= place).all() and (place < self.stops[z]).all():
                continue
            low = np.maximum(0, np.subtract(place, others))
            high = np.minimum(shape[1:], np.add(place, others) + 1)
            result.widen(slice(max(0, z - margin), z + margin + 1), low, high)
        return result

    def padded(self, padding: Sequence[tuple[int, int]]) -> "Region":
        """The region in a volume with that many voxels more before and after each axis."""
        shift = [before for before, _ in padding[1:]]
        around = (padding[0], (0, 0))
        return Region(np.pad(self.starts + shift, around), np.pad(self.stops + shift, around))


def padding(shape: Sequence[int], patch: Sequence[int]) -> list[tuple[int, int]]:
    """Voxels to add before and after each axis so that a volume holds at least one patch, centred as nnU-Net does."""
    missing = [max(0, size - length) for length, size in zip(shape, patch, strict=True)]
    return [(total // 2, total - total // 2) for total in missing]


def place_tiles(shape: Sequence[int], patch: Sequence[int], region: Region | None = None) -> list[Tile]:
    """The window's positions over a volume, evenly spread, overlapping by half a patch or a little more.

    Tiles that start in one slice lie in a row of their own over the rectangle round all that they have to cover there.

    Args:
        shape: the volume's, no smaller than the patch along any axis.
        patch: the window's.
        region: what to cover; None for everything.
    """
    if region is None:
        region = Region.whole(shape)
    occupied = np.flatnonzero(region.slices)
    if not len(occupied):
        return []
    result = []
    for rows in _spread(occupied[0], occupied[-1] + 1, patch[0], shape[0]):
        inside = region.slices[rows]
        if inside.any():
            low = region.starts[rows][inside].min(axis=0)
            high = region.stops[rows][inside].max(axis=0)
            along_y, along_x = (_spread(low[axis], high[axis], patch[axis + 1], shape[axis + 1]) for axis in (0, 1))
            result += [(rows, y, x) for y, x in itertools.product(along_y, along_x)]
    return result


def _spread(start: int, stop: int, length: int, size: int) -> list[slice]:
    """Positions along an axis of `size` voxels that cover those from start to stop."""
    missing = max(0, length - (stop - start))
    first = int(np.clip(start - missing // 2, 0, size - length))
    (steps,) = compute_steps_for_sliding_window((max(int(stop), first + length) - first,), (length,), STEP)
    return [slice(first + step, first + step + length) for step in steps]


def importance(patch: Sequence[int]) -> torch.Tensor:
    """How much each voxel of a tile counts: a Gaussian of sigma patch / 8 about the centre.

    Scaled and rounded as nnU-Net does it: 10 at the centre, in steps of float16 and nowhere below its least number.

    Returns:
        float32 tensor of the patch's shape.
    """
    gaussian = compute_gaussian(
        tuple(patch), sigma_scale=1 / 8, value_scaling_factor=10, dtype=torch.float16, device=torch.device("cpu")
    )
    return gaussian.float()
