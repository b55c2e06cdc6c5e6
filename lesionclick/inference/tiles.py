"""Where the sliding window stands, and how much each voxel of a tile counts."""

import dataclasses
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
    """What a window has to cover.

    Attributes:
        mask: boolean, of the volume's shape.
        margin: voxels round it, along each axis, that belong to it too.
        movable: axes along which tiles need not stand where those of the whole volume do.
    """

    mask: np.ndarray
    margin: Sequence[int] = (0, 0, 0)
    movable: Sequence[int] = ()

    def padded(self, padding: Sequence[tuple[int, int]]) -> "Region":
        """The region in a volume with that many voxels more before and after each axis."""
        return dataclasses.replace(self, mask=np.pad(self.mask, padding))


def padding(shape: Sequence[int], patch: Sequence[int]) -> list[tuple[int, int]]:
    """Voxels to add before and after each axis so that a volume holds at least one patch, centred as nnU-Net does."""
    missing = [max(0, size - length) for length, size in zip(shape, patch, strict=True)]
    return [(total // 2, total - total // 2) for total in missing]


def place_tiles(shape: Sequence[int], patch: Sequence[int], region: Region | None = None) -> list[Tile]:
    """The window's positions over a volume, evenly spread, overlapping by half a patch or a little more.

    A voxel belongs to the cell of the tile that counts most there, whose centre is nearest along each axis. With a
    region, tiles stand where those of the whole volume do, so that they give what these give, but only those are there
    whose cell holds some of the region. Along a movable axis they are spread over the region alone, or over what a row
    of tiles holds of it, where that takes fewer.

    Args:
        shape: the volume's, no smaller than the patch along any axis.
        patch: the window's.
        region: what to cover; None for everything.
    """
    if region is None:
        along_z, along_y, along_x = (_spread(0, *each) for each in zip(shape, shape, patch, strict=True))
        return list(itertools.product(along_z, along_y, along_x))
    result: list[Tile] = []
    for z, cell_z in _positions(region, 0, region.mask, patch):
        row = region.mask[_around(cell_z, region.margin[0])]
        across = itertools.product(_positions(region, 1, row, patch), _positions(region, 2, row, patch))
        for (y, cell_y), (x, cell_x) in across:
            if row[:, _around(cell_y, region.margin[1]), _around(cell_x, region.margin[2])].any():
                result.append((z, y, x))
    return result


def _positions(region: Region, axis: int, mask: np.ndarray, patch: Sequence[int]) -> list[tuple[slice, slice]]:
    """Tiles and their cells along an axis over what a mask, all of a region's or that of a row of tiles, has there."""
    occupied = np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis})))
    if not len(occupied):
        return []
    size, length, margin = region.mask.shape[axis], patch[axis], region.margin[axis]
    start, stop = max(0, occupied[0] - margin), min(size, occupied[-1] + 1 + margin)
    everywhere = _with_cells(_spread(0, size, size, length), size)
    touched = [(tile, cell) for tile, cell in everywhere if cell.start < stop and start < cell.stop]
    anew = _with_cells(_spread(start, stop, size, length), size)
    return anew if axis in region.movable and len(anew) < len(touched) else touched


def _around(cell: slice, margin: int) -> slice:
    return slice(max(0, cell.start - margin), cell.stop + margin)


def _spread(start: int, stop: int, size: int, length: int) -> list[slice]:
    """Tiles along an axis of `size` voxels that cover those from start to stop."""
    missing = max(0, length - (stop - start))
    first = int(np.clip(start - missing // 2, 0, size - length))
    (steps,) = compute_steps_for_sliding_window((max(int(stop), first + length) - first,), (length,), STEP)
    return [slice(first + step, first + step + length) for step in steps]


def _with_cells(along: Sequence[slice], size: int) -> list[tuple[slice, slice]]:
    """Each tile along an axis with its cell: from halfway to the tile before it to halfway to the one behind."""
    centres = [(tile.start + tile.stop) / 2 for tile in along]
    borders = [0, *(round((first + second) / 2) for first, second in itertools.pairwise(centres)), size]
    return list(zip(along, itertools.starmap(slice, itertools.pairwise(borders)), strict=True))


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
