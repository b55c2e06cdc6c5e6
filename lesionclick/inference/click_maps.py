"""Click maps of tiles: cut out of maps of the whole volume, or made for each tile alone, as the encoding asks."""

import hashlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from lesionclick.inference.tile_cache import TileKey, tile_keys
from lesionclick.inference.tiles import Tile, TileGrid, TileStart
from lesionclick.model.encoding import Encoding

KEPT_BYTES = 256 << 20
"""Of maps that were made for tiles alone and are kept for the next network, host memory."""


class ClickMaps(Protocol):
    """What tiles show of clicks, a channel a label.

    Attributes:
        channel_count: how many labels; none for networks that see no clicks.
    """

    @property
    def channel_count(self) -> int:  # noqa: D102  (see the class)
        ...

    def of(self, tile: Tile) -> np.ndarray:
        """A tile's maps, float32 (channel, *patch); not to be changed."""
        ...

    def keys(self, tiles: Sequence[Tile]) -> list[TileKey]:
        """What tells a tile's maps from those of other clicks in the same images, one key a tile."""
        ...


class VolumeClickMaps:
    """Tiles cut out of maps of the whole volume, as the published method has it."""

    def __init__(self, grid: TileGrid, maps: np.ndarray) -> None:
        """Pads the maps, which are float32 (channel, z, y, x) on the volume."""
        self._maps = grid.pad(maps)

    @property
    def channel_count(self) -> int:
        """See `ClickMaps`."""
        return len(self._maps)

    def of(self, tile: Tile) -> np.ndarray:
        """See `ClickMaps.of`."""
        return self._maps[(slice(None), *tile)]

    def keys(self, tiles: Sequence[Tile]) -> list[TileKey]:
        """See `tile_keys`."""
        return tile_keys(self._maps, tiles)


class TileClickMaps:
    """Each tile's maps made of the clicks and the PET in it, as those of a patch are made in training.

    A click changes the tiles that it lies in and no other one, however far its encoding reaches.
    """

    def __init__(
        self, grid: TileGrid, points: Sequence[np.ndarray], encoding: Encoding, suv_zyx: np.ndarray | None
    ) -> None:
        """Makes no map yet.

        Args:
            grid: of the volume.
            points: of each label, int64 (clicks, 3), indices of the volume.
            encoding: how clicks look.
            suv_zyx: the PET on that volume, SUV, where the encoding needs it.
        """
        before = np.array([start for start, _ in grid.padding])
        self._points = [each + before for each in points]
        self._encoding = encoding
        self._suv = None if suv_zyx is None else grid.pad(suv_zyx)
        self._patch = grid.patch
        self._kept: dict[TileStart, np.ndarray] = {}

    @property
    def channel_count(self) -> int:
        """See `ClickMaps`."""
        return len(self._points)

    def of(self, tile: Tile) -> np.ndarray:
        """See `ClickMaps.of`."""
        start = TileStart.of(tile)
        maps = self._kept.get(start)
        if maps is None:
            suv = None if self._suv is None else self._suv[tile]
            maps = np.stack([self._encoding.encode(each, self._patch, suv) for each in self._points_in(tile)])
            if (len(self._kept) + 1) * maps.nbytes <= KEPT_BYTES:
                self._kept[start] = maps
        return maps

    def keys(self, tiles: Sequence[Tile]) -> list[TileKey]:
        """See `ClickMaps.keys`; which clicks are in a tile says all, in whatever order they were made."""
        keys = []
        for tile in tiles:
            digest = hashlib.blake2b(digest_size=16)
            for each in self._points_in(tile):
                digest.update(np.unique(each, axis=0).tobytes() + b";")
            keys.append((TileStart.of(tile), digest.digest()))
        return keys

    def _points_in(self, tile: Tile) -> list[np.ndarray]:
        start = np.array(TileStart.of(tile))
        inside = (each[np.all((each >= start) & (each < start + self._patch), axis=1)] for each in self._points)
        return [each - start for each in inside]


def make_click_maps(
    grid: TileGrid, points: Sequence[np.ndarray], encoding: Encoding, suv_zyx: np.ndarray | None = None
) -> ClickMaps:
    """The maps that an encoding asks for; the arguments are those of `TileClickMaps`."""
    if encoding.patchwise:
        return TileClickMaps(grid, points, encoding, suv_zyx)
    return VolumeClickMaps(grid, np.stack([encoding.encode(each, grid.shape, suv_zyx) for each in points]))
