"""Misalignment of PET and CT, as after a breath or a turn of the head between the two scans."""

from typing import Any

import numpy as np
import torch
from batchgeneratorsv2.transforms.spatial.channel_misalignment import ChannelMisalignmentTransform
from scipy import ndimage

from lesionclick_training.augmentation.intensities import CT_CHANNEL


class PETCTMisalignment(ChannelMisalignmentTransform):  # type: ignore[misc]  # a library without types
    """Turns and shifts the CT (channel 0 of the image) against PET and segmentation, which stay.

    Draws as its base class does: with `p_rotation`, an angle in each of the three planes; with `p_shift`, whole voxels
    an axis; all uniform between minus and plus the most, each of the two independent of the other. Voxels count as
    cubes, as in nnU-Net's own rotations. Where the base class fills the gap at an edge with 0, which is soft tissue in
    a normalized CT, the values at the edge go on here.

    The defaults are those of arXiv 2508.21680.
    """

    def __init__(
        self,
        degrees: float = 5.0,
        p_rotation: float = 0.1,
        shift_zyx: tuple[int, int, int] = (0, 2, 2),
        p_shift: float = 0.1,
    ) -> None:
        """The most degrees a plane and voxels an axis, and how often each occurs."""
        super().__init__(
            im_channels_2_misalign=(CT_CHANNEL,),
            rotation_ax_cor_sag=(degrees,) * 3,
            rad_or_deg="deg",
            p_rotation=p_rotation,
            shift_zyx=shift_zyx,
            p_shift=p_shift,
        )

    def _apply_to_image(self, img: torch.Tensor, **params: Any) -> torch.Tensor:
        rotation = params["affine"]
        shift = np.array(params["center_location_in_pixels"]) - np.array(img.shape[1:]) / 2
        if rotation is None and not shift.any():
            return img
        ct = img[CT_CHANNEL].numpy()
        if rotation is not None:
            ct = _rotate(ct, rotation)
        misaligned = img.clone()
        misaligned[CT_CHANNEL] = torch.from_numpy(_shift(ct, shift.astype(np.int64)))
        return misaligned


def _rotate(volume: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """A volume turned about its center; an output voxel at v from the center shows the input at `rotation` @ v."""
    center = (np.array(volume.shape) - 1) / 2
    rotated: np.ndarray = ndimage.affine_transform(
        volume, rotation, center - rotation @ center, order=1, mode="nearest"
    )
    return rotated


def _shift(volume: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """A volume whose voxel i shows the input's voxel i + shift, or the nearest one at the edge."""
    indices = (np.clip(np.arange(size) + step, 0, size - 1) for size, step in zip(volume.shape, shift, strict=True))
    return volume[np.ix_(*indices)]
