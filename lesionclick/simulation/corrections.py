"""Corrections: where a mask is most wrong, and the click or the scribble that says so.

A scribble is a line of voxels inside the error; its voxels become points, as the challenge sends them.
"""

import numpy as np

from lesionclick.case.clicks import Click, Label
from lesionclick.simulation.components import deepest_voxel, largest_component
from lesionclick.simulation.interaction import Scribble
from lesionclick.simulation.scribbles import draw_scribble


def largest_error(prediction_zyx: np.ndarray, truth_zyx: np.ndarray) -> tuple[np.ndarray, Label] | None:
    """The largest connected error of a mask (18 neighbors, as the metrics have them).

    Args:
        prediction_zyx: 0 and 1.
        truth_zyx: 0 and 1, of the same shape.

    Returns:
        Flat indices of its voxels, ascending, and the label that corrects it: tumor where lesion was missed, background
        where there is none. Of equally large ones a missed lesion goes first. None where the masks agree.
    """
    largest: tuple[np.ndarray, Label] | None = None
    for label, error in _errors(prediction_zyx > 0, truth_zyx > 0):
        voxels = largest_component(error, connectivity=18)
        if voxels.size > (0 if largest is None else largest[0].size):
            largest = voxels, label
    return largest


def corrective_click(prediction_zyx: np.ndarray, truth_zyx: np.ndarray) -> tuple[Click, ...]:
    """A click on the voxel deepest inside the largest error; none where the masks agree.

    Args:
        prediction_zyx: 0 and 1.
        truth_zyx: 0 and 1, of the same shape.
    """
    error = largest_error(prediction_zyx, truth_zyx)
    if error is None:
        return ()
    voxels, label = error
    z, y, x = deepest_voxel(voxels, truth_zyx.shape).tolist()
    return (Click(x, y, z, label),)


def corrective_scribble(
    prediction_zyx: np.ndarray, truth_zyx: np.ndarray, scribble: Scribble, generator: np.random.Generator
) -> tuple[Click, ...]:
    """The scribble with which autoPET V corrects a mask.

    One is drawn in the largest missed part and one in the largest false part (26 neighbors); the one of more voxels
    counts, of equally long ones that in the missed part.

    Args:
        prediction_zyx: 0 and 1.
        truth_zyx: 0 and 1, of the same shape.
        scribble: how the line runs.
        generator: what random choices come from.

    Returns:
        Points of one label in one axial slice, none twice; none at all where the masks agree or the truth is empty.
    """
    predicted, true = prediction_zyx > 0, truth_zyx > 0
    if not true.any():
        return ()
    box = _box(predicted != true)
    corner = np.array([part.start for part in box])
    longest: tuple[Click, ...] = ()
    for label, error in _errors(predicted[box], true[box]):
        voxels = largest_component(error, connectivity=26)
        if voxels.size:
            points = draw_scribble(voxels, error.shape, scribble, generator) + corner
            if len(points) > len(longest):
                longest = tuple(Click(x, y, z, label) for z, y, x in points.tolist())
    return longest


def _errors(predicted: np.ndarray, true: np.ndarray) -> tuple[tuple[Label, np.ndarray], ...]:
    """What was missed and what is false, each with the label that corrects it; all bool."""
    return ("tumor", true & ~predicted), ("background", predicted & ~true)


def _box(mask: np.ndarray) -> tuple[slice, ...]:
    """A box around all of a mask (bool, three axes), empty where the mask is.

    It is a voxel wider than need be, where the volume is: cc3d 4.1 fails on a box that is a row of voxels.
    """
    z = np.flatnonzero(mask.any(axis=(1, 2)))
    if not z.size:
        return (slice(0, 0),) * 3
    slab = np.any(mask[z[0] : z[-1] + 1], axis=0)
    y, x = np.flatnonzero(slab.any(axis=1)), np.flatnonzero(slab.any(axis=0))
    return tuple(slice(max(0, int(axis[0]) - 1), int(axis[-1]) + 2) for axis in (z, y, x))
