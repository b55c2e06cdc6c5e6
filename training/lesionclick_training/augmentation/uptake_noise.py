"""Noise of uptake: grains of a few voxels, as reconstruction leaves them, stronger where there is more uptake."""

from typing import Any

import numpy as np
from scipy import ndimage

from lesionclick_training.augmentation.intensities import PET_CHANNEL, Intensities, IntensityTransform, draw_noise

AMPLITUDES = (0.05, 0.35)
"""Standard deviation at SUV 1. A liver of SUV 2 then has a coefficient of variation of 4 to 25 %."""

SIGMAS = (0.5, 1.2)  # voxels


class UptakeNoise(IntensityTransform):
    """Adds white noise that a Gaussian has filtered, times an amplitude and the square root of SUV.

    Counts have the variance of their number, and a reconstruction's filter correlates neighbors.
    """

    def __init__(
        self,
        intensities: Intensities,
        amplitudes: tuple[float, float] = AMPLITUDES,
        sigmas: tuple[float, float] = SIGMAS,
    ) -> None:
        """How the PET is normalized, the least and the greatest amplitude, and the same of the Gaussian's sigma."""
        super().__init__(PET_CHANNEL, intensities)
        self.amplitudes = amplitudes
        self.sigmas = sigmas

    def get_parameters(self, **data_dict: Any) -> dict[str, Any]:
        """Draws `amplitude`, and `noise` of mean 0 and standard deviation 1, of the image's shape."""
        sigma = np.random.uniform(*self.sigmas)
        noise = ndimage.gaussian_filter(draw_noise(data_dict["image"].shape[1:]), sigma, mode="wrap", truncate=3)
        return {"amplitude": float(np.random.uniform(*self.amplitudes)), "noise": noise / noise.std()}

    def change(self, physical: np.ndarray, **params: Any) -> np.ndarray:
        """See `IntensityTransform.change`."""
        noisy: np.ndarray = (
            physical + np.float32(params["amplitude"]) * np.sqrt(np.maximum(physical, 0)) * params["noise"]
        )
        return noisy
