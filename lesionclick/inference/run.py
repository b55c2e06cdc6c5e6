"""Run: the passes of one prediction, made over tiles in their order as long as there is time."""

import itertools
import logging
import math
from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from lesionclick.errors import ModelError
from lesionclick.inference.executor import Executor
from lesionclick.inference.passes import Pass, split_by_mirroring
from lesionclick.inference.schedule import Schedule
from lesionclick.inference.tile_inputs import TileInputs
from lesionclick.inference.tile_sums import TileSum
from lesionclick.inference.tiles import Tile, TileGrid
from lesionclick.log import Progress

logger = logging.getLogger(__name__)

QUIET_PROBABILITY = 0.05
"""A tile is quiet where no network that sees every tile as it is finds a lesion more likely than this in it."""


class Run:
    """One prediction at work: the input and the sums of those tiles that it computes.

    Attributes:
        device: where sums are.
        sums: one a tile.
        complete: one a tile, whether its sum is what a run without a deadline gives.
    """

    def __init__(
        self, executor: Executor, channels: np.ndarray, grid: TileGrid, tiles: Sequence[Tile], *, find_peaks: bool
    ) -> None:
        """No pass has been made yet.

        Args:
            executor: computes the networks.
            channels: float32, (channel, *grid.padded_shape).
            grid: on which tiles stand.
            tiles: those to compute.
            find_peaks: whether to find each tile's peak, by which it is decided what is quiet.
        """
        self.device = executor.engine.device
        self.sums = [TileSum(self.device, grid.patch) for _ in tiles]
        self.complete = [False] * len(tiles)
        self._executor = executor
        self._grid = grid
        self._tiles = tiles
        self._active: Sequence[int] = range(len(tiles))
        self._find_peaks = find_peaks
        self._inputs = TileInputs(channels, executor.engine)
        self._importance = grid.importance.to(self.device)

    def make(self, passes: Sequence[Pass], schedule: Schedule, *, regrouped: bool) -> Iterator[Pass]:
        """Makes passes in their order, as long as there is time.

        Args:
            passes: see `plan_passes`.
            schedule: says whether there is time.
            regrouped: whether mirrorings are planned in other passes than without a deadline.

        Yields:
            Each pass that is about to be made after the first one; what the passes before it gave is in `sums`.

        Raises:
            ModelError, DeviceError: see `Ensemble.predict_logits`.
        """
        remaining = deque(passes)
        made = 0
        undecided = any(not each.everywhere for each in passes)
        try:
            while remaining:
                current = remaining[0]
                if undecided and not current.decides:
                    self._active = self._find_active()
                    schedule.set_active_tiles(len(self._active))
                    undecided = False
                if not self._tiles_of(current):
                    remaining.popleft()
                    continue
                if not (len(current.mirrorings) == 1 or schedule.fits(remaining)):
                    # so that all networks share what there is time for
                    remaining, regrouped = deque(split_by_mirroring(remaining)), True
                    continue
                if made:
                    yield current
                if not schedule.start(current):
                    return
                self._make_pass(current, list(itertools.islice(remaining, 1, 2)), schedule.progress)
                schedule.end(current)
                remaining.popleft()
                made += 1
        finally:
            self._mark_complete(passes, remaining, regrouped)

    def _find_active(self) -> Sequence[int]:
        """The indices of the tiles that are not quiet."""
        limit = math.log(QUIET_PROBABILITY / (1 - QUIET_PROBABILITY))
        return [index for index, tile_sum in enumerate(self.sums) if tile_sum.peak > limit]

    def _tiles_of(self, current: Pass) -> Sequence[int]:
        """The indices of the tiles that a pass is made over."""
        return range(len(self._tiles)) if current.everywhere else self._active

    def _mark_complete(self, planned: Sequence[Pass], remaining: Sequence[Pass], regrouped: bool) -> None:
        """Finds the tiles that got all their passes, and in the order and grouping in which they were planned."""
        active = set(self._active)
        for index in range(len(self._tiles)):
            missing = any(each.everywhere or index in active for each in remaining)
            is_mirrored = any(not each.is_plain and (each.everywhere or index in active) for each in planned)
            self.complete[index] = not missing and not (regrouped and is_mirrored)

    @torch.inference_mode()
    def _make_pass(self, current: Pass, following: Sequence[Pass], progress: Progress) -> None:
        """Adds one pass to the sums of its tiles: each one's mean over the mirrorings, several inputs at a time.

        The network of the pass that follows is read meanwhile.
        """
        network = self._executor.networks.get(current.network)
        for each in following:
            self._executor.networks.prefetch(each.network)
        jobs = list(itertools.product(self._tiles_of(current), current.mirrorings))
        total: torch.Tensor | None = None
        while jobs:
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
                    self._add(index, total / len(current.mirrorings), current)
                    total = None
            progress.update(len(batch))
        if not all(bool(torch.isfinite(self.sums[index].total).all()) for index in self._tiles_of(current)):
            path = self._executor.model.folds[current.network].path
            raise ModelError(f"{path}: its network gives values that are not finite")

    def _add(self, index: int, logits: torch.Tensor, current: Pass) -> None:
        needs_peak = self._find_peaks and current.decides
        dominant = self._grid.dominant(self._tiles[index]) if needs_peak else None
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
        self._inputs.move_to_host()
        self._importance = self._importance.to(self.device)
        for tile_sum in self.sums:
            tile_sum.move(self.device)
