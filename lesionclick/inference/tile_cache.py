"""Cache of tile sums: what tiles gave with the clicks of earlier predictions, for the next one."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch

from lesionclick.inference.tile_sums import TileSum
from lesionclick.inference.tiles import Tile, TileStart

TileKey = tuple[TileStart, bytes]
"""Which tile, and a digest of its click channels."""


class TileCache:
    """Sums of tiles from earlier predictions of one case with one ensemble and one set of settings.

    Least recently used sums go first where the bound is reached. Any number of threads may use it.
    """

    def __init__(self, max_bytes: int) -> None:
        """An empty cache that holds up to so many bytes of sums, in host memory."""
        self.max_bytes = max_bytes
        self.nbytes = 0
        self._sums: OrderedDict[TileKey, TileSum] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._sums)

    def get(self, key: TileKey) -> TileSum | None:
        """The sum of a tile with these clicks, complete or not, which nobody may change; None where there is none."""
        with self._lock:
            found = self._sums.get(key)
            if found is not None:
                self._sums.move_to_end(key)
            return found

    def put(self, key: TileKey, tile_sum: TileSum) -> None:
        """Keeps a sum, to which nobody may add any more."""
        tile_sum.move(torch.device("cpu"))
        with self._lock:
            replaced = self._sums.pop(key, None)
            self.nbytes += tile_sum.nbytes - (replaced.nbytes if replaced is not None else 0)
            self._sums[key] = tile_sum
            while self.nbytes > self.max_bytes:
                _, oldest = self._sums.popitem(last=False)
                self.nbytes -= oldest.nbytes

    def items(self) -> list[tuple[TileKey, TileSum]]:
        """All sums that it holds now, the least recently used first."""
        with self._lock:
            return list(self._sums.items())


def tile_keys(click_channels: np.ndarray, tiles: Sequence[Tile]) -> list[TileKey]:
    """What tells a tile's input from that of other predictions of the same images.

    Args:
        click_channels: float32, (channel, z, y, x); nearly all 0, so that hashing what is not is quick.
        tiles: on that grid.

    Returns:
        One key a tile.
    """
    channel, *indices = np.nonzero(click_channels)
    values = click_channels[(channel, *indices)]
    keys = []
    for tile in tiles:
        start = TileStart.of(tile)
        inside = np.ones(len(values), dtype=bool)
        for index, axis in zip(indices, tile, strict=True):
            inside &= (index >= axis.start) & (index < axis.stop)
        digest = hashlib.blake2b(digest_size=16)
        for part in (channel, *indices, values):
            digest.update(part[inside].tobytes())
        keys.append((start, digest.digest()))
    return keys
