"""Tile sums: what each tile gave, and how they are blended into a volume.

A tile's sum depends on that tile's input alone: each pass adds to it in the order of `passes.plan_passes`, and which
passes it gets is decided by what it gave itself. So a sum kept from another prediction is, on the CPU bit for bit, what
computing the tile again would give, and so is everything blended from it. It knows its passes, so that a sum of
which some are missing, since a new click came between, is gone on with.
"""

import copy
from collections.abc import Sequence

import torch

from lesionclick.inference.passes import Pass
from lesionclick.inference.tiles import Tile

OUTSIDE_LOGIT = -20.0
"""Of voxels where no tile stands; finite, since it is resampled with the rest."""


class TileSum:
    """The weighted sum of what passes gave for one tile.

    Attributes:
        total: float32 of the patch's shape, lesion minus background logit times the voxels' importance, summed.
        weight: the sum of the passes' weights.
        peak: the largest logit that a pass gave where the tile is dominant, a tensor without axes; minus infinity where
            no pass was asked for it.
        passes: those that it holds, in the order in which they were added, as noted by who adds them.
    """

    def __init__(self, device: torch.device, patch: Sequence[int]) -> None:
        """A sum to which no pass has added."""
        self.total = torch.zeros(tuple(patch), device=device)
        self.weight = 0.0
        self.peak = torch.tensor(-torch.inf, device=device)
        self.passes: tuple[Pass, ...] = ()

    def add(
        self, logits: torch.Tensor, importance: torch.Tensor, weight: float, dominant: torch.Tensor | None = None
    ) -> None:
        """Adds one pass.

        Each class's product is rounded to float16 as in the published method, on which its results depend in a
        volume's outermost corners (importance below 1e-6); sums are float32.

        Args:
            logits: float32, (2, *patch), background and lesion.
            importance: of the patch's voxels.
            weight: of the pass.
            dominant: where the tile is; None where its peak does not matter.
        """
        device = self.total.device
        logits, importance = logits.to(device), importance.to(device)
        if dominant is not None:
            found = torch.where(dominant.to(device), logits[1] - logits[0], -torch.inf).max()
            self.peak = torch.maximum(self.peak, found)
        background, lesion = (logits * importance).half().float()
        self.total.add_(lesion - background, alpha=weight)
        self.weight += weight

    def move(self, device: torch.device) -> None:
        """Takes the sum to another device."""
        self.total, self.peak = self.total.to(device), self.peak.to(device)

    def copy_to(self, device: torch.device) -> "TileSum":
        """A sum of the same passes on a device, to which more may be added."""
        copied = copy.copy(self)
        copied.total, copied.peak = (each.to(device, copy=True) for each in (self.total, self.peak))
        return copied

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return self.total.nbytes


def blend(
    sums: Sequence[TileSum], tiles: Sequence[Tile], importance: torch.Tensor, device: torch.device
) -> torch.Tensor:
    """One logit a voxel from the sums of tiles, added in their order.

    Args:
        sums: one a tile; each has at least one pass.
        tiles: where they belong.
        importance: of all these tiles at each voxel, on the host, see `TileGrid.sum_importance`.
        device: to compute on.

    Returns:
        float32 on the host, of the importance's shape: the mean over tiles, by importance, of each tile's mean over its
        passes; `OUTSIDE_LOGIT` where no tile stands.
    """
    total = torch.zeros(importance.shape, device=device)
    for tile, tile_sum in zip(tiles, sums, strict=True):
        total[tile].add_(tile_sum.total.to(device), alpha=1 / tile_sum.weight)
    return total.cpu().div_(importance).masked_fill_(importance == 0, OUTSIDE_LOGIT)
