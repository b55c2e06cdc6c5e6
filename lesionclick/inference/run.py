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
"""A tile is quiet where the passes that every tile gets see no lesion more likely than this where it is dominant."""


class Run:
    """One prediction at work: the input and the sums of those tiles that it computes.

    Attributes:
        device: where sums are.
        sums: one a tile.
        complete: a tile each, whether it got all passes that its sum calls for.
    """

    def __init__(self, executor: Executor, channels: np.ndarray, grid: TileGrid, tiles: Sequence[Tile]) -> None:
        self.device = executor.engine.device
        self.sums = [TileSum(self.device, grid.patch) for _ in tiles]
        self.complete = [False] * len(tiles)
        self._executor = executor
        self._grid = grid
        self._tiles = tiles
        self._inputs = TileInputs(channels, executor.engine)
        self._importance = grid.importance.to(self.device)

    def make(self, passes: Sequence[Pass], schedule: Schedule) -> Iterator[Pass]:
        """Makes passes in their order, as long as there is time; yields each that has been made.

        Raises:
            ModelError, DeviceError: see `Ensemble.predict_logits`.
        """
        everything: Sequence[int] = range(len(self._tiles))
        active = everything
        queue = deque(passes)
        undecided = True
        while queue:
            if undecided and not queue[0].everywhere:
                active = self._decide_active()
                schedule.leave_quiet(len(active))
                undecided = False
            if not (queue[0].is_plain or schedule.fits(queue)):
                queue = deque(split_by_mirroring(queue))  # so that what there is time for is shared by all networks
            current_pass = queue.popleft()
            if not schedule.start(current_pass):
                return
            chosen = everything if current_pass.everywhere else active
            if chosen:
                self._run_pass(current_pass, chosen, queue[0] if queue else None, schedule.progress)
            schedule.end(current_pass)
            yield current_pass
        self.complete = [True] * len(self._tiles)

    def _decide_active(self) -> Sequence[int]:
        """The places of the tiles that are not quiet; quiet ones are complete."""
        limit = math.log(QUIET_PROBABILITY / (1 - QUIET_PROBABILITY))
        self.complete = [not tile_sum.peak > limit for tile_sum in self.sums]
        return [place for place, complete in enumerate(self.complete) if not complete]

    @torch.inference_mode()
    def _run_pass(self, current_pass: Pass, chosen: Sequence[int], next_pass: Pass | None, progress: Progress) -> None:
        """Adds one pass to the sums of some tiles: each one's mean over the mirrorings, several inputs at a time.

        The network of the next pass is read meanwhile.
        """
        self._executor.networks.prefetch(current_pass.network)
        if next_pass is not None:
            self._executor.networks.prefetch(next_pass.network)
        jobs = list(itertools.product(chosen, current_pass.mirrorings))
        total: torch.Tensor | None = None
        while jobs:
            batch = jobs[: self._executor.batch_size]
            try:
                inputs = self._inputs.batch([(self._tiles[place], axes) for place, axes in batch])
                outputs = self._executor.compute(current_pass.network, inputs)
            except torch.cuda.OutOfMemoryError:
                self._free_device_memory(current_pass.network)
                continue
            del jobs[: len(batch)]
            for (place, axes), output in zip(batch, outputs, strict=True):
                logits = output.flip([axis + 1 for axis in axes])
                total = logits if total is None else total + logits
                if axes == current_pass.mirrorings[-1]:
                    dominant = self._grid.dominant(self._tiles[place])
                    mean = total / len(current_pass.mirrorings)
                    self.sums[place].add(mean, self._importance, dominant, current_pass.weight)
                    total = None
            progress.update(len(batch))
        if not all(bool(torch.isfinite(self.sums[place].total).all()) for place in chosen):
            path = self._executor.model.folds[current_pass.network].path
            raise ModelError(f"{path}: its network gives values that are not finite")

    def _free_device_memory(self, network: int) -> None:
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
