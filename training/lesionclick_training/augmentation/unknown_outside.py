"""Unknown outside: where nothing is known of an image, nothing is known of what lies around it."""

from typing import Any

import torch
from batchgeneratorsv2.transforms.base.basic_transform import SegOnlyTransform

from lesionclick_training.data.nnunet_layout import UNKNOWN

OUTSIDE = -1  # nnU-Net's label of what lies outside of the image


class UnknownOutside(SegOnlyTransform):  # type: ignore[misc]  # a library without types
    """Makes what lies outside of the image unknown, in each channel that is unknown everywhere inside.

    nnU-Net later takes the outside for background. Were that all that is known of a patch's organs, the loss would be
    that of a few voxels at its border, as heavy as that of a whole patch.

    It stands before the label -1 becomes 0. Takes a segmentation of shape (channels, z, y, x).
    """

    def _apply_to_segmentation(self, segmentation: torch.Tensor, **params: Any) -> torch.Tensor:
        for channel in segmentation:
            outside, unknown = channel == OUTSIDE, channel == UNKNOWN
            if unknown.any() and (outside | unknown).all():
                channel[outside] = UNKNOWN
        return segmentation
