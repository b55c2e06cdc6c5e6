"""Where the sliding window stands, and how much each voxel of a tile counts."""

import itertools
from collections.abc import Sequence

import torch
from nnunetv2.inference.sliding_window_prediction import compute_gaussian, compute_steps_for_sliding_window

STEP = 0.5  # of the patch, nnU-Net's default

Tile = tuple[slice, slice, slice]


def padding(shape: Sequence[int], patch: Sequence[int]) -> list[tuple[int, int]]:
    """Voxels to add before and after each axis so that a volume holds at least one patch, centred as nnU-Net does."""
    missing = [max(0, size - length) for length, size in zip(shape, patch, strict=True)]
    return [(total // 2, total - total // 2) for total in missing]


def place_tiles(shape: Sequence[int], patch: Sequence[int]) -> list[Tile]:
    """The window's positions over a volume, evenly spread, overlapping by half a patch or a little more.

    Args:
        shape: the volume's, no smaller than the patch along any axis.
        patch: the window's.
    """
    starts = compute_steps_for_sliding_window(tuple(shape), tuple(patch), STEP)
    z, y, x = patch
    return [
        (slice(start_z, start_z + z), slice(start_y, start_y + y), slice(start_x, start_x + x))
        for start_z, start_y, start_x in itertools.product(*starts)
    ]


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
