"""Scale of uptake: all of the PET's SUV times one number, as another dose, weight or time of uptake gives it."""

from typing import Any

import numpy as np

from lesionclick_training.augmentation.intensities import PET_CHANNEL, Intensities, IntensityTransform

FACTORS = (0.6, 1.6)


class ScaleUptake(IntensityTransform):
    """Multiplies SUV by a number, whose logarithm is uniform; no uptake stays no uptake."""

    def __init__(self, intensities: Intensities, factors: tuple[float, float] = FACTORS) -> None:
        """How the PET is normalized, and the least and the greatest factor."""
        super().__init__(PET_CHANNEL, intensities)
        self.factors = factors

    def get_parameters(self, **data_dict: Any) -> dict[str, Any]:
        """Draws `factor`."""
        return {"factor": float(np.exp(np.random.uniform(*np.log(self.factors))))}

    def change(self, physical: np.ndarray, **params: Any) -> np.ndarray:
        """See `IntensityTransform.change`."""
        physical *= np.float32(params["factor"])
        return physical
