"""Plan of a tile: which passes it still lacks, by those that it got and what they gave."""

from collections.abc import Sequence

from lesionclick.inference.passes import Pass
from lesionclick.inference.tile_sums import TileSum


class TilePlan:
    """All passes that a tile can get in their order, and what decides whether it gets those that quiet tiles lack."""

    def __init__(self, passes: Sequence[Pass], quiet_logit: float) -> None:
        """See `passes.plan_passes`; a tile is quiet whose peak is no higher than `quiet_logit`."""
        self._passes = tuple(passes)
        self._deciding = {each for each in passes if each.decides}
        self._quiet_logit = quiet_logit

    def lacking(self, tile_sum: TileSum) -> tuple[Pass, ...] | None:
        """The passes that have to be added to a sum, in their order, before it is complete; none where it is.

        As long as it is not known whether the tile is quiet, these are all passes. None for a sum whose passes
        are not the first ones of the plan: it was made in another order, and is of no use here.
        """
        is_quiet = self._deciding <= set(tile_sum.passes) and not float(tile_sum.peak) > self._quiet_logit
        planned = tuple(each for each in self._passes if each.everywhere or not is_quiet)
        made = len(tile_sum.passes)
        return planned[made:] if planned[:made] == tile_sum.passes else None

    def is_complete(self, tile_sum: TileSum) -> bool:
        """Whether nothing is lacking: the sum is what a run without a deadline gives."""
        return self.lacking(tile_sum) == ()
