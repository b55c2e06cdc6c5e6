"""Run: the passes of one prediction, made over tiles in their order as long as there is time."""

import itertools
import logging
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence

import torch

from lesionclick.errors import ModelError, Superseded
from lesionclick.inference.backend import Network
from lesionclick.inference.executor import Executor
from lesionclick.inference.passes import Pass, split_by_mirroring
from lesionclick.inference.schedule import Schedule
from lesionclick.inference.tile_inputs import TileInputs
from lesionclick.inference.tile_sums import TileSum
from lesionclick.inference.tiles import Tile

logger = logging.getLogger(__name__)

QUIET_PROBABILITY = 0.05
"""A tile is quiet where no network that sees every tile as it is finds a lesion more likely than this in it."""


def quiet_logit() -> float:
    """The logit of `QUIET_PROBABILITY`."""
    return math.log(QUIET_PROBABILITY / (1 - QUIET_PROBABILITY))


class Run:
    """One prediction at work: the input and the sums of those tiles that it computes.

    Attributes:
        device: where sums are.
        sums: one a tile.
        spoiled: the indices of tiles whose sums hold what an error cut short; they are of no use.
    """

    def __init__(
        self,
        executor: Executor,
        inputs: TileInputs,
        tiles: Sequence[Tile],
        begun: Sequence[TileSum | None],
        *,
        find_peaks: bool,
        is_superseded: Callable[[], bool] | None = None,
    ) -> None:
        """No pass has been made yet.

        Args:
            executor: computes the networks.
            inputs: of the networks.
            tiles: those to compute.
            begun: one a tile: the sum that an earlier run began, to go on with; it stays as it is.
            find_peaks: whether to find each tile's peak, by which it is decided what is quiet.
            is_superseded: asked before each batch; where it says yes, the run ends after the batch before.
        """
        self.device = executor.engine.device
        self.sums = [
            TileSum(self.device, inputs.grid.patch) if each is None else each.copy_to(self.device) for each in begun
        ]
        self.spoiled: set[int] = set()
        self._executor = executor
        self._tiles = tiles
        self._active = set(range(len(tiles)))
        self._find_peaks = find_peaks
        self._is_superseded = is_superseded or (lambda: False)
        self._inputs = inputs
        self._importance = inputs.grid.importance.to(self.device)

    def make(self, passes: Sequence[Pass], schedule: Schedule) -> Iterator[Pass]:
        """Makes passes in their order, as long as there is time, over those tiles that lack them.

        Args:
            passes: see `plan_passes`.
            schedule: says whether there is time.

        Yields:
            Each pass that is about to be made after the first one; what the passes before it gave is in `sums`.

        Raises:
            ModelError, DeviceError, Superseded: see `Ensemble.predict_logits`.
        """
        remaining = deque(passes)
        made = 0
        undecided = any(not each.everywhere for each in passes)
        while remaining:
            current = remaining[0]
            if undecided and not current.decides:
                self._active = self._find_active()
                schedule.set_active_tiles()
                undecided = False
            if not self.lacking(current):
                remaining.popleft()
                continue
            if not (len(current.mirrorings) == 1 or schedule.fits(remaining)):
                # so that all networks share what there is time for
                remaining = deque(split_by_mirroring(remaining))
                continue
            if made:
                yield current
            if not schedule.start(current):
                return
            self._make_pass(current, list(itertools.islice(remaining, 1, 2)), schedule)
            schedule.end(current)
            remaining.popleft()
            made += 1

    def lacking(self, current: Pass) -> list[int]:
        """The indices of the tiles that are to get a pass, as far as is known, and have not got it yet."""
        return [
            index
            for index, tile_sum in enumerate(self.sums)
            if (current.everywhere or index in self._active) and current not in tile_sum.passes
        ]

    def _find_active(self) -> set[int]:
        """The indices of the tiles that are not quiet."""
        limit = quiet_logit()
        return {index for index, tile_sum in enumerate(self.sums) if float(tile_sum.peak) > limit}

    def _make_pass(self, current: Pass, following: Sequence[Pass], schedule: Schedule) -> None:
        """Adds one pass to the sums of the tiles that lack it, and notes it there, unless what it gave is not finite.

        The network of the pass that follows is read meanwhile.
        """
        network = self._executor.networks.get(current.network)
        for each in following:
            self._executor.networks.prefetch(each.network)
        added: list[int] = []
        try:
            self._add_to(added, current, network, schedule)
            if not all(bool(torch.isfinite(self.sums[index].total).all()) for index in added):
                path = self._executor.model.folds[current.network].path
                raise ModelError(f"{path}: its network gives values that are not finite")
        except BaseException:
            self.spoiled |= set(added)
            raise
        is_cut_short = bool(self.lacking(current)[len(added) :])
        for index in added:
            self.sums[index].passes += (current,)
        if is_cut_short:
            raise Superseded

    @torch.inference_mode()
    def _add_to(self, added: list[int], current: Pass, network: Network, schedule: Schedule) -> None:
        """Adds a pass to tiles: each one's mean over the mirrorings, several inputs at a time.

        Args:
            added: gets the index of each tile whose sum has changed; not of all where the run is superseded.
            current: the pass.
            network: its network.
            schedule: is told of each batch.
        """
        jobs = list(itertools.product(self.lacking(current), current.mirrorings))
        total: torch.Tensor | None = None
        while jobs and not self._is_superseded():
            batch = jobs[: self._executor.batch_size]
            try:
                inputs = self._inputs.batch([(self._tiles[index], axes) for index, axes in batch])
                outputs = self._executor.compute(network, inputs)
            except torch.cuda.OutOfMemoryError:
                self._free_memory(current.network)
                continue
            del jobs[: len(batch)]
            for (index, axes), output in zip(batch, outputs, strict=True):
                logits = output.flip([axis + 1 for axis in axes])
                total = logits if total is None else total + logits
                if axes == current.mirrorings[-1]:
                    added.append(index)
                    self._add(index, total / len(current.mirrorings), current)
                    total = None
            schedule.count(len(batch))

    def _add(self, index: int, logits: torch.Tensor, current: Pass) -> None:
        needs_peak = self._find_peaks and current.decides
        dominant = self._inputs.grid.dominant(self._tiles[index]) if needs_peak else None
        self.sums[index].add(logits, self._importance, current.weight, dominant)

    def _free_memory(self, network: int) -> None:
        """Gives up what costs least time and still frees memory of the device.

        Raises:
            DeviceError: nothing is left to give up.
        """
        if self._executor.batch_size == 1 and self.device.type != "cpu":
            self._move_to_host()
            logger.info("memory of %s ran out: the volume moves to host memory", self._executor.engine.device)
        else:
            self._executor.free_memory(network)
        torch.cuda.empty_cache()

    def _move_to_host(self) -> None:
        self.device = torch.device("cpu")
        self._inputs.images.move_to_host()
        self._importance = self._importance.to(self.device)
        for tile_sum in self.sums:
            tile_sum.move(self.device)
