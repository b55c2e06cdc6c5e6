"""Body of the patient: where it lies in the images, so that networks need not look at the air around."""

import logging
import math
from collections.abc import Sequence

import cc3d
import numpy as np

from lesionclick.model.grid import NetworkGrid

logger = logging.getLogger(__name__)

TISSUE_HU = -300.0

NOTABLE_SUV = 1.0

STEP_MM = 4.0
"""The images are looked at in steps of about this, or of a voxel."""

MIN_SHARE = 0.01
"""Of the largest connected part: smaller ones, such as cables and specks of noise, do not count."""

MIN_VOLUME_ML = 1000.0
"""Where the largest connected part is smaller, the images are not those of a patient, or not in HU and SUV."""


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
        Boolean array of shape grid.shape; None where no plausible body is found, with a log line.
    """
    steps = [max(1, round(STEP_MM / spacing)) for spacing in spacing_zyx]
    # the middle of each step, or the last voxel of an image that is thinner
    coarse = tuple(slice(min(step // 2, size - 1), None, step) for step, size in zip(steps, ct_zyx.shape, strict=True))
    parts = cc3d.connected_components((ct_zyx[coarse] > TISSUE_HU) | (pet_zyx[coarse] > NOTABLE_SUV))
    voxels = cc3d.statistics(parts)["voxel_counts"]
    voxels[0] = 0  # air
    largest = voxels.max()
    volume_ml = largest * math.prod(steps) * math.prod(spacing_zyx) / 1000
    if volume_ml < MIN_VOLUME_ML:
        logger.info("no body found in the images (largest part %.0f ml): the whole field of view is used", volume_ml)
        return None
    large = (voxels >= MIN_SHARE * largest)[parts]
    body = (fill_between(large, 1) & fill_between(large, 2)).transpose(grid.transpose)

    indices = []  # of the network's voxels among the steps, an axis
    for axis, size in enumerate(grid.shape):
        scale = grid.cropped_shape[axis] / size
        voxel = grid.crop_start[axis] + (np.arange(size) + 0.5) * scale
        step = steps[grid.transpose[axis]]
        indices.append(np.minimum((voxel / step).astype(np.int64), body.shape[axis] - 1))
    found: np.ndarray = body[np.ix_(*indices)]
    return found


def region_to_see(body: np.ndarray, points: np.ndarray, patch: Sequence[int]) -> np.ndarray:
    """The body and the surroundings of clicks: the region that tiles have to cover.

    Args:
        body: as `find_body` gives it; left as it is.
        points: voxels of clicks on that grid, (clicks, 3); those outside the grid do not count.
        patch: of the tiles, voxels; around a click outside the body a quarter of it to each side is seen.

    Returns:
        Boolean array of the body's shape.
    """
    mask = body.copy()
    for box in boxes_outside(body, points, patch):
        mask[box] = True
    return mask


def boxes_outside(body: np.ndarray, points: np.ndarray, patch: Sequence[int]) -> list[tuple[slice, ...]]:
    """The surroundings that are seen of those clicks that lie outside the body; see `region_to_see`."""
    boxes = []
    for point in points[((points >= 0) & (points < body.shape)).all(axis=1)]:
        if not body[tuple(point)]:
            around_click = zip(point.tolist(), patch, body.shape, strict=True)
            boxes.append(
                tuple(slice(max(0, at - side // 4), min(size, at + side // 4 + 1)) for at, side, size in around_click)
            )
    return boxes


def fill_between(mask: np.ndarray, axis: int) -> np.ndarray:
    """What is true or lies between true voxels along an axis."""
    backwards = (slice(None),) * axis + (slice(None, None, -1),)
    before, behind = (np.logical_or.accumulate(each, axis) for each in (mask, mask[backwards]))
    result: np.ndarray = before & behind[backwards]
    return result
