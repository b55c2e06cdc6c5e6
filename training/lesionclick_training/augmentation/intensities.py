"""Intensities: normalized voxels in their physical units, SUV or HU, and transforms that change them there."""

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import ImageOnlyTransform

CT_CHANNEL, PET_CHANNEL = 0, 1


@dataclass(frozen=True)
class Intensities:
    """The numbers that nnU-Net's CTNormalization goes by in one channel, in SUV or HU.

    Attributes:
        mean: what becomes 0.
        std: what becomes a step of 1; above 0.
        lower: what lies below is clipped to it.
        upper: what lies above is clipped to it.
    """

    mean: float
    std: float
    lower: float
    upper: float

    @classmethod
    def from_plans(cls, properties: Mapping[str, float]) -> Self:
        """Those of one channel of the plans' `foreground_intensity_properties_per_channel`."""
        keys = ("mean", "std", "percentile_00_5", "percentile_99_5")
        return cls(*(float(properties[key]) for key in keys))

    def to_physical(self, normalized: np.ndarray) -> np.ndarray:
        """SUV or HU of normalized voxels, float32."""
        physical: np.ndarray = normalized * np.float32(self.std) + np.float32(self.mean)
        return physical

    def normalize(self, physical: np.ndarray) -> np.ndarray:
        """SUV or HU as preprocessing normalizes it, float32; changed in place."""
        np.clip(physical, self.lower, self.upper, out=physical)
        physical -= np.float32(self.mean)
        physical /= np.float32(self.std)
        return physical


class IntensityTransform(ImageOnlyTransform, abc.ABC):  # type: ignore[misc]  # a library without types
    """Changes one channel of an image in its physical units; the other channels stay.

    Takes and gives a normalized image of shape (channels, z, y, x), float32. What comes out is normalized as
    preprocessing would have normalized it, clipping included. Random choices come from numpy's global state, which
    nnU-Net seeds in each worker.
    """

    def __init__(self, channel: int, intensities: Intensities) -> None:
        """The channel to change, and how it is normalized."""
        super().__init__()
        self.channel = channel
        self.intensities = intensities

    def _apply_to_image(self, img: torch.Tensor, **params: Any) -> torch.Tensor:
        changed = self.change(self.intensities.to_physical(img[self.channel].numpy()), **params)
        image = img.clone()
        image[self.channel] = torch.from_numpy(self.intensities.normalize(changed))
        return image

    @abc.abstractmethod
    def change(self, physical: np.ndarray, **params: Any) -> np.ndarray:
        """A volume in SUV or HU, changed as `get_parameters` has drawn it; float32, may be the same array."""


def draw_noise(shape: tuple[int, ...]) -> np.ndarray:
    """White noise of mean 0 and standard deviation 1, float32, from numpy's global state."""
    generator = np.random.default_rng(np.random.randint(2**32, size=4, dtype=np.uint32))
    return generator.standard_normal(shape, dtype=np.float32)
