"""Plausibility of a case: all checks, in an order in which one fault raises one warning."""

from collections.abc import Sequence

import numpy as np

from lesionclick.case.case import Case
from lesionclick.checks.alignment import check_alignment
from lesionclick.checks.clicks import check_clicks, check_clicks_and_mask, check_no_clicks
from lesionclick.checks.coarse import CoarseCase
from lesionclick.checks.intensities import check_ct, check_pair, check_pet
from lesionclick.checks.mask import check_mask
from lesionclick.checks.warning import CaseWarning

FURTHEST_SPACING = 4.0
"""Times, or of, the spacing of training: what resampling still makes of a CT of 1 mm and a PET of 8 mm."""

POSSIBLE_SPACING_MM = (0.3, 12.0)
"""Of CT and PET of people, where the model's spacing is not known."""


def run_checks(
    case: Case,
    mask_zyx: np.ndarray | None = None,
    model_spacing_zyx: Sequence[float] | None = None,
    *,
    model_takes_clicks: bool = False,
) -> list[CaseWarning]:
    """Warns of what is rarely so in a PET/CT of a patient; takes well below a second.

    Where one thing is wrong, what depends on it is not looked at: clicks, for instance, where the PET is flipped.

    Args:
        case: CT, PET and clicks.
        mask_zyx: of its lesions, on its grid, not 0 in lesions; None where there is none yet.
        model_spacing_zyx: that the model was trained at, mm, in the order of the case's axes; None for unknown.
        model_takes_clicks: whether the model expects clicks, and is to be given those of the case.

    Returns:
        The warnings; none for a plausible case.

    Example:
        for warning in run_checks(Case.read("input")):
            print(warning.name, warning.sentence)
    """
    warnings = check_spacing(case.geometry.spacing_zyx, model_spacing_zyx)
    scale_is_known = not warnings
    if model_takes_clicks:
        warnings += check_no_clicks(case.clicks)
    if not scale_is_known:  # neither volumes nor distances mean anything
        return warnings
    coarse = CoarseCase.of(case)
    wrong_images = check_pair(case, coarse)
    if not wrong_images:
        ct = check_ct(case, coarse)
        pet = check_pet(case, coarse, body_is_known=not ct)
        wrong_images = ct + pet
        if not ct and not any(warning.name in ("pet-constant", "pet-negative") for warning in pet):
            wrong_images += check_alignment(case)
    warnings += wrong_images
    if not wrong_images:
        warnings += check_clicks(case, coarse)
    if mask_zyx is not None:
        warnings += check_result(case, mask_zyx, warnings)
    return warnings


def check_result(case: Case, mask_zyx: np.ndarray, warnings: Sequence[CaseWarning]) -> list[CaseWarning]:
    """Warns of what is wrong with a mask, where `run_checks` has looked at its case before.

    Args:
        case: CT, PET and clicks.
        mask_zyx: of its lesions, as for `run_checks`.
        warnings: those of the case; what they make meaningless is not looked at.

    Returns:
        Further warnings.
    """
    names = {warning.name for warning in warnings}
    found = [] if "spacing" in names else check_mask(case, CoarseCase.of(case), mask_zyx)
    return found if names - {"no-clicks"} else found + check_clicks_and_mask(case, mask_zyx)


def check_spacing(spacing_zyx: Sequence[float], model_spacing_zyx: Sequence[float] | None) -> list[CaseWarning]:
    """Warns where voxels are much smaller or larger than in training, or than those of any scanner."""
    spacings = " x ".join(f"{spacing:.3g}" for spacing in spacing_zyx)
    figures = dict(zip(("z_mm", "y_mm", "x_mm"), map(float, spacing_zyx), strict=True))
    if model_spacing_zyx is None:
        least, most = POSSIBLE_SPACING_MM
        if all(least <= spacing <= most for spacing in spacing_zyx):
            return []
        expected = f"expected are {least} to {most:.0f} mm"
    else:
        ratios = [own / model for own, model in zip(spacing_zyx, model_spacing_zyx, strict=True)]
        if all(1 / FURTHEST_SPACING <= ratio <= FURTHEST_SPACING for ratio in ratios):
            return []
        furthest = max(ratios, key=lambda ratio: max(ratio, 1 / ratio))
        of_model = " x ".join(f"{spacing:.3g}" for spacing in model_spacing_zyx)
        expected = f"{furthest:.2g} times the {of_model} mm that the model was trained at"
        figures["ratio"] = furthest
    return [CaseWarning("spacing", f"the voxels have {spacings} mm (z, y, x), {expected}", figures)]
