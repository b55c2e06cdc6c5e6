"""Networks x mirrors x tiles -> one mean logit a voxel."""

import itertools
import logging
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from lesionclick import tiles
from lesionclick.errors import DeviceError, ModelError
from lesionclick.network import CLASSES
from lesionclick.weights import ModelFolder

logger = logging.getLogger(__name__)

# Ensembles up to this size (float32 bytes of all networks) stay in memory between predictions; of larger ones only the
# network at work does.
RESIDENT_BYTES = 2 << 30

# Mirrorings of a tile run together up to this many voxels: torch has no fast CPU kernel for a single small volume.
BATCH_VOXELS = 1 << 20
MAX_BATCH = 4

Axes = tuple[int, ...]


def resolve_device(name: str) -> torch.device:
    """The device behind "auto" (CUDA where there is some), "cpu", "cuda" or "cuda:N".

    Raises:
        DeviceError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, colon, index = name.partition(":")
    if name != "cpu" and not (kind == "cuda" and (not colon or index.isdecimal())):
        raise DeviceError(f"device {name!r} is unknown, expected auto, cpu, cuda or cuda:N")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if kind == "cuda" and int(index or 0) >= count:
        raise DeviceError(f"device {name!r} does not exist, this machine has {count} CUDA device(s)")
    return torch.device(name)


@dataclass(frozen=True)
class Pass:
    """One network over the whole volume, averaged over some of its mirrorings."""

    fold: int
    mirrors: tuple[Axes, ...]
    weight: float


class Ensemble:
    """The networks of a model folder on a device.

    Attributes:
        model: the folder that it was loaded from.
        device: where the networks compute; with float16 autocast on CUDA, in float32 on the CPU.
    """

    def __init__(self, model: ModelFolder, device: torch.device) -> None:
        self.model = model
        self.device = device
        self._resident = 4 * model.parameters * len(model.folds) <= RESIDENT_BYTES
        self._networks: dict[int, torch.nn.Module] = {}

    @classmethod
    def load(cls, folder: str | Path, device: str = "auto", folds: Sequence[str] | None = None) -> "Ensemble":
        """Checks a model folder; the networks themselves are read when first needed.

        Args:
            folder: a model folder, packed or not.
            device: "auto", "cpu", "cuda" or "cuda:N".
            folds: which networks to use, as in the folders' names: "0", "all"; None for every one.

        Raises:
            ModelError: the folder is broken or lacks a fold.
            DeviceError: no such device.
        """
        model = ModelFolder.read(folder)
        return cls(model if folds is None else model.select(folds), resolve_device(device))

    @property
    def takes_clicks(self) -> bool:
        """Whether the networks see click channels."""
        return self.model.channels == 4

    def foreground_logit(
        self,
        channels: np.ndarray,
        *,
        mirroring: bool = True,
        deadline: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> np.ndarray:
        """The lesion's logit minus the background's: mean over networks and mirrorings, Gaussian mean over tiles.

        Args:
            channels: float32 of shape (model.channels, *shape) on the network's grid.
            mirroring: whether each network also sees the volume mirrored along each combination of its allowed axes.
            deadline: when to be done, on `clock`. Every network first runs without mirroring, then mirroring by
                mirroring; the first pass that would not fit, judged by the longest so far, and all after it are left
                out, with a warning. The first pass of all runs in any case.
            clock: seconds.

        Returns:
            float32 array of that shape; above 0 where a lesion is more likely than not.

        Raises:
            ModelError: a network gives values that are not finite.
            DeviceError: the device has too little memory for a single tile.
        """
        if channels.shape[0] != self.model.channels:
            raise ValueError(f"{channels.shape[0]} channels given to networks of {self.model.channels}")
        shape, patch = channels.shape[1:], self.model.patch
        padding = tiles.padding(shape, patch)
        if any(sum(both) for both in padding):
            channels = np.pad(channels, [(0, 0), *padding])
        volume = torch.from_numpy(channels)
        window = tiles.place_tiles(volume.shape[1:], patch)
        passes = self._plan(mirroring, one_by_one=deadline is not None)
        forwards = sum(len(each.mirrors) for each in passes) * len(window)
        logger.info("network: %d forward passes (%d tiles, %d networks)", forwards, len(window), len(self.model.folds))

        total = _Accumulator(volume.shape[1:], tiles.importance(patch), self.device)
        weight = 0.0
        longest = 0.0
        done = 0
        with tqdm(total=forwards, unit="tile", disable=not sys.stderr.isatty()) as progress:
            for each in passes:
                start = clock()
                if deadline is not None and done and start + longest > deadline:
                    break
                network = self._network(each.fold)
                for tile in window:
                    logits = self._mirrored(network, volume[(slice(None), *tile)], each.mirrors, total)
                    total.add(tile, logits, each.weight)
                    progress.update(len(each.mirrors))
                weight += each.weight
                done += 1
                longest = max(longest, clock() - start)
                if not total.is_finite():
                    raise ModelError(
                        f"{self.model.folds[each.fold].path}: its network gives values that are not finite"
                    )
        if done < len(passes):
            networks = len({each.fold for each in passes[:done]})
            logger.warning(
                "time limit: the result holds %d of %d passes (%d of %d networks)",
                *(done, len(passes), networks, len(self.model.folds)),
            )

        result = total.mean(window, weight)
        inside = tuple(slice(before, before + size) for (before, _), size in zip(padding, shape, strict=True))
        return result[inside].contiguous().numpy()

    def _plan(self, mirroring: bool, *, one_by_one: bool) -> list[Pass]:
        """The passes to make: one a network, or in the order in which they are worth most when time may run out."""
        mirrors = [_combinations(fold.mirror_axes if mirroring else ()) for fold in self.model.folds]
        if not one_by_one:
            return [Pass(fold, each, 1.0) for fold, each in enumerate(mirrors)]
        single = [
            (place, Pass(fold, (axes,), 1 / len(each)))
            for fold, each in enumerate(mirrors)
            for place, axes in enumerate(each)
        ]
        return [each for _, each in sorted(single, key=lambda item: item[0])]

    def _network(self, fold: int) -> torch.nn.Module:
        if fold not in self._networks:
            if not self._resident:
                self._networks.clear()
            self._networks[fold] = self.model.load(self.model.folds[fold], self.device)
        return self._networks[fold]

    def _mirrored(
        self, network: torch.nn.Module, tile: torch.Tensor, mirrors: Sequence[Axes], total: "_Accumulator"
    ) -> torch.Tensor:
        """One tile's logits, mean over mirrorings; when the device's memory runs out, `total` makes room."""
        while True:
            try:
                return _forward(network, tile.to(self.device), mirrors)
            except torch.cuda.OutOfMemoryError:
                if not total.move_to_host():
                    shape = tuple(tile.shape)
                    raise DeviceError(f"{self.device} has too little memory for a tile of {shape}") from None


def _combinations(axes: Axes) -> tuple[Axes, ...]:
    """Every subset of the axes, the empty one first."""
    return tuple(subset for count in range(len(axes) + 1) for subset in itertools.combinations(axes, count))


@torch.inference_mode()
def _forward(network: torch.nn.Module, tile: torch.Tensor, mirrors: Sequence[Axes]) -> torch.Tensor:
    """Logits of one tile, mean over mirrorings: from (channel, z, y, x) to float32 (class, z, y, x)."""
    mean = torch.zeros((CLASSES, *tile.shape[1:]), device=tile.device)
    size = max(1, min(MAX_BATCH, BATCH_VOXELS // tile[0].numel()))
    for some in (mirrors[start : start + size] for start in range(0, len(mirrors), size)):
        dimensions = [[axis + 1 for axis in axes] for axes in some]
        batch = torch.stack([tile.flip(each) for each in dimensions])
        with torch.autocast("cuda", torch.float16, enabled=tile.device.type == "cuda"):
            logits = network(batch).float()
        for each, mirrored in zip(dimensions, logits, strict=True):
            mean += mirrored.flip(each)
    return mean / len(mirrors)


class _Accumulator:
    """The weighted sum of logit differences, on the device while there is room and on the host otherwise."""

    def __init__(self, shape: Sequence[int], importance: torch.Tensor, device: torch.device) -> None:
        self._importance = importance
        try:
            self._sum = torch.zeros(tuple(shape), device=device)
            self._importance = importance.to(device)
        except torch.cuda.OutOfMemoryError:
            logger.info("%s has no room for the result of %s voxels, it is kept in host memory", device, tuple(shape))
            self._sum = torch.zeros(tuple(shape))

    def move_to_host(self) -> bool:
        """Frees the device; False where nothing of this is on one."""
        if self._sum.device.type == "cpu":
            return False
        logger.info("memory of %s ran out, the result moves to host memory", self._sum.device)
        self._sum, self._importance = self._sum.cpu(), self._importance.cpu()
        torch.cuda.empty_cache()
        return True

    def add(self, tile: tiles.Tile, logits: torch.Tensor, weight: float) -> None:
        """Adds lesion minus background logit times the importance of the tile's voxels, times the weight of the pass.

        Each class's product is rounded to float16 as in the published method, on which its results depend in a
        volume's outermost corners (importance below 1e-6); sums are kept in float32.
        """
        background, lesion = (logits.to(self._sum.device) * self._importance).half().float()
        self._sum[tile] += weight * (lesion - background)

    def is_finite(self) -> bool:
        """Whether all values are."""
        return bool(torch.isfinite(self._sum).all())

    def mean(self, window: Sequence[tiles.Tile], weight: float) -> torch.Tensor:
        """What was added, over the importance of all tiles at a voxel and the weight of all passes; on the host."""
        norm = torch.zeros(self._sum.shape)
        importance = self._importance.cpu() * weight
        for tile in window:
            norm[tile] += importance
        return self._sum.cpu().div_(norm)
