"""Noise of the CT: grain and a shift of all HU, as low doses and other scanners give them."""

from typing import Any

import numpy as np

from lesionclick_training.augmentation.intensities import CT_CHANNEL, Intensities, IntensityTransform, draw_noise

AMPLITUDES = (5.0, 40.0)  # HU, on the network's grid

SHIFT = 15.0  # HU


class CTNoise(IntensityTransform):
    """Adds white noise and one number to all HU."""

    def __init__(
        self, intensities: Intensities, amplitudes: tuple[float, float] = AMPLITUDES, shift: float = SHIFT
    ) -> None:
        """How the CT is normalized, the least and the greatest amplitude, and the greatest shift up or down, in HU."""
        super().__init__(CT_CHANNEL, intensities)
        self.amplitudes = amplitudes
        self.shift = shift

    def get_parameters(self, **data_dict: Any) -> dict[str, Any]:
        """Draws `shift`, `amplitude`, and `noise` of mean 0 and standard deviation 1, of the image's shape."""
        return {
            "shift": float(np.random.uniform(-self.shift, self.shift)),
            "amplitude": float(np.random.uniform(*self.amplitudes)),
            "noise": draw_noise(data_dict["image"].shape[1:]),
        }

    def change(self, physical: np.ndarray, **params: Any) -> np.ndarray:
        """See `IntensityTransform.change`."""
        physical += np.float32(params["amplitude"]) * params["noise"]
        physical += np.float32(params["shift"])
        return physical
