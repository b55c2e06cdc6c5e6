"""The ensemble: passes of networks over tiles, summed a tile and blended into one logit a voxel."""

import hashlib
import logging
import platform
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

import lesionclick
from lesionclick.inference.engine import Engine
from lesionclick.inference.executor import Executor
from lesionclick.inference.organs import predict_organ_logits
from lesionclick.inference.passes import first_networks, plan_passes
from lesionclick.inference.run import Run, quiet_logit
from lesionclick.inference.schedule import Schedule
from lesionclick.inference.settings import DEFAULT_SETTINGS, InferenceSettings, Mirroring, Networks
from lesionclick.inference.tile_cache import TileCache
from lesionclick.inference.tile_inputs import CaseImages, TileInputs
from lesionclick.inference.tile_plan import TilePlan
from lesionclick.inference.tile_sums import TileSum, blend
from lesionclick.inference.tiles import Tile
from lesionclick.log import Progress
from lesionclick.model.check import fingerprint
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

    @cached_property
    def identity(self) -> str:
        """A digest of all that decides, beside input and settings, what the networks give on this machine."""
        parts = [fingerprint(self.model), str(self.engine), lesionclick.__version__, torch.__version__]
        parts += [version("openvino"), version("nnunetv2"), platform.machine(), platform.processor()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def read_ahead(self) -> None:
        """Begins to read the network that is needed first, in another thread, while the caller does something else."""
        self._executor.networks.prefetch(0)

    def keep_all_ready(self) -> None:
        """Begins to read every network in another thread, those first that are needed first, to keep all of them.

        Where they would take too much of this machine's memory they are read when they are needed, as ever.
        """
        count = len(self.model.folds)
        if self._executor.keep_all():
            for index in dict.fromkeys((*first_networks(count), *range(count))):
                self._executor.networks.prefetch(index)

    def prepare(self, images: np.ndarray) -> CaseImages:
        """Makes CT and PET ready once for any number of predictions: float32 (2, *shape) on the networks' grid."""
        return CaseImages(images, self.model.patch, self.engine)

    def predict_logits(
        self,
        channels: np.ndarray | TileInputs,
        settings: InferenceSettings = DEFAULT_SETTINGS,
        *,
        tiles: Sequence[Tile] | None = None,
        deadline: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        cache: TileCache | None = None,
        on_update: Callable[[np.ndarray], None] | None = None,
        on_progress: Callable[[int, int], None] | None = None,
        is_superseded: Callable[[], bool] | None = None,
    ) -> np.ndarray:
        """The lesion's logit minus the background's: mean over networks and mirrorings, Gaussian mean over tiles.

        Args:
            channels: float32 of shape (model.channels, *shape) on the network's grid, or these made ready before.
            settings: which tiles all networks see, and which mirrored; the field of view is `tiles`.
            tiles: where networks look, in the grid's order; None for everywhere.
            deadline: when to be done, on `clock`. Every network first sees tiles as they are, then mirrored, which
                changes how results are rounded where `Mirroring.all` is asked for. The first pass that would not fit,
                judged by the slowest so far, and all after it are left out, with a warning. The first pass of all is
                made in any case.
            clock: seconds.
            cache: sums of tiles from earlier predictions of the same images with the same settings; only what they lack
                is computed, and then kept there, whatever ends the prediction. Sums that a deadline cut short in
                another order of passes are not kept; with a deadline, those that lack some pass are not taken.
            on_update: called with the result so far before each pass but the first.
            on_progress: called with the forward passes made so far and all that this prediction makes, after each
                batch of them; the latter falls once it is known which tiles are quiet.
            is_superseded: asked before each batch, whether to give up.

        Returns:
            float32 array of that shape; above 0 where a lesion is more likely than not, `OUTSIDE_LOGIT` where no
            network looked.

        Raises:
            ModelError: a network gives values that are not finite.
            DeviceError: the device has too little memory for a single tile.
            Superseded: `is_superseded` said so.
        """
        inputs = self._inputs(channels)
        tiles = inputs.grid.tiles if tiles is None else tiles
        mirror_axes = [fold.mirror_axes for fold in self.model.folds]
        plan = TilePlan(plan_passes(mirror_axes, settings), quiet_logit())
        keys = inputs.keys(tiles) if cache is not None else []
        cached = [cache.get(key) for key in keys] if cache is not None else [None] * len(tiles)
        sums = {index: found for index, found in enumerate(cached) if found is not None and plan.is_complete(found)}
        new = [index for index in range(len(tiles)) if index not in sums]
        logger.info("network: %d of %d tiles, %d networks", len(new), len(tiles), len(self.model.folds))

        def blend_so_far(device: torch.device) -> np.ndarray:
            in_order = [sums[index] for index in range(len(tiles))]
            importance = inputs.images.importance(tiles)
            return inputs.grid.crop(blend(in_order, tiles, importance, device)).contiguous().numpy()

        if not new:
            return blend_so_far(self.engine.device)
        is_adaptive = settings.mirroring == Mirroring.adaptive or settings.networks == Networks.adaptive
        passes = plan_passes(mirror_axes, settings, at_once=deadline is None)
        run = Run(
            self._executor,
            inputs,
            [tiles[index] for index in new],
            [_to_go_on_with(cached[index], plan) if deadline is None else None for index in new],
            find_peaks=is_adaptive,
            is_superseded=is_superseded,
        )
        sums |= dict(zip(new, run.sums, strict=True))
        try:
            with Progress("network", 0, "forward passes") as progress:
                schedule = Schedule(passes, lambda each: len(run.lacking(each)), deadline, clock, progress, on_progress)
                for _ in run.make(passes, schedule):
                    if on_update is not None:
                        on_update(blend_so_far(run.device))
            schedule.log(len(self.model.folds))
            return blend_so_far(run.device)
        finally:
            if cache is not None:
                for place, index in enumerate(new):
                    found = sums[index]
                    if found.passes and place not in run.spoiled and plan.lacking(found) is not None:
                        cache.put(keys[index], found)

    def predict_organs(self, channels: np.ndarray | TileInputs, *, tiles: Sequence[Tile] | None = None) -> np.ndarray:
        """Organs' logits by the first network that knows organs, without mirroring: Gaussian mean over tiles.

        Args:
            channels: as in `predict_logits`; clicks hardly matter.
            tiles: likewise.

        Returns:
            float32 (`case.organs.ORGAN_CLASSES`, *shape); the largest of a voxel's logits tells its organ. Where no
            network looked it is that of class 0, no organ.

        Raises:
            ModelError: no network knows organs, or it gives values that are not finite.
            DeviceError: the device has too little memory for a single tile.
        """
        inputs = self._inputs(channels)
        return predict_organ_logits(self._executor, inputs, inputs.grid.tiles if tiles is None else tiles)

    def _inputs(self, channels: np.ndarray | TileInputs) -> TileInputs:
        if isinstance(channels, np.ndarray):
            channels = TileInputs(self.prepare(channels[:IMAGE_CHANNELS]), channels[IMAGE_CHANNELS:])
        if channels.channel_count != self.model.channels:
            raise ValueError(f"{channels.channel_count} channels given to networks of {self.model.channels}")
        return channels


def _to_go_on_with(found: TileSum | None, plan: TilePlan) -> TileSum | None:
    """A sum from an earlier prediction that lacks some passes, if what it has are the first ones."""
    return None if found is None or plan.lacking(found) is None else found
