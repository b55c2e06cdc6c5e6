"""Where in the images the patient lies, so that networks need not look at the air around."""

import logging
import math
from collections.abc import Sequence

import cc3d
import numpy as np

from lesionclick.preprocessing import NetworkGrid
from lesionclick.tiles import Region

logger = logging.getLogger(__name__)

TISSUE_HU = -300.0
NOTABLE_SUV = 1.0
STEP_MM = 4.0
"""The images are looked at in steps of this, or of a voxel."""
LEAST_SHARE = 0.01
"""Of the largest connected part: smaller ones, such as cables and specks of noise, do not count."""
LEAST_VOLUME_ML = 1000.0
"""A smaller body is no body: the images are other than they seem."""
MARGIN_MM = 10.0


def body_region(ct_zyx: np.ndarray, pet_zyx: np.ndarray, spacing_zyx: Sequence[float], grid: NetworkGrid) -> Region:
    """A rectangle in each slice of the network's grid, round tissue in the CT and notable uptake in the PET.

    All large connected parts count, with a margin on every side. Tables count where they are as large as an arm or
    touch the patient; they cost little.

    Args:
        ct_zyx: HU.
        pet_zyx: SUV, of that shape.
        spacing_zyx: mm.
        grid: the network's.

    Returns:
        The region; all of the grid where no plausible body is found, with a log line.
    """
    steps = [max(1, int(STEP_MM / spacing)) for spacing in spacing_zyx]
    some = tuple(slice(None, None, step) for step in steps)
    parts = cc3d.connected_components((ct_zyx[some] > TISSUE_HU) | (pet_zyx[some] > NOTABLE_SUV))
    voxels = cc3d.statistics(parts)["voxel_counts"]
    voxels[0] = 0  # air
    most = voxels.max()
    volume_ml = most * math.prod(steps) * math.prod(spacing_zyx) / 1000
    if volume_ml < LEAST_VOLUME_ML:
        logger.info("no body found in the images (largest part %.0f ml): the whole field of view is used", volume_ml)
        return Region.whole(grid.shape)
    large = voxels >= LEAST_SHARE * most
    body = large[parts].transpose(grid.transpose)

    region = Region.nothing(grid.shape)
    occupied = body.any(axis=2), body.any(axis=1)
    sides = [_first_and_behind_last(side) for side in occupied]
    for index in np.flatnonzero(occupied[0].any(axis=1)):
        bounds = [(index, index + 1), *(side[index] for side in sides)]
        rows, *others = (_to_network(grid, axis, steps, *each) for axis, each in enumerate(bounds))
        starts, stops = zip(*others, strict=True)
        region.widen(slice(*rows), starts, stops)
    return region


def _first_and_behind_last(occupied: np.ndarray) -> np.ndarray:
    """Of each row of booleans the place of the first that is true and that behind the last: integers (rows, 2)."""
    return np.stack([occupied.argmax(axis=1), occupied.shape[1] - occupied[:, ::-1].argmax(axis=1)], axis=1)


def _to_network(grid: NetworkGrid, axis: int, steps: Sequence[int], start: int, stop: int) -> tuple[int, int]:
    """The voxels of an axis of the network's grid within the margin of some of the steps in which images are read."""
    step = steps[grid.transpose[axis]]
    margin = math.ceil(MARGIN_MM / grid.image_spacing[axis])
    scale = grid.shape[axis] / grid.cropped_shape[axis]
    low = (start * step - step + 1 - margin - grid.crop_start[axis]) * scale
    high = (stop * step + margin - grid.crop_start[axis]) * scale
    return max(0, math.floor(low)), max(0, min(grid.shape[axis], math.ceil(high)))
