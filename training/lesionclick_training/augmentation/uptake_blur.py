"""Blur of uptake: a PET of a scanner or a reconstruction with a wider point spread; the CT stays sharp."""

from typing import Any

import numpy as np
from scipy import ndimage

from lesionclick_training.augmentation.intensities import PET_CHANNEL, Intensities, IntensityTransform

SIGMAS = (0.5, 1.5)  # voxels


class BlurUptake(IntensityTransform):
    """Filters the PET with a Gaussian, alike along all axes."""

    def __init__(self, intensities: Intensities, sigmas: tuple[float, float] = SIGMAS) -> None:
        """How the PET is normalized, and the narrowest and the widest Gaussian, its sigma in voxels."""
        super().__init__(PET_CHANNEL, intensities)
        self.sigmas = sigmas

    def get_parameters(self, **data_dict: Any) -> dict[str, Any]:
        """Draws `sigma`."""
        return {"sigma": float(np.random.uniform(*self.sigmas))}

    def change(self, physical: np.ndarray, **params: Any) -> np.ndarray:
        """See `IntensityTransform.change`."""
        blurred: np.ndarray = ndimage.gaussian_filter(physical, params["sigma"], mode="nearest", truncate=3)
        return blurred
