"""Clicks: whether those for tumors lie on the patient and on uptake, and agree with the mask."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from lesionclick.case.case import Case
from lesionclick.case.clicks import Click
from lesionclick.checks.coarse import CoarseCase
from lesionclick.checks.warning import CaseWarning

NEAR_BODY_MM = 8.0
"""How far outside the body a click may lie."""

NEAR_MM, SURROUNDINGS_MM = 4.0, 30.0

LEAST_CONTRAST = 1.25
"""A click without uptake has less than the body's mean close by, and less than this times what lies around."""

LEAST_COUNT = 3
"""So many clicks without uptake, and half of all, raise a warning: weak lesions and inexact clicks are fewer."""


def check_clicks(case: Case, coarse: CoarseCase) -> list[CaseWarning]:
    """Warns of tumor clicks in the air around the patient; where there are none, of those without uptake."""
    tumor = _points(case.clicks, "tumor")
    if not len(tumor):
        return []
    in_air = int((~_near_body(coarse)[_coarse_indices(tumor, coarse)]).sum())
    figures: dict[str, float] = {"clicks": len(tumor)}
    if in_air:
        return [
            CaseWarning(
                "clicks-in-air",
                f"{in_air} of {len(tumor)} tumor clicks lie in the air around the patient: are they in the order x, y, "
                "z and of this case?",
                {**figures, "in_air": in_air},
            )
        ]
    cold = _count_without_uptake(case, coarse, tumor)
    if cold >= LEAST_COUNT and 2 * cold >= len(tumor):
        sentence = (
            f"{cold} of {len(tumor)} tumor clicks lie where the PET shows no more than around and less than the body's "
            f"mean of {coarse.body_mean:.2g}: are they in the order x, y, z and of this case?"
        )
        return [CaseWarning("clicks-without-uptake", sentence, {**figures, "without_uptake": cold})]
    return []


def check_clicks_and_mask(case: Case, mask_zyx: np.ndarray) -> list[CaseWarning]:
    """Warns where most tumor clicks lie outside the mask and most background clicks inside it."""
    tumor, background = (_points(case.clicks, label) for label in ("tumor", "background"))
    missed = int((mask_zyx[tuple(tumor.T)] == 0).sum())
    marked = int((mask_zyx[tuple(background.T)] != 0).sum())
    if 2 * missed > len(tumor) and 2 * marked > len(background):
        return [
            CaseWarning(
                "clicks-against-mask",
                f"{missed} of {len(tumor)} tumor clicks lie outside the mask and {marked} of {len(background)} "
                "background clicks inside: are the labels swapped?",
                {"missed": missed, "marked": marked},
            )
        ]
    return []


def check_no_clicks(clicks: Sequence[Click]) -> list[CaseWarning]:
    """Warns where a model that was trained with clicks gets none."""
    if clicks:
        return []
    return [
        CaseWarning("no-clicks", "the model was trained with clicks and is given 0: each lesion is up to it alone", {})
    ]


def _points(clicks: Sequence[Click], label: str) -> np.ndarray:
    """Voxels z, y, x of clicks of a label: (clicks, 3)."""
    points = [(click.z, click.y, click.x) for click in clicks if click.label == label]
    return np.array(points, dtype=np.int64).reshape(-1, 3)


def _near_body(coarse: CoarseCase) -> np.ndarray:
    """The body in either image and what lies around within NEAR_BODY_MM."""
    body = coarse.ct_body_zyx | coarse.pet_body_zyx
    reach = [max(1, round(NEAR_BODY_MM / spacing)) for spacing in coarse.spacing_zyx]
    near: np.ndarray = ndimage.maximum_filter(body, [2 * each + 1 for each in reach])
    return near


def _coarse_indices(points: np.ndarray, coarse: CoarseCase) -> tuple[np.ndarray, ...]:
    """The coarse voxel at or just before each point."""
    return tuple(
        np.searchsorted(indices, along, side="right") - 1
        for indices, along in zip(coarse.indices_zyx, points.T, strict=True)
    )


def _count_without_uptake(case: Case, coarse: CoarseCase, points: np.ndarray) -> int:
    """How many points lie where the mean PET is below the body's and hardly above the median of the surroundings."""

    def around(point: np.ndarray, mm: float) -> np.ndarray:
        reach = [max(1, round(mm / spacing)) for spacing in case.geometry.spacing_zyx]
        return case.pet_zyx[tuple(slice(max(0, at - r), at + r + 1) for at, r in zip(point, reach, strict=True))]

    count = 0
    for point in points:
        near = around(point, NEAR_MM).mean()
        count += bool(near < coarse.body_mean and near < LEAST_CONTRAST * np.median(around(point, SURROUNDINGS_MM)))
    return count
