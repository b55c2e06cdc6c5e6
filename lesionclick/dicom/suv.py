"""SUV: from stored PET values to body-weight standardized uptake."""

import datetime
from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset

from lesionclick.dicom.fields import (
    date_and_time,
    moment_of,
    parse_moment,
    positive_number,
    sequence_item,
    tag_of,
    text_of,
    time_of,
)
from lesionclick.dicom.series import rescaled_voxels, stack_slices
from lesionclick.errors import CaseError

MAX_HALF_LIVES = 10
"""From injection to scan; more than this is a wrong time or date, not a scan."""

MIN_DOSE = 1e6
"""Bq; headers that give MBq in place of Bq stay below it."""

GE_CREATOR, GE_SCAN_TIME = "GEMS_PETD_01", 0x0D
"""GE's private element (0009,xx0d): date and time of the scan's start."""


def read_suv(slices: Sequence[Dataset]) -> sitk.Image:
    """A PET series in body-weight SUV (g/ml), float32.

    Raises:
        CaseError: the series is not in Bq/ml or not corrected for decay and attenuation, or a field is missing or
            implausible.
    """
    for item in slices:
        if text_of(item, "Units") != "BQML":
            raise CaseError(f"{item.filename}: {tag_of('Units')} is {item.Units}, expected BQML (Bq/ml)")
    return stack_slices(rescaled_voxels(slices) * np.float32(suv_factor(slices)), slices)


def suv_factor(slices: Sequence[Dataset]) -> float:
    """What Bq/ml are multiplied with to give body-weight SUV (g/ml): weight in g / dose in Bq at the reference time.

    The reference time of the image's decay correction is the scan's start (DecayCorrection START) or the administration
    itself (ADMIN; the dose is then not decayed).

    Raises:
        CaseError: a field that this needs is missing or implausible.
    """
    header = slices[0]
    corrections = text_of(header, "CorrectedImage").split("\\")
    for correction in ("ATTN", "DECY"):
        if correction not in corrections:
            raise CaseError(f"{header.filename}: {tag_of('CorrectedImage')} lacks {correction}, so there is no SUV")
    drug = sequence_item(header, "RadiopharmaceuticalInformationSequence")
    weight = positive_number(header, "PatientWeight", header)
    dose = positive_number(drug, "RadionuclideTotalDose", header)
    if dose < MIN_DOSE:
        raise CaseError(f"{header.filename}: {tag_of('RadionuclideTotalDose')} is {dose:g}, expected becquerels")
    method = text_of(header, "DecayCorrection")
    if method == "START":
        half_life = positive_number(drug, "RadionuclideHalfLife", header)
        dose *= 0.5 ** (_seconds_to_scan(slices, drug, half_life) / half_life)
    elif method != "ADMIN":
        raise CaseError(f"{header.filename}: {tag_of('DecayCorrection')} is {method}, expected START or ADMIN")
    return weight * 1000 / dose


def _seconds_to_scan(slices: Sequence[Dataset], drug: Dataset, half_life: float) -> float:
    """From the injection to the scan's start."""
    header = slices[0]
    scan = _scan_start(slices)
    if drug.get("RadiopharmaceuticalStartDateTime"):
        injection = moment_of(drug, "RadiopharmaceuticalStartDateTime", header)
        source = "RadiopharmaceuticalStartDateTime"
    else:
        source = "RadiopharmaceuticalStartTime"
        injection = datetime.datetime.combine(scan.date(), time_of(drug, source, header))
        if injection > scan:  # the time has no date: past midnight it was the day before
            injection -= datetime.timedelta(days=1)
    seconds = (scan - injection).total_seconds()
    if not 0 <= seconds <= MAX_HALF_LIVES * half_life:
        raise CaseError(
            f"{header.filename}: {tag_of(source)} is {seconds:.0f} s before the scan's start ({scan}), expected between "
            f"0 and {MAX_HALF_LIVES} half-lives of {half_life:.0f} s"
        )
    return seconds


def _scan_start(slices: Sequence[Dataset]) -> datetime.datetime:
    """When the scan began: the moment that DecayCorrection START refers to.

    The series' own time unless some slice was acquired before it: it is then that of a later reconstruction, and GE's
    private scan time or, for the others, the earliest acquisition counts.
    """
    header = slices[0]
    series = date_and_time(header, "Series")
    earliest = min(date_and_time(item, "Acquisition") for item in slices)
    if series <= earliest:
        return series
    try:
        stored = header.private_block(0x0009, GE_CREATOR)[GE_SCAN_TIME].value
    except KeyError:
        return earliest
    text = stored.decode("ascii", "replace").strip("\0 ") if isinstance(stored, bytes) else str(stored)
    return parse_moment(text, f"{header.filename}: GE's private scan time (0009,xx0d)")
