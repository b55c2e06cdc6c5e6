"""Schedule of a prediction: which passes have been made, and whether there is time for more."""

import logging
from collections.abc import Callable, Sequence

from lesionclick.inference.passes import Pass
from lesionclick.log import Progress

logger = logging.getLogger(__name__)


class Schedule:
    """Counts and times the passes of one prediction.

    Attributes:
        tiles: how many are computed.
        progress: shows forward passes as they are made.
    """

    def __init__(
        self, passes: Sequence[Pass], tiles: int, deadline: float | None, clock: Callable[[], float], progress: Progress
    ) -> None:
        """Starts with nothing made.

        Args:
            passes: all that are to be made.
            tiles: number of tiles to compute, quiet ones included.
            deadline: on `clock`; None for none.
            clock: seconds.
            progress: its total is kept up to date.
        """
        self.tiles = tiles
        self.progress = progress
        self._passes = list(passes)
        self._tiles = {True: tiles, False: tiles}  # by whether a pass is for every tile
        self._deadline, self._clock = deadline, clock
        self._started = 0.0
        self._slowest = 0.0  # seconds a forward pass
        self._made: list[Pass] = []
        self._forward_passes = 0
        self._update_total()

    def set_active_tiles(self, count: int) -> None:
        """Says over how many tiles the passes are made that are not for every tile."""
        self._tiles[False] = count
        self._update_total()

    def _update_total(self) -> None:
        total = sum(len(each.mirrorings) * self._tiles[each.everywhere] for each in self._passes)
        self.progress.set_total(total)

    def fits(self, passes: Sequence[Pass]) -> bool:
        """Whether passes would be done in time, judged by the slowest so far."""
        if self._deadline is None:
            return True
        count = sum(len(each.mirrorings) * self._tiles[each.everywhere] for each in passes)
        return self._clock() + self._slowest * count <= self._deadline

    def start(self, current: Pass) -> bool:
        """Whether a pass may begin: the first of all may in any case."""
        self._started = self._clock()
        return not self._made or self.fits([current])

    def end(self, current: Pass) -> None:
        """Counts a pass that has been made."""
        count = len(current.mirrorings) * self._tiles[current.everywhere]
        seconds = (self._clock() - self._started) / count
        # the first pass holds work that later ones need not do, such as choosing algorithms
        self._slowest = seconds if len(self._made) < 2 else max(self._slowest, seconds)
        self._made.append(current)
        self._forward_passes += count

    def log(self, networks: int) -> None:
        """Says what was made, and warns where something is missing."""
        logger.info("forward passes: %d", self._forward_passes)
        needed = [each for each in self._passes if self._tiles[each.everywhere]]
        planned, made = (sum(len(each.mirrorings) for each in passes) for passes in (needed, self._made))
        if made < planned:
            logger.warning(
                "time limit: the result holds %d of %d passes (%d of %d networks)",
                *(made, planned, len({each.network for each in self._made}), networks),
            )
