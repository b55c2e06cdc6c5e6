"""Tile sums: what each tile gave, kept for the next prediction, and blended into a volume.

A tile's sum depends on that tile's input alone: each pass adds to it in the order of `passes.plan_passes`, and which
passes it gets is decided by what it gave itself. So a sum kept from another prediction is, on the CPU bit for bit, what
computing the tile again would give, and so is everything blended from it.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch

from lesionclick.inference.tiles import Tile, TileGrid, TileStart

OUTSIDE_LOGIT = -20.0
"""Of what no network looks at; finite, since it is resampled with the rest."""

TileKey = tuple[TileStart, bytes]
"""Which tile, and a digest of its click channels."""


class TileSum:
    """The weighted sum of what passes gave for one tile.

    Attributes:
        total: float32 of the patch's shape, lesion minus background logit times the voxels' importance, summed.
        weight: the sum of the passes' weights.
        peak: the largest logit that a pass gave where the tile is dominant, a tensor without axes.
    """

    def __init__(self, device: torch.device, patch: Sequence[int]) -> None:
        """A sum to which no pass has added."""
        self.total = torch.zeros(tuple(patch), device=device)
        self.weight = 0.0
        self.peak = torch.tensor(-torch.inf, device=device)

    def add(self, logits: torch.Tensor, importance: torch.Tensor, dominant: torch.Tensor, weight: float) -> None:
        """Adds one pass.

        Each class's product is rounded to float16 as in the published method, on which its results depend in a
        volume's outermost corners (importance below 1e-6); sums are float32.

        Args:
            logits: float32, (2, *patch), background and lesion.
            importance: of the patch's voxels.
            dominant: where the tile is.
            weight: of the pass.
        """
        device = self.total.device
        logits, importance = logits.to(device), importance.to(device)
        found = torch.where(dominant.to(device), logits[1] - logits[0], -torch.inf).max()
        self.peak = torch.maximum(self.peak, found)
        background, lesion = (logits * importance).half().float()
        self.total.add_(lesion - background, alpha=weight)
        self.weight += weight

    def move(self, device: torch.device) -> None:
        """Takes the sum to another device."""
        self.total, self.peak = self.total.to(device), self.peak.to(device)

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return self.total.nbytes


def blend(sums: Sequence[TileSum], tiles: Sequence[Tile], grid: TileGrid, device: torch.device) -> torch.Tensor:
    """One logit a voxel from the sums of tiles, added in their order.

    Args:
        sums: one a tile; each has at least one pass.
        tiles: where they belong.
        grid: on which they stand.
        device: to compute on.

    Returns:
        float32 on the host, of grid.padded_shape: the mean over tiles, by importance, of each tile's mean over its
        passes; `OUTSIDE_LOGIT` where no tile stands.
    """
    total = torch.zeros(grid.padded_shape, device=device)
    for tile, tile_sum in zip(tiles, sums, strict=True):
        total[tile].add_(tile_sum.total.to(device), alpha=1 / tile_sum.weight)
    importance = grid.sum_importance(tiles)
    return total.cpu().div_(importance).masked_fill_(importance == 0, OUTSIDE_LOGIT)


class TileCache:
    """Sums of tiles from earlier predictions of one case with one ensemble and one set of settings.

    Least recently used sums go first where the bound is reached.
    """

    def __init__(self, max_bytes: int) -> None:
        """An empty cache that holds up to so many bytes of sums, in host memory."""
        self.max_bytes = max_bytes
        self.nbytes = 0
        self._sums: OrderedDict[TileKey, TileSum] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sums)

    def get(self, key: TileKey) -> TileSum | None:
        """The sum of a tile with these clicks, which nobody may change; None where there is none."""
        found = self._sums.get(key)
        if found is not None:
            self._sums.move_to_end(key)
        return found

    def put(self, key: TileKey, tile_sum: TileSum) -> None:
        """Keeps a sum to which nothing is going to be added any more."""
        tile_sum.move(torch.device("cpu"))
        replaced = self._sums.pop(key, None)
        self.nbytes += tile_sum.nbytes - (replaced.nbytes if replaced is not None else 0)
        self._sums[key] = tile_sum
        while self.nbytes > self.max_bytes:
            _, oldest = self._sums.popitem(last=False)
            self.nbytes -= oldest.nbytes


def tile_keys(click_channels: np.ndarray, tiles: Sequence[Tile]) -> list[TileKey]:
    """What tells a tile's input from that of other predictions of the same images.

    Args:
        click_channels: float32, (channel, z, y, x); nearly all 0, so that hashing what is not is quick.
        tiles: on that grid.

    Returns:
        One key a tile.
    """
    channel, *places = np.nonzero(click_channels)
    values = click_channels[(channel, *places)]
    keys = []
    for tile in tiles:
        start = TileStart.of(tile)
        inside = np.ones(len(values), dtype=bool)
        for place, axis in zip(places, tile, strict=True):
            inside &= (place >= axis.start) & (place < axis.stop)
        digest = hashlib.blake2b(digest_size=16)
        for part in (channel, *places, values):
            digest.update(part[inside].tobytes())
        keys.append((start, digest.digest()))
    return keys
