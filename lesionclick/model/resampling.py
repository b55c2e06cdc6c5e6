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
    apart = options.get("force_separate_z")
    if apart is None:
        apart = any(max(each) / min(each) > ANISO_THRESHOLD for each in (spacing, new_spacing))
    if apart or options.get("is_seg"):
        from nnunetv2.preprocessing.resampling import default_resampling  # imports pandas, and is seldom needed

        resampled: np.ndarray = getattr(default_resampling, NNUNET_FUNCTION)(
            volume[None], shape, spacing, new_spacing, **options
        )
        return resampled[0]
    result = torch.from_numpy(volume)
    low, high = torch.aminmax(result)
    for axis in sorted(range(3), key=lambda each: shape[each] / volume.shape[each]):  # shrinking axes first
        if shape[axis] != volume.shape[axis]:
            result = _multiply(_matrix(volume.shape[axis], shape[axis], options.get("order", 3)), result, axis)
    return result.clamp_(low, high).numpy()  # as skimage does: a cubic spline overshoots


def _matrix(size: int, new_size: int, order: int) -> torch.Tensor:
    """Resampling of a line of voxels: what scipy makes of the unit vectors, as skimage calls it, (new_size, size)."""
    lines = ndimage.zoom(np.eye(size), (new_size / size, 1), order=order, mode="nearest", grid_mode=True)
    return torch.from_numpy(lines).float()


def _multiply(matrix: torch.Tensor, volume: torch.Tensor, axis: int) -> torch.Tensor:
    if axis == 0:
        return (matrix @ volume.flatten(1)).view(-1, *volume.shape[1:])
    return matrix @ volume if axis == 1 else volume @ matrix.T
