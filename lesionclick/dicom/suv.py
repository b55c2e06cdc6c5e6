"""SUV: from a PET in Bq/ml, in Philips' counts, or in SUV of some kind, to body-weight standardized uptake.

As the Quantitative Imaging Biomarkers Alliance's vendor-neutral recipe has it (QIBA profile FDG-PET/CT): SUV (g/ml) =
activity concentration (Bq/ml) * body weight (g) / dose (Bq), the dose decayed from its administration to the time that
the scanner corrected the image's decay to. Philips' counts become SUV by the factor in (7053,xx00) or, without one,
Bq/ml by that in (7053,xx09). docs/dicom.md says what is done in which case.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset

from lesionclick.dicom.activity import SuvInputs, activity_factors, given_or, weight_of
from lesionclick.dicom.fields import (
    file_of,
    optional_text,
    place_of,
    positive_number,
    private_text,
    shared_text,
    tag_of,
    values_of,
)
from lesionclick.dicom.series import Series
from lesionclick.dicom.suv_values import HEIGHT_RANGE, UNITS, SuvOverrides, SuvRecord, require_range
from lesionclick.dicom.volume import SeriesVolume, read_volume
from lesionclick.errors import CaseError
from lesionclick.log import logger

PHILIPS_GROUP, PHILIPS_CREATOR = 0x7053, "Philips PET Private Group"
PHILIPS_SUV, PHILIPS_ACTIVITY = 0x00, 0x09
"""Elements of Philips' private group: what counts are multiplied with to give SUV (g/ml), and to give Bq/ml."""

PHILIPS_AGREEMENT = 0.1
"""Share by which SUV by Philips' factor may differ from SUV by the header's dose and weight without a warning."""

LEAN_TYPES = ("LBM", "LBMJAMES128", "LBMJANMA")
"""SUVType of uptake by lean body mass: by James' formula, by the same with 128 for men, and by Janmahasatian's."""

AS_STORED = SuvOverrides()
"""Nothing but what the files say."""


@dataclass(frozen=True)
class SuvVolume(SeriesVolume):
    """A PET in body-weight SUV (g/ml), float32.

    Attributes:
        suv: the values that SUV was made of, what of them was given by hand, and warnings.
    """

    suv: SuvRecord


def read_suv(series: Series, overrides: SuvOverrides = AS_STORED) -> SuvVolume:
    """Reads a PET series in body-weight SUV (g/ml); logs a warning for each value that is taken with doubt.

    Args:
        series: a PET.
        overrides: what to take in place of what the files say, or where they say nothing.

    Raises:
        CaseError: as `read_volume` does, or the series is no PET, is in units without SUV, is not corrected for
            attenuation, or a field that SUV needs is missing or implausible.
    """
    if series.modality != "PT":
        raise CaseError(f"{series.paths[0]}: {tag_of('Modality')} is {series.modality}, expected PT (a PET)")
    pet = read_volume(series)
    factors, record = suv_factors(pet.slices, overrides)
    for warning in record.warnings:
        logger.warning("%s", warning)
    suv_zyx = sitk.GetArrayViewFromImage(pet.image) * factors.astype(np.float32)[:, None, None]
    image = sitk.GetImageFromArray(suv_zyx)
    image.CopyInformation(pet.image)
    return SuvVolume(pet.slices, image, record)


def suv_factors(slices: Sequence[Dataset], overrides: SuvOverrides = AS_STORED) -> tuple[np.ndarray, SuvRecord]:
    """What each slice's values, rescaled to Units, are multiplied with to give body-weight SUV (g/ml).

    Args:
        slices: the datasets of a PET series; patient and dose are read from the first.
        overrides: what to take in place of what they say.

    Returns:
        float64 of shape (slices,), and the values that were used.

    Raises:
        CaseError: as `read_suv` does.
    """
    inputs = SuvInputs(slices, overrides)
    units = overrides.units or shared_text(slices, "Units")
    if units not in UNITS:
        raise CaseError(
            f"{place_of(slices[0], 'Units')} is {units or 'missing'}, expected BQML (Bq/ml), GML (SUV) or Philips' CNTS"
        )
    _require_attenuation_correction(inputs)
    makers = {"BQML": activity_factors, "CNTS": _factors_of_counts, "GML": _factors_of_suv}
    factors = makers[units](inputs)
    record = SuvRecord(
        units=units,
        factors=(float(factors.min()), float(factors.max())),
        given=overrides.given(),
        warnings=tuple(inputs.warnings),
        **inputs.used,
    )
    return factors, record


def _require_attenuation_correction(inputs: SuvInputs) -> None:
    for item in inputs.slices:
        corrections = values_of(item, "CorrectedImage")
        if corrections and "ATTN" not in corrections:
            raise CaseError(f"{place_of(item, 'CorrectedImage')} lacks ATTN, so there is no SUV")
    header = inputs.header
    if not values_of(header, "CorrectedImage"):
        method = optional_text(header, "AttenuationCorrectionMethod")
        if method.upper() in ("", "NONE"):
            inputs.warnings.append(
                f"{place_of(header, 'CorrectedImage')} is missing, the PET is taken as corrected for attenuation"
            )


def _factors_of_counts(inputs: SuvInputs) -> np.ndarray:
    """Factors of slices in counts, which mean something by Philips' private fields alone.

    Where weight, dose, times or half-life are given by hand, the scanner's own factor for SUV was made without them:
    then that for Bq/ml is preferred.
    """
    to_suv, to_activity = (_philips_factors(inputs, element) for element in (PHILIPS_SUV, PHILIPS_ACTIVITY))
    by_hand = bool(inputs.overrides.given().keys() - {"units"})
    if to_activity is not None and (to_suv is None or by_hand):
        factors: np.ndarray = to_activity * activity_factors(inputs)
        return factors
    if to_suv is None:
        raise CaseError(
            f"{place_of(inputs.header, 'Units')} is CNTS and Philips' factors (7053,xx00) and (7053,xx09) are missing "
            "or 0, so there is no SUV"
        )
    _warn_of_unused(inputs, used=set())
    if to_activity is not None:
        _compare_with_dose(inputs, to_suv, to_activity)
    return to_suv


def _philips_factors(inputs: SuvInputs, element: int) -> np.ndarray | None:
    """A factor of each slice; None where some slice has none above 0."""
    factors = []
    for item in inputs.slices:
        text = private_text(item, PHILIPS_GROUP, PHILIPS_CREATOR, element)
        place = f"{file_of(item)}: Philips' factor ({PHILIPS_GROUP:04x},xx{element:02x})"
        try:
            factor = float(text or 0)
        except ValueError as error:
            raise CaseError(f"{place} is {text!r}, expected a number") from error
        if not 0 <= factor < np.inf:
            raise CaseError(f"{place} is {text!r}, expected a number above 0")
        factors.append(factor)
    return np.array(factors) if min(factors) > 0 else None


def _compare_with_dose(inputs: SuvInputs, to_suv: np.ndarray, to_activity: np.ndarray) -> None:
    """Warns where the scanner's SUV is not what the header's dose and weight give; if it gives any."""
    try:
        factors = activity_factors(SuvInputs(inputs.slices, AS_STORED))
    except CaseError:
        return
    ratio = float(np.median(to_suv / (to_activity * factors)))
    if abs(ratio - 1) > PHILIPS_AGREEMENT:
        inputs.warnings.append(
            f"{file_of(inputs.header)}: SUV by Philips' factor (7053,xx00) is {ratio:.2f} times that by the header's "
            "dose and weight"
        )


def _factors_of_suv(inputs: SuvInputs) -> np.ndarray:
    """Factors of slices that are SUV already: 1, or body weight over lean body mass for uptake by the latter."""
    kind = shared_text(inputs.slices, "SUVType")
    inputs.used["suv_type"] = kind
    ones = np.ones(len(inputs.slices))
    if kind in ("", "BW"):
        _warn_of_unused(inputs, used=set())
        return ones
    place = place_of(inputs.header, "SUVType")
    if kind not in LEAN_TYPES:
        raise CaseError(f"{place} is {kind}, expected BW (body weight) or {', '.join(LEAN_TYPES)} (lean body mass)")
    weight = weight_of(inputs)
    lean = _lean_body_mass(inputs, kind, weight)
    inputs.used["weight_kg"] = weight
    _warn_of_unused(inputs, used={"weight_kg", "height_m", "sex"})
    inputs.warnings.append(
        f"{place} is {kind}: uptake by lean body mass ({lean:.1f} kg) is brought to body weight ({weight:g} kg)"
    )
    return ones * (weight / lean)


def _lean_body_mass(inputs: SuvInputs, kind: str, weight: float) -> float:
    """kg; James 1976 with the coefficients of DICOM (PS3.16, CID 85), or Janmahasatian et al. 2005."""
    header, given = inputs.header, inputs.overrides
    place = place_of(header, "PatientSize")
    height = given_or(
        given.height_m,
        lambda: require_range(positive_number(header, "PatientSize"), HEIGHT_RANGE, "m", place),
        "--height",
    )
    sex = given.sex or optional_text(header, "PatientSex")
    if sex not in ("M", "F"):
        raise CaseError(
            f"{place_of(header, 'PatientSex')} is {sex or 'missing'}, expected M or F for uptake by lean body mass; "
            "--sex gives it by hand"
        )
    if kind == "LBMJANMA":
        base, per_index = (6680, 216) if sex == "M" else (8780, 244)
        return 9270 * weight / (base + per_index * weight / height**2)
    slope, loss = (1.10, 128 if kind == "LBMJAMES128" else 120) if sex == "M" else (1.07, 148)
    lean = slope * weight - loss * (weight / (100 * height)) ** 2
    if lean <= 0:
        raise CaseError(f"{place} is {height:g} and the weight {weight:g} kg, for which there is no lean body mass")
    return lean


def _warn_of_unused(inputs: SuvInputs, used: set[str]) -> None:
    """Warns where values were given that have no part in SUV that the scanner made itself."""
    unused = inputs.overrides.given().keys() - used - {"units"}
    if unused:
        inputs.warnings.append(
            f"{file_of(inputs.header)}: the scanner made SUV itself, {', '.join(sorted(unused))} given by hand have no "
            "part in it"
        )
