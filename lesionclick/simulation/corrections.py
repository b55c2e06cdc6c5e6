"""Corrections: where a mask is most wrong, and the click or scribble that says so (autoPET V).

A scribble is a line of voxels inside the error; its voxels become points, as the challenge sends them.
"""

import numpy as np

from lesionclick.case.clicks import Click, Label
from lesionclick.case.lesions import label_lesions
from lesionclick.simulation.components import deepest_voxel
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
    predicted, true = prediction_zyx > 0, truth_zyx > 0
    largest: tuple[np.ndarray, Label] | None = None
    missed: tuple[np.ndarray, Label] = (true & ~predicted, "tumor")
    extra: tuple[np.ndarray, Label] = (predicted & ~true, "background")
    for error, label in (missed, extra):
        numbers, count = label_lesions(error)
        if not count:
            continue
        sizes = np.bincount(numbers.ravel())
        number = 1 + int(sizes[1:].argmax())
        if largest is None or sizes[number] > largest[0].size:
            largest = np.flatnonzero(numbers == number), label
    return largest


def correct(
    prediction_zyx: np.ndarray,
    truth_zyx: np.ndarray,
    scribble: Scribble | None,
    generator: np.random.Generator,
) -> tuple[Click, ...]:
    """The points of one correction.

    Args:
        prediction_zyx: 0 and 1.
        truth_zyx: 0 and 1, of the same shape.
        scribble: how the line runs; None for a single click, on the voxel deepest inside the error.
        generator: what random choices come from.

    Returns:
        Points inside the largest error, none twice; none at all where the masks agree.
    """
    error = largest_error(prediction_zyx, truth_zyx)
    if error is None:
        return ()
    voxels, label = error
    if scribble is None:
        points = deepest_voxel(voxels, truth_zyx.shape)[None]
    else:
        points = draw_scribble(voxels, truth_zyx.shape, scribble, generator)
    return tuple(Click(x, y, z, label) for z, y, x in points.tolist())
