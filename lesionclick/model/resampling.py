"""nnU-Net's resampling of images and logits, several times as fast: along each axis it is a product with a matrix."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from nnunetv2.configuration import ANISO_THRESHOLD
from scipy import ndimage

NNUNET_FUNCTION = "resample_data_or_seg_to_shape"
"""nnU-Net's name for what is done here."""


def resample(
    volume: np.ndarray,
    shape: Sequence[int],
    spacing: Sequence[float],
    new_spacing: Sequence[float],
    options: Mapping[str, Any],
) -> np.ndarray:
    """What nnU-Net's `resample_data_or_seg_to_shape` makes of one channel, but for float32's rounding.

    Args:
        volume: float32 of three axes, with finite values.
        shape: to resample to.
        spacing: the volume's, mm.
        new_spacing: that of the result, mm; both only tell whether slices are thick enough to be treated apart, which
            nnU-Net itself then does.
        options: nnU-Net's keyword arguments: is_seg, order, order_z, force_separate_z.

    Returns:
        float32; the volume itself where it has that shape already.
    """
    if volume.shape == tuple(shape):
        return volume
    separate_slices = options.get("force_separate_z")
    if separate_slices is None:
        separate_slices = any(max(steps) / min(steps) > ANISO_THRESHOLD for steps in (spacing, new_spacing))
    if separate_slices or options.get("is_seg"):
        from nnunetv2.preprocessing.resampling import default_resampling  # imports pandas, and is seldom needed

        nnunet_resample = getattr(default_resampling, NNUNET_FUNCTION)
        slice_by_slice: np.ndarray = nnunet_resample(volume[None], shape, spacing, new_spacing, **options)[0]
        return slice_by_slice
    result = torch.from_numpy(volume)
    low, high = torch.aminmax(result)
    shrinking_first = sorted(range(3), key=lambda axis: shape[axis] / volume.shape[axis])  # less to multiply
    for axis in shrinking_first:
        if shape[axis] != volume.shape[axis]:
            result = _multiply(_matrix(volume.shape[axis], shape[axis], options.get("order", 3)), result, axis)
    resampled: np.ndarray = result.clamp_(low, high).numpy()  # as skimage does: a cubic spline overshoots
    return resampled


def _matrix(size: int, new_size: int, order: int) -> torch.Tensor:
    """What resampling does to a line of voxels, as a matrix of shape (new_size, size).

    Its columns are what scipy makes of the unit vectors, with the options that skimage, which nnU-Net calls, passes on.
    """
    columns = ndimage.zoom(np.eye(size), (new_size / size, 1), order=order, mode="nearest", grid_mode=True)
    return torch.from_numpy(columns).float()


def _multiply(matrix: torch.Tensor, volume: torch.Tensor, axis: int) -> torch.Tensor:
    """The matrix times each line of voxels along an axis."""
    if axis == 0:
        return (matrix @ volume.flatten(1)).view(-1, *volume.shape[1:])
    return matrix @ volume if axis == 1 else volume @ matrix.T
