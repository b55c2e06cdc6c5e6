"""The ensemble: passes of networks over tiles, summed a tile and blended into one logit a voxel."""

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from lesionclick.inference.engine import Engine
from lesionclick.inference.executor import Executor
from lesionclick.inference.organs import predict_organ_logits
from lesionclick.inference.passes import plan_passes
from lesionclick.inference.run import Run
from lesionclick.inference.schedule import Schedule
from lesionclick.inference.settings import DEFAULT_SETTINGS, InferenceSettings, Mirroring, Networks
from lesionclick.inference.tile_cache import TileCache, tile_keys
from lesionclick.inference.tile_sums import blend
from lesionclick.inference.tiles import TileGrid
from lesionclick.log import Progress
from lesionclick.model.folder import ModelFolder

logger = logging.getLogger(__name__)

IMAGE_CHANNELS = 2  # CT, PET; the others show clicks


class Ensemble:
    """The networks of a model folder on a device. Sessions in several threads may share one.

    One batch at a time is computed on the device. What passes give is kept by each prediction for itself.

    Attributes:
        model: the folder that it was loaded from.
        engine: where and how the networks compute.
    """

    def __init__(self, model: ModelFolder, engine: Engine, *, keep_networks: bool = True) -> None:
        """An ensemble without any network in memory yet.

        Args:
            model: the networks' folder.
            engine: where and how they compute.
            keep_networks: whether to keep all in host memory for the next prediction where there is room, rather than
                the one at work and, where both fit, the next one.
        """
        self.model = model
        self.engine = engine
        self._executor = Executor(model, engine, keep_networks)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        device: str = "auto",
        folds: Sequence[str] | None = None,
        *,
        backend: str = "auto",
        precision: str = "auto",
        keep_networks: bool = True,
    ) -> "Ensemble":
        """Checks a model folder; the networks themselves are read when first needed.

        Args:
            folder: a model folder, packed or not.
            device: "auto" (CUDA where there is some), "cpu", "cuda" or "cuda:N".
            folds: which networks to use, as in the folders' names: "0", "all"; None for every one.
            backend: a name of `Backend`.
            precision: a name of `Precision`.
            keep_networks: see `Ensemble`.

        Raises:
            ModelError: the folder is broken or lacks a fold.
            DeviceError: no such device, or it has no such backend or precision.
        """
        model = ModelFolder.read(folder)
        model = model if folds is None else model.select(folds)
        return cls(model, Engine.choose(device, backend, precision), keep_networks=keep_networks)

    @property
    def takes_clicks(self) -> bool:
        """Whether the networks see click channels."""
        return self.model.channels > IMAGE_CHANNELS

    @property
    def knows_organs(self) -> bool:
        """Whether `predict_organs` can be asked: some network has a head for organs."""
        return any(fold.has_organ_head for fold in self.model.folds)

    def read_ahead(self) -> None:
        """Begins to read the network that is needed first, in another thread, while the caller does something else."""
        self._executor.networks.prefetch(0)

    def predict_logits(
        self,
        channels: np.ndarray,
        settings: InferenceSettings = DEFAULT_SETTINGS,
        *,
        region: np.ndarray | None = None,
        deadline: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        cache: TileCache | None = None,
        on_update: Callable[[np.ndarray], None] | None = None,
    ) -> np.ndarray:
        """The lesion's logit minus the background's: mean over networks and mirrorings, Gaussian mean over tiles.

        Args:
            channels: float32 of shape (model.channels, *shape) on the network's grid.
            settings: which tiles all networks see, and which mirrored; the field of view is `region`.
            region: where networks look, on that grid; None for everywhere.
            deadline: when to be done, on `clock`. Every network first sees tiles as they are, then mirrored, which
                changes how results are rounded where `Mirroring.all` is asked for. The first pass that would not fit,
                judged by the slowest so far, and all after it are left out, with a warning. The first pass of all is
                made in any case.
            clock: seconds.
            cache: sums of tiles from earlier predictions of the same images with the same settings; only tiles that it
                lacks are computed, and then kept there, but for those that a deadline cut short.
            on_update: called with the result so far before each pass but the first.

        Returns:
            float32 array of that shape; above 0 where a lesion is more likely than not, `OUTSIDE_LOGIT` where no
            network looked.

        Raises:
            ModelError: a network gives values that are not finite.
            DeviceError: the device has too little memory for a single tile.
        """
        self._require_channels(channels)
        grid = TileGrid(channels.shape[1:], self.model.patch)
        channels = grid.pad(channels)
        tiles = grid.tiles_covering(region)
        keys = tile_keys(channels[IMAGE_CHANNELS:], tiles) if cache is not None else []
        cached = [cache.get(key) for key in keys] if cache is not None else [None] * len(tiles)
        new = [index for index, found in enumerate(cached) if found is None]
        logger.info("network: %d of %d tiles, %d networks", len(new), len(tiles), len(self.model.folds))

        sums = {index: found for index, found in enumerate(cached) if found is not None}
        importance = grid.sum_importance(tiles)

        def blend_so_far(device: torch.device) -> np.ndarray:
            in_order = [sums[index] for index in range(len(tiles))]
            return grid.crop(blend(in_order, tiles, importance, device)).contiguous().numpy()

        if not new:
            return blend_so_far(self.engine.device)
        is_adaptive = settings.mirroring == Mirroring.adaptive or settings.networks == Networks.adaptive
        run = Run(self._executor, channels, grid, [tiles[index] for index in new], find_peaks=is_adaptive)
        sums |= dict(zip(new, run.sums, strict=True))
        at_once = deadline is None
        passes = plan_passes([fold.mirror_axes for fold in self.model.folds], settings, at_once=at_once)
        try:
            with Progress("network", 0, "forward passes") as progress:
                schedule = Schedule(passes, len(new), deadline, clock, progress)
                regrouped = settings.mirroring == Mirroring.all and not at_once
                for _ in run.make(passes, schedule, regrouped=regrouped):
                    if on_update is not None:
                        on_update(blend_so_far(run.device))
            schedule.log(len(self.model.folds))
            return blend_so_far(run.device)
        finally:
            if cache is not None:
                for index, complete in zip(new, run.complete, strict=True):
                    if complete:
                        cache.put(keys[index], sums[index])

    def predict_organs(self, channels: np.ndarray, *, region: np.ndarray | None = None) -> np.ndarray:
        """Organs' logits by the first network that knows organs, without mirroring: Gaussian mean over tiles.

        Args:
            channels: as in `predict_logits`; clicks hardly matter.
            region: likewise.

        Returns:
            float32 (`case.organs.ORGAN_CLASSES`, *shape); the largest of a voxel's logits tells its organ. Where no
            network looked it is that of class 0, no organ.

        Raises:
            ModelError: no network knows organs, or it gives values that are not finite.
            DeviceError: the device has too little memory for a single tile.
        """
        self._require_channels(channels)
        return predict_organ_logits(self._executor, channels, region)

    def _require_channels(self, channels: np.ndarray) -> None:
        if channels.shape[0] != self.model.channels:
            raise ValueError(f"{channels.shape[0]} channels given to networks of {self.model.channels}")
