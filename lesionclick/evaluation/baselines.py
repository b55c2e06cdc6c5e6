"""Baselines: thresholds of the PET as every workstation has them, to compare networks with."""

from collections.abc import Iterable

import cc3d
import numpy as np

from lesionclick.case.case import Case
from lesionclick.case.clicks import Click
from lesionclick.evaluation.baseline_names import Baseline

FIXED_SUV = (
    2.5  # g/ml; the customary fixed threshold (Boellaard et al. 2015, EANM guidelines, 10.1007/s00259-014-2961-x)
)

PEAK_DISTANCE_MM = 20.0  # from a click to where the highest SUV is looked for

SHARE_OF_MAXIMUM = 0.41  # of the lesion's highest SUV; the customary relative threshold (the same guidelines)


def segment(baseline: Baseline, case: Case, clicks: Iterable[Click]) -> np.ndarray:
    """The mask of a baseline.

    `suv-2.5` is all above SUV 2.5. `suv-2.5-at-clicks` is, for each tumor click, the connected part of it (26
    neighbors) that is nearest to the click, which may lie in a cold center. `suvmax-41-at-clicks` is, for each tumor
    click, what is above 41 % of the highest SUV within 2 cm and connected to the voxel that has it. Background clicks
    change nothing.

    Args:
        baseline: which.
        case: its PET is looked at alone.
        clicks: what the reader has marked.

    Returns:
        uint8, 0 and 1, of shape (z, y, x).
    """
    pet_zyx = case.pet_zyx
    above = pet_zyx > FIXED_SUV
    if baseline == Baseline.suv_everywhere:
        return above.astype(np.uint8)
    points = [click for click in clicks if click.label == "tumor"]
    mask = np.zeros(pet_zyx.shape, dtype=bool)
    if baseline == Baseline.suv_at_clicks and points and above.any():
        labels = _components(above)
        for click in points:
            mask |= labels == labels.flat[np.argmin(np.where(above, _distance_mm(case, click), np.inf))]
    elif baseline == Baseline.share_at_clicks:
        for click in points:
            nearby = np.where(_distance_mm(case, click) <= PEAK_DISTANCE_MM, pet_zyx, -np.inf)
            hottest = np.argmax(nearby)
            above = pet_zyx > SHARE_OF_MAXIMUM * pet_zyx.flat[hottest]
            labels = _components(above)
            mask |= (labels == labels.flat[hottest]) & above
    return mask.astype(np.uint8)


def _distance_mm(case: Case, click: Click) -> np.ndarray:
    """How far each voxel is from a click, mm."""
    steps = zip(np.ogrid[tuple(slice(size) for size in case.pet_zyx.shape)], (click.z, click.y, click.x), strict=True)
    squares = [((axis - index) * mm) ** 2 for (axis, index), mm in zip(steps, case.geometry.spacing_zyx, strict=True)]
    distance: np.ndarray = np.sqrt(squares[0] + squares[1] + squares[2])
    return distance


def _components(above: np.ndarray) -> np.ndarray:
    """The number of the component (26 neighbors) of each voxel of a mask, from 1; 0 elsewhere."""
    labels: np.ndarray = cc3d.connected_components(np.ascontiguousarray(above), connectivity=26)
    return labels
