"""Prediction: what an ensemble says of a case, and the mask that is made of it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import expit

from lesionclick.case.clicks import Click
from lesionclick.inference.settings import DEFAULT_SETTINGS, PostProcessing
from lesionclick.session.postprocessing import post_process
from lesionclick.session.starting_mask import Start


@dataclass(frozen=True, eq=False)
class Prediction:
    """What an ensemble says of a case.

    Attributes:
        logit_zyx: float32 on the case's grid, the lesion's logit minus the background's, minus infinity where the image
            was cropped away.
        spacing_zyx: of that grid, mm.
        clicks: all that the networks were shown.
        post_processing: what is done to the mask.
        start: the mask that clicks change, if there is one.
    """

    logit_zyx: np.ndarray
    spacing_zyx: tuple[float, ...]
    clicks: tuple[Click, ...] = ()
    post_processing: PostProcessing = DEFAULT_SETTINGS.post_processing
    start: Start | None = None

    @cached_property
    def mask(self) -> np.ndarray:
        """uint8 on the case's grid (z, y, x), 1 where a lesion is more likely than not, post-processed as asked for.

        With a starting mask: that mask, changed where clicks changed what the networks say, see `starting_mask`.
        """
        return post_process(self.logit_zyx, self.clicks, self.spacing_zyx, self.post_processing, self.start)

    @cached_property
    def probability(self) -> np.ndarray:
        """float32 on the case's grid (z, y, x), the lesion's probability; no post-processing changes it."""
        probability: np.ndarray = expit(self.logit_zyx)
        return probability
