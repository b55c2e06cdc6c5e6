"""The box in which a patient lies, so that networks need not look at the air around."""

import logging
import math
from collections.abc import Sequence

import cc3d
import numpy as np

from lesionclick.preprocessing import NetworkGrid

logger = logging.getLogger(__name__)

TISSUE_HU = -300.0
NOTABLE_SUV = 1.0
STEP_MM = 4.0
"""The images are looked at in steps of this, or of a voxel."""
LEAST_SHARE = 0.01
"""Of the largest connected part: smaller ones, such as cables and specks of noise, do not count."""
LEAST_VOLUME_ML = 1000.0
"""A smaller body is no body: the images are other than they seem."""
MARGIN_MM = 20.0

Box = tuple[slice, slice, slice]


def body_box(ct_zyx: np.ndarray, pet_zyx: np.ndarray, spacing_zyx: Sequence[float]) -> Box:
    """The box round all large connected parts with tissue in the CT or notable uptake in the PET, with a margin.

    Tables count where they are as large as an arm or touch the patient; they cost little.

    Args:
        ct_zyx: HU.
        pet_zyx: SUV, of that shape.
        spacing_zyx: mm.

    Returns:
        Slices of the images; the whole of them where no plausible body is found, with a log line.
    """
    steps = [max(1, int(STEP_MM / spacing)) for spacing in spacing_zyx]
    some = tuple(slice(None, None, step) for step in steps)
    parts = cc3d.connected_components((ct_zyx[some] > TISSUE_HU) | (pet_zyx[some] > NOTABLE_SUV))
    found = cc3d.statistics(parts)
    voxels, boxes = found["voxel_counts"][1:], found["bounding_boxes"][1:]
    volume_ml = max(voxels, default=0) * math.prod(steps) * math.prod(spacing_zyx) / 1000
    if volume_ml < LEAST_VOLUME_ML:
        logger.info("no body found in the images (largest part %.0f ml): the whole field of view is used", volume_ml)
        return _whole(ct_zyx.shape)
    large = [box for box, count in zip(boxes, voxels, strict=True) if count >= LEAST_SHARE * max(voxels)]
    box = []
    for axis, (size, step, spacing) in enumerate(zip(ct_zyx.shape, steps, spacing_zyx, strict=True)):
        margin = math.ceil(MARGIN_MM / spacing) + step - 1
        start = min(each[axis].start for each in large) * step - margin
        stop = max(each[axis].stop for each in large) * step + margin
        box.append(slice(max(0, start), min(size, stop)))
    return box[0], box[1], box[2]


def to_network_box(box: Box, grid: NetworkGrid) -> Box:
    """The voxels of the network's grid that a box of the image's covers, cut ones included."""
    result = []
    for axis, image_axis in enumerate(grid.transpose):
        scale = grid.shape[axis] / grid.cropped_shape[axis]
        start = (box[image_axis].start - grid.crop_start[axis]) * scale
        stop = (box[image_axis].stop - grid.crop_start[axis]) * scale
        size = grid.shape[axis]
        result.append(slice(min(max(0, math.floor(start)), size - 1), max(1, min(size, math.ceil(stop)))))
    return result[0], result[1], result[2]


def include(box: Box, points: np.ndarray, patch: Sequence[int], shape: Sequence[int]) -> Box:
    """A box grown until points lie well inside it and a patch fits into it, as far as the volume goes.

    Args:
        box: of the network's grid.
        points: integers (n, 3) of that grid; those outside of it count nothing.
        patch: a tile's size; a point has a quarter of it on each side.
        shape: the grid's.
    """
    inside = points[((points >= 0) & (points < np.array(shape))).all(axis=1)]
    result = []
    for axis, (bounds, length, size) in enumerate(zip(box, patch, shape, strict=True)):
        start = min([bounds.start, *(inside[:, axis] - length // 4)])
        stop = max([bounds.stop, *(inside[:, axis] + length // 4 + 1)])
        start, stop = max(0, start), min(size, stop)
        missing = max(0, min(length, size) - (stop - start))
        start = max(0, min(start - missing // 2, size - length))
        result.append(slice(int(start), int(max(stop, min(size, start + length)))))
    return result[0], result[1], result[2]


def _whole(shape: Sequence[int]) -> Box:
    z, y, x = shape
    return slice(0, z), slice(0, y), slice(0, x)
