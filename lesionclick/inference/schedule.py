"""Schedule of a prediction: which passes have been made, and whether there is time for more."""

import logging
from collections.abc import Callable, Iterable, Sequence

from lesionclick.inference.passes import Pass
from lesionclick.log import Progress

logger = logging.getLogger(__name__)


class Schedule:
    """Counts and times the passes of one prediction."""

    def __init__(
        self,
        passes: Sequence[Pass],
        count_tiles: Callable[[Pass], int],
        deadline: float | None,
        clock: Callable[[], float],
        progress: Progress,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Starts with nothing made.

        Args:
            passes: all that are to be made.
            count_tiles: how many tiles are to get a pass and have not got it yet, quiet ones included until it is known
                which they are.
            deadline: on `clock`; None for none.
            clock: seconds.
            progress: shows forward passes as they are made.
            on_progress: called with the forward passes made so far and all there are to make.
        """
        self._count_tiles = count_tiles
        self._deadline, self._clock = deadline, clock
        self._progress, self._on_progress = progress, on_progress
        self._planned = {each: count_tiles(each) for each in passes}
        self._started, self._tiles = 0.0, 0  # of the pass under way
        self._slowest = 0.0  # seconds a forward pass
        self._made: list[Pass] = []
        self._forward_passes = 0
        self._update_total()

    def set_active_tiles(self) -> None:
        """Says that it is known which tiles are quiet."""
        self._planned |= {each: self._count_tiles(each) for each in self._planned if each not in self._made}
        self._update_total()

    def _update_total(self) -> None:
        self._progress.set_total(sum(len(each.mirrorings) * count for each, count in self._planned.items()))

    def count(self, forward_passes: int) -> None:
        """Says that forward passes have been made."""
        self._forward_passes += forward_passes
        self._progress.update(forward_passes)
        if self._on_progress is not None:
            self._on_progress(self._progress.done, self._progress.total)

    def fits(self, passes: Iterable[Pass]) -> bool:
        """Whether passes would be done in time, judged by the slowest so far."""
        if self._deadline is None:
            return True
        count = sum(len(each.mirrorings) * self._count_tiles(each) for each in passes)
        return self._clock() + self._slowest * count <= self._deadline

    def start(self, current: Pass) -> bool:
        """Whether a pass may begin: the first of all may in any case."""
        self._started, self._tiles = self._clock(), self._count_tiles(current)
        return not self._made or self.fits([current])

    def end(self, current: Pass) -> None:
        """Notes that a pass has been made."""
        seconds = (self._clock() - self._started) / (len(current.mirrorings) * self._tiles)
        # the first pass holds work that later ones need not do, such as choosing algorithms
        self._slowest = seconds if len(self._made) < 2 else max(self._slowest, seconds)
        self._made.append(current)

    def log(self, networks: int) -> None:
        """Says what was made, and warns where something is missing."""
        logger.info("forward passes: %d", self._forward_passes)
        needed = [each for each, count in self._planned.items() if count]
        planned, made = (sum(len(each.mirrorings) for each in passes) for passes in (needed, self._made))
        if made < planned:
            logger.warning(
                "time limit: the result holds %d of %d passes (%d of %d networks)",
                *(made, planned, len({each.network for each in self._made}), networks),
            )
