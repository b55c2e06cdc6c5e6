"""Strong augmentation of intensities, so that networks trained on few cases, or on phantoms, serve on others."""

from collections.abc import Mapping

from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.utils.random import RandomTransform

from lesionclick_training.augmentation.ct_noise import CTNoise
from lesionclick_training.augmentation.intensities import CT_CHANNEL, PET_CHANNEL, Intensities
from lesionclick_training.augmentation.uptake_blur import BlurUptake
from lesionclick_training.augmentation.uptake_gamma import UptakeGamma
from lesionclick_training.augmentation.uptake_noise import UptakeNoise
from lesionclick_training.augmentation.uptake_scale import ScaleUptake


def strong_transforms(properties: Mapping[str, Mapping[str, float]]) -> list[BasicTransform]:
    """The transforms in the order in which a scan comes about: patient, scanner, noise.

    They come on top of nnU-Net's, after that which turns and stretches patches, so that the noise keeps its grain.

    Args:
        properties: `foreground_intensity_properties_per_channel` of the plans; CT and PET are normalized by
            CTNormalization.
    """
    ct, pet = (Intensities.from_plans(properties[str(channel)]) for channel in (CT_CHANNEL, PET_CHANNEL))
    shares: list[tuple[BasicTransform, float]] = [
        (ScaleUptake(pet), 0.5),
        (UptakeGamma(pet), 0.2),
        (BlurUptake(pet), 0.3),
        (UptakeNoise(pet), 0.4),
        (CTNoise(ct), 0.3),
    ]
    return [RandomTransform(transform, apply_probability=share) for transform, share in shares]
