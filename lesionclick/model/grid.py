"""The network's grid: where it lies in the image, and where clicks fall on it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from lesionclick.case.clicks import Click
from lesionclick.case.image_header import in_words
from lesionclick.case.memory import available_memory
from lesionclick.errors import CaseError

VOXEL_BYTES = 20
"""Of memory that a voxel of the networks' grid takes at the most while images are made ready, above what is there."""


@dataclass(frozen=True)
class NetworkGrid:
    """Where the network's grid lies in the image.

    All shapes and spacings but `image_shape` are in the order of the network's axes, which are the image's axes
    z, y, x after `transpose`.

    Attributes:
        transpose: the image's axis behind each of the network's axes.
        image_shape: size of the image, z, y, x, in voxels.
        crop_start: first voxel of the non-zero box.
        cropped_shape: size of that box in the image's voxels.
        shape: size of the box in the network's voxels.
        image_spacing: mm.
        spacing: mm, of the network's voxels.
    """

    transpose: tuple[int, ...]
    image_shape: tuple[int, ...]
    crop_start: tuple[int, ...]
    cropped_shape: tuple[int, ...]
    shape: tuple[int, ...]
    image_spacing: tuple[float, ...]
    spacing: tuple[float, ...]


def require_grid(grid: NetworkGrid) -> None:
    """Raises CaseError, with the figures, where the networks' grid has more voxels than memory has room for."""
    needed, available = VOXEL_BYTES * math.prod(grid.shape), available_memory()
    if needed > available:
        raise CaseError(
            f"the image has {in_words(grid.shape)} voxels on the networks' grid of {in_words(grid.spacing)} mm, which"
            f" take {needed / 2**30:.1f} GB of memory, but {available / 2**30:.1f} GB are free"
        )


def to_network_grid(clicks: Iterable[Click], grid: NetworkGrid) -> np.ndarray:
    """Where clicks fall on the network's grid.

    The crop's start is subtracted once, the result scaled by new size over old size and rounded half to even, as the
    published method does (less its second subtraction of the crop's start).

    Returns:
        int64 array of shape (clicks, 3) in the order of the grid's axes. A point may lie outside the grid, when it was
        cropped away or rounded past the end.
    """
    indices_zyx = np.array([(click.z, click.y, click.x) for click in clicks], dtype=np.float64).reshape(-1, 3)
    inside_crop = indices_zyx[:, list(grid.transpose)] - np.array(grid.crop_start)
    scale = np.array(grid.shape) / np.array(grid.cropped_shape)
    points: np.ndarray = np.round(inside_crop * scale).astype(np.int64)
    return points
