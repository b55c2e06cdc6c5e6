"""Inputs of networks: tiles cut out of a volume, mirrored, several at a time."""

import logging
from collections.abc import Sequence

import numpy as np
import torch

from lesionclick.inference.engine import Engine
from lesionclick.inference.passes import Axes
from lesionclick.inference.tiles import Tile

logger = logging.getLogger(__name__)


class TileInputs:
    """A volume from which tiles are cut, on the device while there is room."""

    def __init__(self, channels: np.ndarray, engine: Engine) -> None:
        """Takes a volume to the device, or leaves it in host memory where it does not fit.

        Args:
            channels: float32, (channel, z, y, x).
            engine: what computes the networks.
        """
        self._device = engine.device
        self._channels = torch.from_numpy(channels).to(engine.input_dtype)
        try:
            self._channels = self._channels.to(engine.device)
        except torch.cuda.OutOfMemoryError:
            logger.info(
                "%s has no room for %s voxels, the volume stays in host memory", engine.device, tuple(channels.shape)
            )

    def batch(self, tiles: Sequence[tuple[Tile, Axes]]) -> torch.Tensor:
        """Tiles of all channels, each mirrored along some axes: (tile, channel, *patch) on the device."""
        parts = [self._channels[(slice(None), *tile)].flip([axis + 1 for axis in axes]) for tile, axes in tiles]
        return torch.stack(parts).to(self._device)

    def move_to_host(self) -> None:
        """Frees the device's memory."""
        self._channels = self._channels.cpu()
