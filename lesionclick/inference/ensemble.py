"""Networks x mirrors x tiles -> one mean logit a voxel."""

import itertools
import logging
import math
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from lesionclick.errors import DeviceError, ModelError
from lesionclick.inference import tiles
from lesionclick.inference.backend import Network
from lesionclick.inference.engine import Engine
from lesionclick.model.folder import ModelFolder

logger = logging.getLogger(__name__)

# Ensembles up to this size stay in memory from one prediction to the next where there is a memory of tiles; on a GPU
# those up to this share of what it has free do in any case. Else only the network at work and the next one are there.
RESIDENT_BYTES = 2 << 30

RESIDENT_SHARE = 0.25

# Tiles and mirrorings go through a network together up to this many voxels: small ones alone leave a device idle.
BATCH_VOXELS = 1 << 21

# A tile has a say at a voxel where it has at least this share of the importance of all tiles there.
LEAST_SHARE = 0.01

OUTSIDE_LOGIT = -20.0
"""Of what no network looks at; finite, since it is resampled with the rest."""

Axes = tuple[int, ...]

Start = tuple[int, int, int]
"""A tile's first voxel."""


@dataclass(frozen=True)
class Pass:
    """One network over tiles, averaged over some of its mirrorings.

    Attributes:
        fold: the network's place in its folder.
        mirrors: the axes of each mirroring.
        weight: their share of all mirrorings of the network.
    """

    fold: int
    mirrors: tuple[Axes, ...]
    weight: float


class Ensemble:
    """The networks of a model folder on a device.

    Attributes:
        model: the folder that it was loaded from.
        engine: where and how the networks compute.
    """

    def __init__(self, model: ModelFolder, engine: Engine) -> None:
        self.model = model
        self.engine = engine
        room = RESIDENT_BYTES
        if engine.device.type == "cuda":
            room = int(RESIDENT_SHARE * torch.cuda.mem_get_info(engine.device)[0])
        self._resident = engine.input_dtype.itemsize * model.parameters * len(model.folds) <= room
        self._batch = max(1, BATCH_VOXELS // math.prod(model.patch))
        self._networks: dict[int, Network] = {}
        self._keep_networks = self._resident
        # two large ones at a time would be too much for host memory, and reading is nothing to what they compute there
        self._look_ahead = self._resident or engine.device.type == "cuda"
        self._thread = ThreadPoolExecutor(1)
        self._ahead: dict[int, Future[Network]] = {}

    @classmethod
    def load(
        cls,
        folder: str | Path,
        device: str = "auto",
        folds: Sequence[str] | None = None,
        *,
        backend: str = "auto",
        precision: str = "auto",
    ) -> "Ensemble":
        """Checks a model folder; the networks themselves are read when first needed.

        Args:
            folder: a model folder, packed or not.
            device: "auto" (CUDA where there is some), "cpu", "cuda" or "cuda:N".
            folds: which networks to use, as in the folders' names: "0", "all"; None for every one.
            backend: a name of `engine.Backend`.
            precision: a name of `engine.Precision`.

        Raises:
            ModelError: the folder is broken or lacks a fold.
            DeviceError: no such device, or it has no such backend or precision.
        """
        model = ModelFolder.read(folder)
        return cls(model if folds is None else model.select(folds), Engine.choose(device, backend, precision))

    @property
    def takes_clicks(self) -> bool:
        """Whether the networks see click channels."""
        return self.model.channels == 4

    def foreground_logit(
        self,
        channels: np.ndarray,
        *,
        region: tiles.Region | None = None,
        mirroring: bool = True,
        mirror_above: float = 0.0,
        deadline: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        memory: "TileMemory | None" = None,
    ) -> np.ndarray:
        """The lesion's logit minus the background's: mean over networks and mirrorings, Gaussian mean over tiles.

        Args:
            channels: float32 of shape (model.channels, *shape) on the network's grid.
            region: where the networks look, on that grid; None for everywhere.
            mirroring: whether each network also sees the volume mirrored along each combination of its allowed axes.
            mirror_above: a probability; tiles where the mean over all networks stays below it without mirroring are
                not mirrored, and that mean stands for them. 0 mirrors them all.
            deadline: when to be done, on `clock`. Every network first runs without mirroring, then, where not all
                mirrorings would fit, mirroring by mirroring; the first pass that would not fit, judged by the slowest
                so far, and all after it are left out, with a warning. The first pass of all runs in any case.
            clock: seconds.
            memory: of what tiles gave before: only tiles whose input is new are computed. Not with a deadline.

        Returns:
            float32 array of that shape; above 0 where a lesion is more likely than not, `OUTSIDE_LOGIT` where no
            network looked.

        Raises:
            ModelError: a network gives values that are not finite.
            DeviceError: the device has too little memory for a single tile.
        """
        if channels.shape[0] != self.model.channels:
            raise ValueError(f"{channels.shape[0]} channels given to networks of {self.model.channels}")
        if memory is not None and deadline is not None:
            raise ValueError("what a deadline cuts short cannot be remembered")
        shape, patch = channels.shape[1:], self.model.patch
        padding = tiles.padding(shape, patch)
        if any(sum(both) for both in padding):
            channels = np.pad(channels, [(0, 0), *padding])
            region = region.padded(padding) if region is not None else None
        window = tiles.place_tiles(channels.shape[1:], patch, region)
        known = {} if memory is None else memory.recall(channels, window, mirroring)
        new = [tile for tile in window if _start(tile) not in known]
        first, again = self._plan(mirroring, at_once=deadline is None and mirror_above <= 0)
        logger.info("network: %d of %d tiles, %d networks", len(new), len(window), len(self.model.folds))

        keep = memory is not None or (mirror_above > 0 and bool(again))
        volume = _Volume(torch.from_numpy(channels), window, tiles.importance(patch), self.engine, keep)
        self._keep_networks = self._resident and (memory is not None or self.engine.device.type == "cuda")
        with _Schedule(first + again, new, deadline, clock) as schedule:
            self._make(first, new, volume, schedule)
            if again and schedule.in_time:
                calm = volume.tiles_below(mirror_above, new, schedule.weight)
                todo = [tile for tile in new if tile not in calm]
                unmirrored = schedule.weight
                self._make(again if schedule.fits(again, todo) else _one_by_one(again), todo, volume, schedule)
                for tile in calm:
                    volume.scale(tile, schedule.weight / unmirrored)
        self._ahead.clear()  # for a pass that was not made
        schedule.log(len(self.model.folds))
        if memory is not None:
            for tile in window:
                if _start(tile) in known:
                    volume.add_sums(tile, known[_start(tile)])
            memory.store(channels, volume.kept, mirroring)
        result = volume.mean(schedule.weight)
        inside = tuple(slice(before, before + size) for (before, _), size in zip(padding, shape, strict=True))
        return result[inside].contiguous().numpy()

    def _plan(self, mirroring: bool, *, at_once: bool) -> tuple[list[Pass], list[Pass]]:
        """The passes to make: those without mirroring, and the others; or all of a network at once."""
        mirrors = [_combinations(fold.mirror_axes if mirroring else ()) for fold in self.model.folds]
        if at_once:
            return [Pass(fold, each, 1.0) for fold, each in enumerate(mirrors)], []
        return (
            [Pass(fold, each[:1], 1 / len(each)) for fold, each in enumerate(mirrors)],
            [Pass(fold, each[1:], 1 - 1 / len(each)) for fold, each in enumerate(mirrors) if each[1:]],
        )

    def _make(
        self, passes: Sequence[Pass], window: Sequence[tiles.Tile], volume: "_Volume", schedule: "_Schedule"
    ) -> None:
        """Makes passes over tiles until the first that would be late.

        Raises:
            ModelError, DeviceError: see `foreground_logit`.
        """
        for each, following in itertools.zip_longest(passes, passes[1:]):
            if not schedule.start(each, window):
                return
            if window:
                self._run(each, volume, window, following, schedule.progress)
                if not volume.is_finite():  # which also waits for the device
                    path = self.model.folds[each.fold].path
                    raise ModelError(f"{path}: its network gives values that are not finite")
            schedule.end(each, window)

    @torch.inference_mode()
    def _run(
        self, each: Pass, volume: "_Volume", window: Sequence[tiles.Tile], following: Pass | None, progress: tqdm
    ) -> None:
        """Adds one pass to the result: each tile's mean over the mirrorings, several inputs at a time.

        The network of the following pass is made ready meanwhile.
        """
        jobs = list(itertools.product(window, each.mirrors))
        sums: torch.Tensor | None = None
        while jobs:
            some = jobs[: self._batch]
            try:
                network = self._network(each.fold)
                if following is not None and self._look_ahead:
                    self._prepare(following.fold)
                outputs = network(volume.inputs(some))
            except torch.cuda.OutOfMemoryError:
                self._make_room(each.fold, volume)
                continue
            del jobs[: len(some)]
            for (tile, axes), output in zip(some, outputs, strict=True):
                logits = output.flip([axis + 1 for axis in axes])
                sums = logits if sums is None else sums + logits
                if axes == each.mirrors[-1]:
                    volume.add(tile, sums / len(each.mirrors), each.weight)
                    sums = None
            progress.update(len(some))

    def _network(self, fold: int) -> Network:
        if fold not in self._networks:
            if not self._keep_networks:
                self._networks.clear()
            self._prepare(fold)
            self._networks[fold] = self._ahead.pop(fold).result()
        return self._networks[fold]

    def _prepare(self, fold: int) -> None:
        """Begins to read a network and to make it ready, in another thread."""

        def prepare() -> Network:
            return self.engine.prepare(self.model.load(self.model.folds[fold]), self.model.channels, self.model.patch)

        if fold not in self._networks and fold not in self._ahead:
            self._ahead[fold] = self._thread.submit(prepare)

    def _make_room(self, fold: int, volume: "_Volume") -> None:
        """Gives up what costs least time and still frees memory of the device.

        Raises:
            DeviceError: nothing is left to give up.
        """
        if self._batch > 1:
            self._batch //= 2
            logger.info("memory of %s ran out: batches of %d from now on", self.engine.device, self._batch)
        elif volume.move_to_host():
            logger.info("memory of %s ran out: the volume moves to host memory", self.engine.device)
        elif (self._networks.keys() | self._ahead.keys()) - {fold}:
            self._resident = self._keep_networks = self._look_ahead = False
            self._ahead.clear()
            self._networks = {key: network for key, network in self._networks.items() if key == fold}
            logger.info("memory of %s ran out: one network at a time from now on", self.engine.device)
        else:
            tile = (self.model.channels, *self.model.patch)
            raise DeviceError(f"{self.engine.device} has too little memory for a tile of {tile}")
        torch.cuda.empty_cache()


def _one_by_one(passes: Sequence[Pass]) -> list[Pass]:
    """A pass for each mirroring: every network's first, then every network's second, and so on."""
    single = [
        (place, Pass(each.fold, (axes,), each.weight / len(each.mirrors)))
        for each in passes
        for place, axes in enumerate(each.mirrors)
    ]
    return [each for _, each in sorted(single, key=lambda item: item[0])]


def _combinations(axes: Axes) -> tuple[Axes, ...]:
    """Every subset of the axes, the empty one first."""
    return tuple(subset for count in range(len(axes) + 1) for subset in itertools.combinations(axes, count))


def _start(tile: tiles.Tile) -> Start:
    return tile[0].start, tile[1].start, tile[2].start


class _Schedule:
    """Which passes have been made, and whether there is time for more."""

    def __init__(
        self, passes: Sequence[Pass], window: Sequence[tiles.Tile], deadline: float | None, clock: Callable[[], float]
    ) -> None:
        """Starts with nothing made.

        Args:
            passes: all that are to be made.
            window: the tiles that they are made over, or some of them.
            deadline: on `clock`; None for none.
            clock: seconds.
        """
        self.weight = 0.0
        self.in_time = True
        self._deadline, self._clock = deadline, clock
        self._started = 0.0
        self._slowest = 0.0  # seconds a forward pass
        self._made: list[Pass] = []
        self._mirrorings = sum(len(each.mirrors) for each in passes)
        self._forwards = 0
        total = self._mirrorings * len(window)
        self.progress = tqdm(total=total, unit="tile", leave=False, disable=not sys.stderr.isatty())

    def __enter__(self) -> "_Schedule":
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.close()

    def fits(self, passes: Sequence[Pass], window: Sequence[tiles.Tile]) -> bool:
        """Whether passes over tiles would be done in time, judged by the slowest so far."""
        count = len(window) * sum(len(each.mirrors) for each in passes)
        return self._deadline is None or self._clock() + self._slowest * count <= self._deadline

    def start(self, each: Pass, window: Sequence[tiles.Tile]) -> bool:
        """Whether a pass may begin: the first of all may in any case."""
        self._started = self._clock()
        self.in_time = not self._made or self.fits([each], window)
        return self.in_time

    def end(self, each: Pass, window: Sequence[tiles.Tile]) -> None:
        """Counts a pass that has been made."""
        count = len(each.mirrors) * len(window)
        if count:
            rate = (self._clock() - self._started) / count
            # the first pass also pays for what is done but once
            self._slowest = rate if len(self._made) < 2 else max(self._slowest, rate)
        self._made.append(each)
        self._forwards += count
        self.weight += each.weight

    def log(self, networks: int) -> None:
        """Says what was made, and warns where something is missing."""
        logger.info("forward passes: %d", self._forwards)
        mirrorings = sum(len(each.mirrors) for each in self._made)
        if mirrorings < self._mirrorings:
            logger.warning(
                "time limit: the result holds %d of %d passes (%d of %d networks)",
                *(mirrorings, self._mirrorings, len({each.fold for each in self._made}), networks),
            )


class TileMemory:
    """What each tile of a volume gave, summed over all networks and mirrorings, for the next prediction on it."""

    def __init__(self) -> None:
        self._channels: np.ndarray | None = None
        self._mirroring = True
        self._sums: dict[Start, torch.Tensor] = {}

    def recall(self, channels: np.ndarray, window: Sequence[tiles.Tile], mirroring: bool) -> dict[Start, torch.Tensor]:
        """The sums of those tiles whose input has not changed, by the tile's first voxel."""
        before = self._channels
        if before is None or before.shape != channels.shape or mirroring != self._mirroring:
            return {}
        boxes = {_start(tile): (slice(None), *tile) for tile in window}
        same = [
            start for start, box in boxes.items() if start in self._sums and np.array_equal(before[box], channels[box])
        ]
        return {start: self._sums[start] for start in same}

    def store(self, channels: np.ndarray, sums: dict[Start, torch.Tensor], mirroring: bool) -> None:
        """Remembers a prediction, in host memory; forgets the one before."""
        self._channels, self._mirroring = channels, mirroring
        self._sums = {start: each.cpu() for start, each in sums.items()}


class _Volume:
    """The networks' input and the weighted sum of logit differences, on the device while there is room."""

    def __init__(
        self,
        channels: torch.Tensor,
        window: Sequence[tiles.Tile],
        importance: torch.Tensor,
        engine: Engine,
        keep: bool = False,
    ) -> None:
        """A volume to which no tile has been added.

        Args:
            channels: float32 of shape (channel, z, y, x).
            window: every tile that is going to be added.
            importance: of a tile's voxels.
            engine: what computes the networks.
            keep: whether the sum of each tile is kept too.
        """
        self.kept: dict[Start, torch.Tensor] = {}
        self._keep = keep
        self._device = engine.device
        self._norm = torch.zeros(channels.shape[1:])
        for tile in window:
            self._norm[tile] += importance
        self._channels = channels.to(engine.input_dtype)
        self._sum = torch.zeros(channels.shape[1:])
        self._importance = importance
        try:
            self._move(engine.device)
        except torch.cuda.OutOfMemoryError:
            logger.info(
                "%s has no room for %s voxels, the volume stays in host memory",
                *(engine.device, tuple(channels.shape)),
            )

    def _move(self, device: torch.device) -> None:
        moved = [each.to(device) for each in (self._channels, self._sum, self._importance)]
        self.kept = {start: sums.to(device) for start, sums in self.kept.items()}
        self._channels, self._sum, self._importance = moved

    def move_to_host(self) -> bool:
        """Frees the device; False where nothing of this is on one."""
        if self._sum.device.type == "cpu":
            return False
        self._move(torch.device("cpu"))
        return True

    def inputs(self, jobs: Sequence[tuple[tiles.Tile, Axes]]) -> torch.Tensor:
        """Tiles of all channels, mirrored along some axes each, on the device."""
        shape = (len(jobs), len(self._channels), *self._importance.shape)
        result = torch.empty(shape, dtype=self._channels.dtype, device=self._device)
        for place, (tile, axes) in enumerate(jobs):
            result[place] = self._channels[(slice(None), *tile)].flip([axis + 1 for axis in axes])
        return result

    def add(self, tile: tiles.Tile, logits: torch.Tensor, weight: float) -> None:
        """Adds lesion minus background logit times the importance of the tile's voxels, times the weight of the pass.

        Each class's product is rounded to float16 as in the published method, on which its results depend in a
        volume's outermost corners (importance below 1e-6); sums are kept in float32.
        """
        background, lesion = (logits.to(self._sum.device) * self._importance).half().float()
        self.add_sums(tile, weight * (lesion - background))

    def add_sums(self, tile: tiles.Tile, sums: torch.Tensor) -> None:
        """Adds weighted differences of logits times importance."""
        sums = sums.to(self._sum.device)
        self._sum[tile] += sums
        if self._keep:
            start = _start(tile)
            self.kept[start] = self.kept[start] + sums if start in self.kept else sums

    def tiles_below(self, probability: float, window: Sequence[tiles.Tile], weight: float) -> list[tiles.Tile]:
        """Those kept tiles that give no voxel where they have a say a lesion probability above this one.

        Args:
            probability: 0 for no tile.
            window: the tiles to choose from.
            weight: of all that was added to each of them.
        """
        if probability <= 0:
            return []
        limit = weight * math.log(probability / (1 - probability))
        result = []
        for tile in window:
            heard = self._importance >= LEAST_SHARE * self._norm[tile].to(self._sum.device)
            if not (heard & (self.kept[_start(tile)] > limit * self._importance)).any():
                result.append(tile)
        return result

    def scale(self, tile: tiles.Tile, factor: float) -> None:
        """Multiplies all that a kept tile has added."""
        self.add_sums(tile, (factor - 1) * self.kept[_start(tile)])

    def is_finite(self) -> bool:
        """Whether all values are."""
        return bool(torch.isfinite(self._sum).all())

    def mean(self, weight: float) -> torch.Tensor:
        """What was added, over the importance of all tiles at a voxel and the weight of all passes; on the host.

        Where no tile stands it is `OUTSIDE_LOGIT`.
        """
        return self._sum.cpu().div_(self._norm * weight).masked_fill_(self._norm == 0, OUTSIDE_LOGIT)
