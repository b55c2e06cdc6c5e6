"""Activity concentration to SUV: weight, dose and its decay, from the headers of a PET or given by hand."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from pydicom.dataset import Dataset

from lesionclick.dicom.fields import (
    file_of,
    optional_text,
    optional_value,
    place_of,
    positive_number,
    sequence_item,
    shared_text,
    tag_of,
    values_of,
)
from lesionclick.dicom.nuclides import half_life_of
from lesionclick.dicom.suv_values import (
    DECAY_CORRECTIONS,
    DOSE_RANGE,
    USUAL_DOSE,
    WEIGHT_RANGE,
    SuvOverrides,
    require_range,
)
from lesionclick.dicom.times import injection_start, mean_activity_time, scan_start
from lesionclick.errors import CaseError

T = TypeVar("T")


@dataclass
class SuvInputs:
    """The headers that SUV is made from; `used` and `warnings` grow while it is.

    Attributes:
        slices: the datasets of a PET series; patient and dose are read from the first.
        overrides: what is given by hand.
        used: fields of `SuvRecord` that are known so far.
        warnings: sentences about what is taken with doubt.
    """

    slices: Sequence[Dataset]
    overrides: SuvOverrides
    used: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def header(self) -> Dataset:
        """The first slice's."""
        return self.slices[0]


def activity_factors(inputs: SuvInputs) -> np.ndarray:
    """What Bq/ml are multiplied with to give body-weight SUV (g/ml): PatientWeight (kg) * 1000 / dose (Bq).

    The dose is RadionuclideTotalDose at the time that DecayCorrection refers to: the scan's start (START), to which it
    is decayed with RadionuclideHalfLife (s), the administration itself (ADMIN), where it is taken as it is, or, for a
    slice without correction (NONE), the time when the activity was the mean one over its frame.

    Returns:
        float64 of shape (slices,).

    Raises:
        CaseError: a field that this needs is missing or implausible; the sentence names the option that gives it.
    """
    method = _decay_correction(inputs)
    weight = weight_of(inputs)
    radiopharmaceutical, dose = _dose(inputs, weight)
    inputs.used |= {"decay_correction": method, "weight_kg": weight, "dose_bq": dose}
    left = np.ones(len(inputs.slices)) if method == "ADMIN" else _share_left(inputs, radiopharmaceutical, method)
    factors: np.ndarray = weight * 1000 / (dose * left)
    return factors


def weight_of(inputs: SuvInputs) -> float:
    """PatientWeight (kg), or what is given for it.

    Raises:
        CaseError: it is missing, or far from any body's: in grams, for instance.
    """
    header = inputs.header

    def stored() -> float:
        return require_range(
            positive_number(header, "PatientWeight"), WEIGHT_RANGE, "kg", place_of(header, "PatientWeight")
        )

    return given_or(inputs.overrides.weight_kg, stored, "--weight")


def given_or(given: T | None, read: Callable[[], T], option: str) -> T:
    """What is given, or else what the files say; where they fail, the sentence names the option that gives it."""
    if given is not None:
        return given
    try:
        return read()
    except CaseError as error:
        raise CaseError(f"{error}; {option} gives it by hand") from error


def _decay_correction(inputs: SuvInputs) -> str:
    header, given = inputs.header, inputs.overrides.decay_correction
    if given is not None:
        return given
    method = shared_text(inputs.slices, "DecayCorrection")
    place, hint = place_of(header, "DecayCorrection"), "--decay-correction gives it by hand"
    if method not in DECAY_CORRECTIONS:
        raise CaseError(f"{place} is {method or 'missing'}, expected {' or '.join(DECAY_CORRECTIONS)}; {hint}")
    for item in inputs.slices:
        corrections = values_of(item, "CorrectedImage")
        if corrections and ("DECY" in corrections) != (method != "NONE"):
            verb = "lacks" if method != "NONE" else "has"
            raise CaseError(
                f"{place_of(item, 'CorrectedImage')} {verb} DECY while {tag_of('DecayCorrection')} is {method}, so "
                f"there is no SUV; {hint}"
            )
    return method


def _dose(inputs: SuvInputs, weight: float) -> tuple[Dataset, float]:
    """The radiopharmaceutical (without fields where the files have none) and the dose, Bq."""
    header, given = inputs.header, inputs.overrides.dose_bq
    keyword = "RadiopharmaceuticalInformationSequence"
    items = optional_value(header, keyword)
    if items is None and given is not None:
        first, items = Dataset(), []
    else:
        first = sequence_item(header, keyword)

    def stored() -> float:
        doses = sorted({optional_text(item, "RadionuclideTotalDose", header) for item in items})
        if len(doses) > 1:
            raise CaseError(f"{place_of(header, keyword)} holds {len(doses)} doses ({', '.join(doses)}), expected one")
        number = positive_number(first, "RadionuclideTotalDose", header)
        return require_range(number, DOSE_RANGE, "becquerels", place_of(first, "RadionuclideTotalDose", header))

    dose = given_or(given, stored, "--dose")
    if not USUAL_DOSE[0] <= dose / weight <= USUAL_DOSE[1]:
        inputs.warnings.append(
            f"{file_of(header)}: a dose of {dose / 1e6:g} MBq for {weight:g} kg is unusual "
            f"({dose / weight / 1e6:.3g} MBq/kg)"
        )
    return first, dose


def _share_left(inputs: SuvInputs, radiopharmaceutical: Dataset, method: str) -> np.ndarray:
    """The share of the dose that is left at the time that each slice's decay is corrected to."""
    slices, given, warnings = inputs.slices, inputs.overrides, inputs.warnings
    half_life = given_or(
        given.half_life_s, lambda: half_life_of(radiopharmaceutical, inputs.header, warnings), "--half-life"
    )
    if method == "NONE":
        moments = [mean_activity_time(item, half_life, warnings) for item in slices]
    else:
        scan = given_or(None, lambda: scan_start(slices, given.scan_time, warnings), "--scan-time")
        moments = [scan] * len(slices)
    first = min(moments)
    injection = given_or(
        None,
        lambda: injection_start(inputs.header, radiopharmaceutical, first, half_life, given.injection_time, warnings),
        "--injection-time",
    )
    inputs.used |= {"half_life_s": half_life, "injection_time": injection, "scan_time": first}
    seconds = np.array([(moment - injection).total_seconds() for moment in moments])
    share: np.ndarray = 0.5 ** (seconds / half_life)
    return share
