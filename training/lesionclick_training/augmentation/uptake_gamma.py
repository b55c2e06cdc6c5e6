"""Gamma of uptake: more or less contrast between faint and hot, while an average lesion stays as hot as it is."""

from typing import Any

import numpy as np

from lesionclick_training.augmentation.intensities import PET_CHANNEL, Intensities, IntensityTransform

GAMMAS = (0.75, 1.35)


class UptakeGamma(IntensityTransform):
    """Turns SUV u into m (u / m)^gamma, where m is the plans' mean; the logarithm of gamma is uniform.

    Unlike nnU-Net's own gamma it does not depend on what else is in the patch.
    """

    def __init__(self, intensities: Intensities, gammas: tuple[float, float] = GAMMAS) -> None:
        """How the PET is normalized, and the least and the greatest gamma."""
        super().__init__(PET_CHANNEL, intensities)
        self.gammas = gammas

    def get_parameters(self, **data_dict: Any) -> dict[str, Any]:
        """Draws `gamma`."""
        return {"gamma": float(np.exp(np.random.uniform(*np.log(self.gammas))))}

    def change(self, physical: np.ndarray, **params: Any) -> np.ndarray:
        """See `IntensityTransform.change`."""
        mean = np.float32(self.intensities.mean)
        np.maximum(physical, 0, out=physical)
        physical /= mean
        np.power(physical, np.float32(params["gamma"]), out=physical)
        physical *= mean
        return physical
