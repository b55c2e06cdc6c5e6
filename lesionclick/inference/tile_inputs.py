"""Inputs of networks: tiles cut out of a case's images and maps of clicks, mirrored, several at a time."""

import logging
from collections.abc import Sequence

import numpy as np
import torch

from lesionclick.inference.click_maps import ClickMaps, VolumeClickMaps
from lesionclick.inference.engine import Engine
from lesionclick.inference.passes import Axes
from lesionclick.inference.tile_cache import TileKey
from lesionclick.inference.tiles import Tile, TileGrid

logger = logging.getLogger(__name__)


class CaseImages:
    """CT and PET on the networks' grid, made ready once for any number of predictions.

    Attributes:
        grid: on which tiles stand.
    """

    def __init__(self, images: np.ndarray, patch: Sequence[int], engine: Engine) -> None:
        """Takes the images to the device, or leaves them in host memory where they do not fit.

        Args:
            images: float32, (channel, z, y, x); not to be changed afterwards.
            patch: of the networks.
            engine: what computes them.
        """
        self.grid = TileGrid(images.shape[1:], tuple(patch))
        self.engine = engine
        self.channels = torch.from_numpy(self.grid.pad(images)).to(engine.input_dtype)
        self._importance: tuple[Sequence[Tile], torch.Tensor] | None = None
        try:
            self.channels = self.channels.to(engine.device)
        except torch.cuda.OutOfMemoryError:
            logger.info(
                "%s has no room for %s voxels, the volume stays in host memory",
                *(engine.device, tuple(self.channels.shape)),
            )

    def importance(self, tiles: Sequence[Tile]) -> torch.Tensor:
        """What `TileGrid.sum_importance` gives, kept for the next prediction over the same tiles."""
        kept = self._importance
        if kept is None or kept[0] != tiles:
            kept = self._importance = (tiles, self.grid.sum_importance(tiles))
        return kept[1]

    def move_to_host(self) -> None:
        """Frees the device's memory."""
        self.channels = self.channels.cpu()


class TileInputs:
    """What networks see of a case in one prediction: its images, and maps of clicks."""

    def __init__(self, images: CaseImages, clicks: np.ndarray | ClickMaps) -> None:
        """The images stay as they are.

        Args:
            images: the case's.
            clicks: maps of clicks, or an array of them for the whole volume: float32, (channel, z, y, x) on the images'
                grid, without channels where networks see no clicks.
        """
        self.images = images
        self.grid = images.grid
        self._clicks = VolumeClickMaps(self.grid, clicks) if isinstance(clicks, np.ndarray) else clicks

    @property
    def channel_count(self) -> int:
        """How many channels networks see."""
        return len(self.images.channels) + self._clicks.channel_count

    def keys(self, tiles: Sequence[Tile]) -> list[TileKey]:
        """See `ClickMaps.keys`."""
        return self._clicks.keys(tiles)

    def batch(self, tiles: Sequence[tuple[Tile, Axes]]) -> torch.Tensor:
        """Tiles of all channels, each mirrored along some axes: (tile, channel, *patch) on the device."""
        channels = self.images.channels
        parts = []
        for tile, axes in tiles:
            place = (slice(None), *tile)
            clicks = torch.from_numpy(self._clicks.of(tile)).to(channels.device, channels.dtype)
            parts.append(torch.cat([channels[place], clicks]).flip([axis + 1 for axis in axes]))
        return torch.stack(parts).to(self.images.engine.device)
