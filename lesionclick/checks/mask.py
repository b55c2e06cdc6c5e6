"""Mask: whether it is of a size, and in as many parts, as lesions are."""

import math

import numpy as np

from lesionclick.case.case import Case
from lesionclick.case.lesions import label_lesions
from lesionclick.checks.coarse import CoarseCase
from lesionclick.checks.warning import CaseWarning

LARGEST_SHARE = 0.2
"""Of the body; metastases all over seldom take up a tenth."""

MOST_LESIONS = 1000
"""Of 180 real cases the one with the most has some 150."""


def check_mask(case: Case, coarse: CoarseCase, mask_zyx: np.ndarray) -> list[CaseWarning]:
    """Warns where a mask takes up much of the body or falls into a great many parts."""
    warnings = []
    ml = float(np.count_nonzero(mask_zyx)) * math.prod(case.geometry.spacing) / 1000
    if coarse.is_large and ml > LARGEST_SHARE * coarse.body_ml:
        share = ml / coarse.body_ml
        sentence = (
            f"the mask has {ml:.0f} ml, {share:.0%} of the body: expected are lesions of at most {LARGEST_SHARE:.0%}"
        )
        warnings.append(CaseWarning("mask-large", sentence, {"ml": ml, "share": share}))
    count = _count_lesions(mask_zyx)
    if count > MOST_LESIONS:
        sentence = f"the mask falls into {count} parts, expected are at most {MOST_LESIONS}: is it noise?"
        warnings.append(CaseWarning("mask-scattered", sentence, {"lesions": count}))
    return warnings


def _count_lesions(mask_zyx: np.ndarray) -> int:
    """How many lesions a mask has; only the box around them is looked at, which is much quicker."""
    box = []
    for axis in range(3):
        found = np.flatnonzero(mask_zyx.any(axis=tuple(other for other in range(3) if other != axis)))
        if not found.size:
            return 0
        box.append(slice(found[0], found[-1] + 1))
    return label_lesions(mask_zyx[tuple(box)])[1]
