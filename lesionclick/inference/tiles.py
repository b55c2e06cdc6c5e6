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

NEGLIGIBLE_SHARE = 5e-4
"""A tile is not needed where it has less than this share of the importance of all tiles at every voxel of a region."""

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

    def tiles_covering(self, region: np.ndarray | None = None) -> tuple[Tile, ...]:
        """The tiles that count somewhere in a region, in the order of `tiles`; all of them without a region.

        Args:
            region: boolean, of the volume's shape. Where it is true, the tiles left out together have hardly any share
                of the result: each less than `NEGLIGIBLE_SHARE`.
        """
        if region is None:
            return self.tiles
        mask = self.pad(region)
        shares = itertools.product(*self._shares)
        return tuple(tile for tile, share in zip(self.tiles, shares, strict=True) if _counts(mask[tile], share))

    def tiles_of_box(self, box: Sequence[slice]) -> frozenset[TileStart]:
        """The tiles that `tiles_covering` has for a region that is a box of the volume, found in no time."""
        shifted = [
            slice(part.start + before, part.stop + before) for part, (before, _) in zip(box, self.padding, strict=True)
        ]
        most = []  # of each tile's shares along an axis, inside of the box
        for axis, part in enumerate(shifted):
            tiles = tiles_along_axis(self.padded_shape[axis], self.patch[axis])
            inside = (
                share[max(0, part.start - tile.start) : max(0, part.stop - tile.start)]
                for tile, share in zip(tiles, self._shares[axis], strict=True)
            )
            most.append([share.max(initial=0) for share in inside])
        largest = itertools.product(*most)
        return frozenset(
            TileStart.of(tile)
            for tile, (z, y, x) in zip(self.tiles, largest, strict=True)
            if z * y * x >= NEGLIGIBLE_SHARE
        )

    @cached_property
    def _shares(self) -> list[list[np.ndarray]]:
        """What `_shares_along_axis` gives for each axis."""
        return [self._shares_along_axis(axis) for axis in range(3)]

    def _shares_along_axis(self, axis: int) -> list[np.ndarray]:
        """Each tile's share of the importance of all tiles along an axis, at each of its voxels.

        The importance is a product over the axes, and tiles stand in every combination of their places along these: so
        a tile's share at a voxel is the product of its three shares.
        """
        center = [length // 2 for length in self.patch]
        line = self.importance[tuple(slice(None) if other == axis else center[other] for other in range(3))].numpy()
        tiles = tiles_along_axis(self.padded_shape[axis], self.patch[axis])
        total = np.zeros(self.padded_shape[axis], dtype=np.float32)
        for tile in tiles:
            total[tile] += line
        return [line / total[tile] for tile in tiles]

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


def _counts(mask: np.ndarray, shares: Sequence[np.ndarray]) -> bool:
    """Whether a tile with these shares along the axes has a notable one at some voxel where the mask is true."""
    reach = []
    for share in shares:
        notable = np.flatnonzero(share >= NEGLIGIBLE_SHARE)
        reach.append(slice(notable[0], notable[-1] + 1))
    found = mask[tuple(reach)]
    if not found.any():
        return False
    z, y, x = (share[part] for share, part in zip(shares, reach, strict=True))
    return bool((found & (z[:, None, None] * y[:, None] * x >= NEGLIGIBLE_SHARE)).any())
