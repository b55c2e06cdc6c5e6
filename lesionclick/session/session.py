"""One open case: preprocessed once, predicted for any list of clicks."""

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import expit

from lesionclick.case.case import Case
from lesionclick.case.clicks import Click
from lesionclick.inference.body import MARGIN_MM, TRUNK_MM, find_body
from lesionclick.inference.ensemble import Ensemble, TileMemory
from lesionclick.inference.settings import FieldOfView, InferenceSettings, Mirroring
from lesionclick.inference.tiles import Region
from lesionclick.log import stage
from lesionclick.model.encoding import to_network_grid

logger = logging.getLogger(__name__)

TILE_CACHE_BYTES = 2 << 30
"""How much a session keeps of what tiles gave, if nothing else is said."""

MIRROR_ABOVE = 0.001
"""Lesion probability up to which the networks' mean without mirroring is left as it is."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What an ensemble says of a case.

    Attributes:
        logit_zyx: float32 on the CT's grid, the lesion's logit minus the background's, minus infinity where the image
            was cropped away.
    """

    logit_zyx: np.ndarray

    @cached_property
    def mask(self) -> np.ndarray:
        """uint8 on the CT's grid (z, y, x), 1 where a lesion is more likely than not."""
        return (self.logit_zyx > 0).astype(np.uint8)

    @cached_property
    def probability(self) -> np.ndarray:
        """float32 on the CT's grid (z, y, x), the lesion's probability."""
        return expit(self.logit_zyx)


class Session:
    """A case opened with an ensemble, for any number of predictions."""

    def __init__(
        self,
        ensemble: Ensemble,
        case: Case,
        settings: InferenceSettings = InferenceSettings(),
        *,
        tile_cache_bytes: int = TILE_CACHE_BYTES,
    ) -> None:
        """Preprocesses the case's images.

        Args:
            ensemble: the networks.
            case: what to segment.
            settings: where networks look, how many, and mirrored how often.
            tile_cache_bytes: how much of what tiles gave is kept, so that a prediction computes only tiles whose clicks
                are new; 0 for nothing.
        """
        self.ensemble = ensemble
        self.case = case
        self.settings = settings
        self._memory = TileMemory() if tile_cache_bytes else None
        with stage("preprocessing"):
            image = np.stack([case.ct_zyx, case.pet_zyx])
            self._image, self._grid = ensemble.model.preprocessing.to_network(image, case.geometry.spacing_zyx)
            self._body: np.ndarray | None = None
            self._mirror_above = 0.0
            if settings.field_of_view == FieldOfView.body:
                self._body = find_body(case.ct_zyx, case.pet_zyx, case.geometry.spacing_zyx, self._grid)
            if settings.mirroring == Mirroring.adaptive:
                self._mirror_above = MIRROR_ABOVE

    def channels(self, clicks: Iterable[Click]) -> np.ndarray:
        """The networks' input: float32 of shape (4 or 2, *network grid), CT, PET, tumor clicks, background clicks."""
        clicks = tuple(clicks)
        if not self.ensemble.takes_clicks:
            if clicks:
                logger.warning("the model was trained without clicks: %d clicks are ignored", len(clicks))
            return self._image
        maps = []
        for label in ("tumor", "background"):
            points = to_network_grid((click for click in clicks if click.label == label), self._grid)
            maps.append(self.ensemble.model.encoding.encode(points, self._grid.shape))
        return np.concatenate([self._image, np.stack(maps)])

    def predict(self, clicks: Iterable[Click] | None = None, *, deadline: float | None = None) -> Prediction:
        """Segments the case.

        Args:
            clicks: all clicks to go by; None for the case's own.
            deadline: see `Ensemble.foreground_logit`, on time.monotonic; the way back to the CT's grid comes after it.

        Raises:
            ModelError, DeviceError: see `Ensemble.foreground_logit`.
        """
        clicks = self.case.clicks if clicks is None else tuple(clicks)
        channels = self.channels(clicks)
        with stage("prediction"):
            logit = self.ensemble.foreground_logit(
                channels,
                region=self.region(clicks),
                mirroring=self.settings.mirroring != Mirroring.none,
                mirror_above=self._mirror_above,
                deadline=deadline,
                memory=self._memory if deadline is None else None,
            )
        del channels
        with stage("resampling to the image"):
            return Prediction(self.ensemble.model.preprocessing.to_image(logit, self._grid))

    def region(self, clicks: Iterable[Click]) -> Region | None:
        """Where the networks look for these clicks, on their grid; None for everywhere."""
        if self._body is None:
            return None
        mask = self._body.copy()
        points, patch = to_network_grid(clicks, self._grid), self.ensemble.model.patch
        for point in points[((points >= 0) & (points < mask.shape)).all(axis=1)]:
            if not mask[tuple(point)]:
                quarters = ((at, length // 4) for at, length in zip(point, patch, strict=True))
                mask[tuple(slice(max(0, at - quarter), at + quarter + 1) for at, quarter in quarters)] = True
        spacing = self._grid.spacing
        return Region(
            mask,
            margin=[math.ceil(MARGIN_MM / each) for each in spacing],
            movable=[axis for axis in range(3) if patch[axis] * spacing[axis] >= TRUNK_MM],
        )
