"""Where in the images the patient lies, so that networks need not look at the air around."""

import logging
import math
from collections.abc import Sequence

import cc3d
import numpy as np

from lesionclick.model.preprocessing import NetworkGrid

logger = logging.getLogger(__name__)

TISSUE_HU = -300.0

NOTABLE_SUV = 1.0

STEP_MM = 4.0
"""The images are looked at in steps of about this, or of a voxel."""

LEAST_SHARE = 0.01
"""Of the largest connected part: smaller ones, such as cables and specks of noise, do not count."""

LEAST_VOLUME_ML = 1000.0
"""A smaller body is no body: the images are other than they seem."""

MARGIN_MM = 10.0
"""What is this near belongs to the body too, along each axis."""

TRUNK_MM = 350.0
"""A tile of this length sees a trunk from side to side, wherever it stands."""


def find_body(
    ct_zyx: np.ndarray, pet_zyx: np.ndarray, spacing_zyx: Sequence[float], grid: NetworkGrid
) -> np.ndarray | None:
    """Tissue in the CT and notable uptake in the PET, with what they enclose in an axial slice, such as the lungs.

    All large connected parts count. Tables count where they are as large as an arm or touch the patient; they cost
    little.

    Args:
        ct_zyx: HU.
        pet_zyx: SUV, of that shape.
        spacing_zyx: mm.
        grid: the network's.

    Returns:
        Boolean array of shape grid.shape, without a margin; None where no plausible body is found, with a log line.
    """
    steps = [max(1, round(STEP_MM / spacing)) for spacing in spacing_zyx]
    some = tuple(slice(step // 2, None, step) for step in steps)
    parts = cc3d.connected_components((ct_zyx[some] > TISSUE_HU) | (pet_zyx[some] > NOTABLE_SUV))
    voxels = cc3d.statistics(parts)["voxel_counts"]
    voxels[0] = 0  # air
    most = voxels.max()
    volume_ml = most * math.prod(steps) * math.prod(spacing_zyx) / 1000
    if volume_ml < LEAST_VOLUME_ML:
        logger.info("no body found in the images (largest part %.0f ml): the whole field of view is used", volume_ml)
        return None
    large = (voxels >= LEAST_SHARE * most)[parts]
    body = (_between(large, 1) & _between(large, 2)).transpose(grid.transpose)

    places = []  # of the network's voxels among the steps, an axis
    for axis, size in enumerate(grid.shape):
        scale = grid.cropped_shape[axis] / size
        voxel = grid.crop_start[axis] + (np.arange(size) + 0.5) * scale
        step = steps[grid.transpose[axis]]
        places.append(np.minimum((voxel / step).astype(np.int64), body.shape[axis] - 1))
    found: np.ndarray = body[np.ix_(*places)]
    return found


def _between(mask: np.ndarray, axis: int) -> np.ndarray:
    """What is true or lies between true voxels along an axis."""
    backwards = (slice(None),) * axis + (slice(None, None, -1),)
    before, behind = (np.logical_or.accumulate(each, axis) for each in (mask, mask[backwards]))
    result: np.ndarray = before & behind[backwards]
    return result
