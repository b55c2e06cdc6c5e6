"""Where the sliding window stands, and how much each voxel of a tile counts."""

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from nnunetv2.inference.sliding_window_prediction import compute_gaussian, compute_steps_for_sliding_window

STEP = 0.5  # of the patch, nnU-Net's default

Tile = tuple[slice, slice, slice]


def padding(shape: Sequence[int], patch: Sequence[int]) -> list[tuple[int, int]]:
    """Voxels to add before and after each axis so that a volume holds at least one patch, centred as nnU-Net does."""
    missing = [max(0, size - length) for length, size in zip(shape, patch, strict=True)]
    return [(total // 2, total - total // 2) for total in missing]


def place_tiles(
    shape: Sequence[int], patch: Sequence[int], region: np.ndarray | None = None, margin: Sequence[int] = (0, 0, 0)
) -> list[Tile]:
    """The window's positions over a volume, evenly spread, overlapping by half a patch or a little more.

    A voxel belongs to the cell of the tile that counts most there, whose centre is nearest along each axis. With a
    region, tiles stand where those of the whole volume do, so that they give what these give, but only those are there
    whose cell holds some of the region. Along an axis on which half as many tiles, or fewer, are enough when they are
    spread over the region alone, they are.

    Args:
        shape: the volume's, no smaller than the patch along any axis.
        patch: the window's.
        region: what to cover, boolean, of that shape; None for everything.
        margin: voxels round the region, along each axis, that belong to it too.
    """
    if region is None:
        along_z, along_y, along_x = (_spread(0, *each) for each in zip(shape, shape, patch, strict=True))
        return list(itertools.product(along_z, along_y, along_x))
    if not region.any():
        return []
    axes = []
    for axis, (size, length, more) in enumerate(zip(shape, patch, margin, strict=True)):
        occupied = np.flatnonzero(region.any(axis=tuple({0, 1, 2} - {axis})))
        start, stop = max(0, occupied[0] - more), min(size, occupied[-1] + 1 + more)
        everywhere = _with_cells(_spread(0, size, size, length), size)
        touched = [(tile, cell) for tile, cell in everywhere if cell.start < stop and start < cell.stop]
        anew = _with_cells(_spread(start, stop, size, length), size)
        axes.append(anew if 2 * len(anew) <= len(touched) else touched)
    result: list[Tile] = []
    for (z, cell_z), (y, cell_y), (x, cell_x) in itertools.product(*axes):
        around = (
            slice(max(0, cell.start - more), cell.stop + more)
            for cell, more in zip((cell_z, cell_y, cell_x), margin, strict=True)
        )
        if region[tuple(around)].any():
            result.append((z, y, x))
    return result


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
