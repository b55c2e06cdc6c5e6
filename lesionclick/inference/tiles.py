"""Tiles of the sliding window: where they stand, and how much each voxel of a tile counts."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from nnunetv2.inference.sliding_window_prediction import compute_gaussian, compute_steps_for_sliding_window

STEP = 0.5  # of the patch, nnU-Net's default

DOMINANT_SHARE = 0.01
"""A tile is dominant at a voxel where it has at least this share of the importance of all tiles there."""

Tile = tuple[slice, slice, slice]


class TileStart(NamedTuple):
    """A tile's first voxel, which tells it from the other tiles of a grid."""

    z: int
    y: int
    x: int

    @classmethod
    def of(cls, tile: Tile) -> "TileStart":
        """The first voxel of a tile."""
        return cls(*(axis.start for axis in tile))


@dataclass(frozen=True, eq=False)
class Region:
    """What tiles have to cover.

    Attributes:
        mask: boolean, of the volume's shape.
        margin: voxels around it, along each axis, that belong to it too.
    """

    mask: np.ndarray
    margin: Sequence[int] = (0, 0, 0)


@dataclass(frozen=True)
class TileGrid:
    """All tiles of a volume, which overlap by half a patch or a little more, as nnU-Net places them.

    A volume smaller than the patch is padded to it, centered, as in nnU-Net; tiles count voxels of the padded volume.

    Attributes:
        shape: of the volume, voxels.
        patch: size of a tile, voxels.
    """

    shape: tuple[int, ...]
    patch: tuple[int, ...]

    @property
    def padding(self) -> list[tuple[int, int]]:
        """Voxels that the padded volume has more before and after each axis."""
        missing = [max(0, size - length) for length, size in zip(self.shape, self.patch, strict=True)]
        return [(total // 2, total - total // 2) for total in missing]

    @property
    def padded_shape(self) -> tuple[int, ...]:
        """Of the padded volume, voxels."""
        return tuple(max(length, size) for length, size in zip(self.shape, self.patch, strict=True))

    def pad(self, volume: np.ndarray) -> np.ndarray:
        """A volume with 0 around it, (..., *padded_shape); itself where nothing is missing."""
        padding = self.padding
        if not any(before + behind for before, behind in padding):
            return volume
        return np.pad(volume, [(0, 0)] * (volume.ndim - 3) + padding)

    def crop(self, volume: torch.Tensor) -> torch.Tensor:
        """The way back from `pad`, for a volume of `padded_shape`."""
        starts = (before for before, _ in self.padding)
        return volume[tuple(slice(start, start + size) for start, size in zip(starts, self.shape, strict=True))]

    @cached_property
    def tiles(self) -> tuple[Tile, ...]:
        """Every tile, in the order z, y, x of their first voxels."""
        axes = zip(self.padded_shape, self.patch, strict=True)
        return tuple(itertools.product(*(tiles_along_axis(*each) for each in axes)))  # type: ignore[arg-type]

    def tiles_covering(self, region: Region | None = None) -> tuple[Tile, ...]:
        """The tiles that a region needs, in the order of `tiles`; all of them without a region.

        A voxel belongs to the cell of the tile that counts most there, whose center is nearest along each axis. The
        tiles whose cell, with the margin around it, holds some of the region are taken.
        """
        if region is None:
            return self.tiles
        mask = self.pad(region.mask)
        axes = zip(self.padded_shape, self.patch, region.margin, strict=True)
        cells = itertools.product(*(_cells_along_axis(*each) for each in axes))
        return tuple(tile for tile, cell in zip(self.tiles, cells, strict=True) if mask[cell].any())

    @cached_property
    def importance(self) -> torch.Tensor:
        """How much each voxel of a tile counts: a Gaussian of sigma patch / 8 about the center.

        Scaled and rounded as nnU-Net does it: 10 at the center, in steps of float16 and nowhere below its least number.

        Returns:
            float32 tensor of the patch's shape.
        """
        scaled = {"sigma_scale": 1 / 8, "value_scaling_factor": 10, "dtype": torch.float16}
        gaussian: torch.Tensor = compute_gaussian(tuple(self.patch), device=torch.device("cpu"), **scaled)
        return gaussian.float()

    @cached_property
    def total_importance(self) -> torch.Tensor:
        """The importance of all tiles at each voxel, float32 of `padded_shape`."""
        return self.sum_importance(self.tiles)

    def sum_importance(self, tiles: Sequence[Tile]) -> torch.Tensor:
        """The importance of some tiles at each voxel, float32 of `padded_shape`; 0 where none of them stands."""
        total = torch.zeros(self.padded_shape)
        for tile in tiles:
            total[tile] += self.importance
        return total

    def dominant(self, tile: Tile) -> torch.Tensor:
        """Where a tile is dominant: boolean of the patch's shape.

        It goes by all tiles of the grid, whichever of them are computed, so that it depends on the tile alone.
        """
        return self.importance >= DOMINANT_SHARE * self.total_importance[tile]


def tiles_along_axis(size: int, length: int) -> list[slice]:
    """Tiles of a length along an axis of a size that is not smaller, evenly spread."""
    (steps,) = compute_steps_for_sliding_window((size,), (length,), STEP)
    return [slice(step, step + length) for step in steps]


def _cells_along_axis(size: int, length: int, margin: int) -> list[slice]:
    """Each tile's cell along an axis, from halfway to the tile before it to halfway to the next, and a margin."""
    tiles = tiles_along_axis(size, length)
    centers = [(tile.start + tile.stop) / 2 for tile in tiles]
    borders = [0, *(round((first + second) / 2) for first, second in itertools.pairwise(centers)), size]
    return [slice(max(0, start - margin), stop + margin) for start, stop in itertools.pairwise(borders)]
