"""Intensities: whether the PET holds SUV and the CT Hounsfield units, and each is where it should be."""

import numpy as np

from lesionclick.case.case import Case
from lesionclick.checks.coarse import CoarseCase
from lesionclick.checks.warning import CaseWarning

HIGHEST_MEAN_SUV = 2.5
"""Spread evenly over the patient, all tracer given would be an SUV of 1 (Kinahan and Fletcher 2010, Semin Ultrasound CT
MR 31:496): the mean over a body is at most the patient's weight over the weight that is seen."""

LOWEST_MEAN_SUV = 0.25

HIGHEST_SUV = 2000.0

UNIT_MEAN = 30.0
"""A mean above this is not a wrong weight or dose, but another unit."""

AIR_HU = -300.0
"""Every CT of a patient that shows more than the inside of the body has voxels below."""

WRAPPED_HU = 20_000.0

NOISE_HU = 300.0
"""Median difference between neighbors in the body; dose, lungs and edges give some tens at most."""


def check_pair(case: Case, coarse: CoarseCase) -> list[CaseWarning]:
    """Warns where CT and PET were swapped or one of them was given twice; one warning at most."""
    ct_like = [float((image < AIR_HU).mean()) for image in (coarse.ct_zyx, coarse.pet_zyx)]
    figures = {"ct_share_below_-300": ct_like[0], "pet_share_below_-300": ct_like[1]}
    if ct_like[1] > 0.01:
        held = f"the PET holds values below {AIR_HU:.0f} in {100 * ct_like[1]:.0f} % of its voxels, as a CT does in air"
        if ct_like[0] > 0.01:
            return [CaseWarning("ct-twice", f"{held}, and so does the CT: is the CT given twice?", figures)]
        return [CaseWarning("swapped", f"{held}, and the CT does not: are CT and PET swapped?", figures)]
    if np.array_equal(case.ct_zyx, case.pet_zyx):
        return [CaseWarning("pet-twice", "CT and PET hold the same values, 100 % of them: is the PET given twice?", {})]
    return []


def check_pet(case: Case, coarse: CoarseCase, body_is_known: bool = True) -> list[CaseWarning]:
    """Warns where the PET's values are no body-weight SUV; one warning at most.

    Args:
        case: CT and PET.
        coarse: the same.
        body_is_known: whether the CT is good enough to tell where the body is, over which means are taken.
    """
    low, high, mean = float(case.pet_zyx.min()), float(case.pet_zyx.max()), coarse.body_mean
    figures = {"minimum": low, "maximum": high, "body_mean": mean, "body_ml": coarse.body_ml}

    def warning(name: str, sentence: str) -> list[CaseWarning]:
        return [CaseWarning(name, sentence, figures)]

    if high - low <= 1e-3 * max(abs(high), abs(low)):
        return warning("pet-constant", f"the PET is {high:.3g} everywhere: it shows nothing")
    if mean < 0:
        return warning(
            "pet-negative", f"the PET's mean over the body is {mean:.3g}, below 0: is its sign or its offset wrong?"
        )
    if mean > UNIT_MEAN or high > HIGHEST_SUV:
        return warning(
            "pet-units",
            f"the PET has a mean of {mean:.3g} over the body and a maximum of {high:.3g}: it looks like Bq/ml or "
            "counts, expected is SUV, whose mean over a body is about 1",
        )
    if high <= 1.001 and low >= -0.001 and (coarse.is_large or high >= 0.999):
        return warning(
            "pet-scaled", f"the PET's maximum is {high:.3g}: it looks scaled to the range from 0 to 1, expected is SUV"
        )
    if not (coarse.is_large and body_is_known):
        return []
    if mean > HIGHEST_MEAN_SUV:
        return warning(
            "suv-high",
            f"the PET's mean over the body is SUV {mean:.3g}, more than all tracer given would make: expected is about "
            f"1 and at most {HIGHEST_MEAN_SUV}; are weight, dose and time of injection right?",
        )
    if mean < LOWEST_MEAN_SUV:
        return warning(
            "suv-low",
            f"the PET's mean over the body is SUV {mean:.3g}: expected is about 1 and at least {LOWEST_MEAN_SUV}; are "
            "weight, dose and time of injection right?",
        )
    return []


def check_ct(case: Case, coarse: CoarseCase) -> list[CaseWarning]:
    """Warns where the CT's values are no Hounsfield units of a patient; one warning at most."""
    low, high = float(case.ct_zyx.min()), float(case.ct_zyx.max())
    figures = {"minimum": low, "maximum": high}
    wrapped = float((coarse.ct_zyx > WRAPPED_HU).mean())
    if wrapped > 0.001:
        return [
            CaseWarning(
                "ct-wrapped",
                f"{100 * wrapped:.0f} % of the CT lies above {WRAPPED_HU:.0f} HU: were negative numbers read as "
                "unsigned ones?",
                {**figures, "share": wrapped},
            )
        ]
    if (noise := _noise(case, coarse)) > NOISE_HU:
        return [
            CaseWarning(
                "ct-noise",
                f"neighboring voxels of the CT differ by {noise:.0f} HU in the body, expected are some tens",
                {**figures, "noise": noise},
            )
        ]
    dense = coarse.ct_zyx[coarse.ct_zyx > 500]
    middle, share = (float(np.median(dense)), dense.size / coarse.ct_zyx.size) if dense.size else (0.0, 0.0)
    if low > AIR_HU and share > 0.02 and 850 < middle < 1250:
        return [
            CaseWarning(
                "ct-offset",
                f"the CT has nothing below {low:.0f} HU and tissue at {middle:.0f} HU: is the offset of -1024 missing?",
                {**figures, "tissue": middle},
            )
        ]
    tissue = float(coarse.ct_body_zyx.mean())
    if tissue < 0.002:
        return [
            CaseWarning(
                "ct-empty",
                f"{100 * tissue:.1f} % of the CT is tissue, above -300 HU: it shows no patient",
                {**figures, "share": tissue},
            )
        ]
    if low > AIR_HU and (coarse.is_large or high - low < 300):
        return [
            CaseWarning(
                "ct-no-air",
                f"the CT's values go from {low:.3g} to {high:.3g} and none is air, below -300 HU: is it scaled or cut "
                "to a window, rather than HU?",
                figures,
            )
        ]
    return []


def _noise(case: Case, coarse: CoarseCase) -> float:
    """Median difference between neighbors along x in the body, HU."""
    inside = np.argwhere(coarse.ct_body_zyx[..., :-1])[::7].T
    if not inside.size:
        return 0.0
    z, y, x = (indices[each] for indices, each in zip(coarse.indices_zyx, inside, strict=True))
    return float(np.median(np.abs(case.ct_zyx[z, y, x + 1] - case.ct_zyx[z, y, x])))
