"""One open case: preprocessed once, predicted for any list of clicks."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import expit

from lesionclick.case import Case
from lesionclick.clicks import Click, to_network_grid
from lesionclick.ensemble import Ensemble
from lesionclick.log import stage

logger = logging.getLogger(__name__)


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
    """A case opened with an ensemble."""

    def __init__(self, ensemble: Ensemble, case: Case) -> None:
        """Preprocesses the case's images."""
        self.ensemble = ensemble
        self.case = case
        with stage("preprocessing"):
            image = np.stack([case.ct_zyx, case.pet_zyx])
            self._image, self._grid = ensemble.model.preprocessing.to_network(image, case.geometry.spacing_zyx)

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

    def predict(
        self, clicks: Iterable[Click] | None = None, *, mirroring: bool = True, deadline: float | None = None
    ) -> Prediction:
        """Segments the case.

        Args:
            clicks: all clicks to go by; None for the case's own.
            mirroring: see `Ensemble.foreground_logit`.
            deadline: see `Ensemble.foreground_logit`, on time.monotonic; the way back to the CT's grid comes after it.

        Raises:
            ModelError, DeviceError: see `Ensemble.foreground_logit`.
        """
        channels = self.channels(self.case.clicks if clicks is None else clicks)
        with stage("prediction"):
            logit = self.ensemble.foreground_logit(channels, mirroring=mirroring, deadline=deadline)
        del channels
        with stage("resampling to the image"):
            return Prediction(self.ensemble.model.preprocessing.to_image(logit, self._grid))
