"""Contours as another reader would draw them, so that networks learn to take the outline from clicks on it."""

from typing import Any

import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import SegOnlyTransform
from scipy import ndimage

from lesionclick_training.augmentation.unknown_outside import OUTSIDE
from lesionclick_training.data.nnunet_layout import UNKNOWN
from lesionclick_training.data.parts import largest_part

SMALLEST_RADIUS = 1.5
"""Voxels; of a ball as large as a lesion. Smaller lesions keep their contour, which is a matter of single voxels."""

OFFSET = 0.12
"""Standard deviation of how far a whole contour lies outside of the given one, as a share of the lesion's radius."""

WAVES = 0.35
"""The most that a contour goes in and out on top, one standard deviation, as a share of the lesion's radius."""

WHOLE_OFFSET = 0.3
"""The most of an offset, as a share of the lesion's radius."""


class VaryContours(SegOnlyTransform):  # type: ignore[misc]  # a library without types
    """Moves the outline of each lesion in and out: as a whole, and in waves as long as the lesion's radius.

    Where uptake ends says little of where a reader ends a sarcoma with edema, or a node beside another: a click on the
    rim says it. Networks whose truth always follows the image do not learn to listen. Clicks have to be drawn after
    this transform, of the contours that it leaves.

    Takes a segmentation of shape (channels, z, y, x) with the lesions in channel 0: 1 lesion, 0 none, -1 outside of the
    image, `UNKNOWN` where nobody knows; these two stay. Every lesion (26 neighbors) keeps a voxel at least.
    """

    def get_parameters(self, **data_dict: Any) -> dict[str, np.random.Generator]:
        """The generator that contours are drawn from, from numpy's global state as in `DrawClicks`."""
        return {"generator": np.random.default_rng(np.random.randint(2**32, size=4, dtype=np.uint32))}

    def _apply_to_segmentation(self, segmentation: torch.Tensor, **params: np.random.Generator) -> torch.Tensor:
        label = segmentation[0].numpy()
        parts, count = ndimage.label(label == 1, np.ones((3, 3, 3)))
        fixed = (label == OUTSIDE) | (label == UNKNOWN)
        for number, box in enumerate(ndimage.find_objects(parts, count), start=1):
            radius = float(np.cbrt(3 / (4 * np.pi) * (parts[box] == number).sum()))
            if radius < SMALLEST_RADIUS:
                continue
            margin = int(np.ceil(radius)) + 1
            around = tuple(slice(max(0, side.start - margin), side.stop + margin) for side in box)
            own = parts[around] == number
            drawn = _drawn_anew(own, radius, params["generator"]) & ~fixed[around]
            if drawn.any():
                label[around][own] = 0
                label[around][drawn] = 1
        return segmentation


def _drawn_anew(lesion_zyx: np.ndarray, radius: float, generator: np.random.Generator) -> np.ndarray:
    """Another contour of one lesion: bool, of its box's shape; the largest connected part of what it encloses."""
    if lesion_zyx.all():
        return lesion_zyx
    depth = ndimage.distance_transform_edt(lesion_zyx) - ndimage.distance_transform_edt(~lesion_zyx)
    offset = float(np.clip(OFFSET * generator.normal(), -WHOLE_OFFSET, WHOLE_OFFSET))
    waves = generator.uniform(0, WAVES) * _smooth_noise(lesion_zyx.shape, radius, generator)
    return largest_part(depth + radius * (offset + waves) > 0)


def _smooth_noise(shape_zyx: tuple[int, ...], length: float, generator: np.random.Generator) -> np.ndarray:
    """Noise of mean 0 and standard deviation 1 that changes its sign every `length` voxels or so; float32."""
    coarse = generator.normal(size=[int(np.ceil(side / length)) + 2 for side in shape_zyx]).astype(np.float32)
    fine = torch.nn.functional.interpolate(
        torch.from_numpy(coarse)[None, None], shape_zyx, mode="trilinear", align_corners=True
    )[0, 0].numpy()
    noise: np.ndarray = fine / max(float(fine.std()), 1e-6)
    return noise
