"""Organs of an open case: found with one more forward pass a tile, whatever clicks there are."""

import numpy as np

from lesionclick.inference.ensemble import Ensemble
from lesionclick.log import stage
from lesionclick.session.open_case import OpenCase


def find_organs(ensemble: Ensemble, case: OpenCase) -> np.ndarray:
    """See `Session.predict_organs`."""
    with stage("organs"):
        logits = ensemble.predict_organs(case.inputs([]), tiles=case.tiles([]))
    with stage("resampling organs to the image"):
        # class by class, as nnU-Net takes the largest after resampling; where the image was cropped, none is
        organs = np.zeros(case.grid.image_shape, dtype=np.uint8)
        largest = case.to_image(logits[0])
        for number, logit in enumerate(logits[1:], start=1):
            resampled = case.to_image(logit)
            np.putmask(organs, resampled > largest, number)
            np.maximum(largest, resampled, out=largest)
    return organs
