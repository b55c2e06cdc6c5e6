"""SUV: from a PET in Bq/ml to body-weight standardized uptake.

As the Quantitative Imaging Biomarkers Alliance's vendor-neutral recipe has it (QIBA profile FDG-PET/CT): SUV (g/ml) =
activity concentration (Bq/ml) * body weight (g) / dose (Bq), the dose decayed from its administration to the time that
the scanner corrected the image's decay to.
"""

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
from lesionclick.dicom.series import Series
from lesionclick.dicom.volume import SeriesVolume, read_volume
from lesionclick.errors import CaseError

MAX_HALF_LIVES = 10
"""From injection to scan; more than this is a wrong time or date, not a scan."""

MIN_DOSE = 1e6
"""Bq; headers that give MBq in place of Bq stay below it."""

GE_CREATOR, GE_SCAN_TIME = "GEMS_PETD_01", 0x0D
"""GE's private element (0009,xx0d): date and time of the scan's start."""


def read_suv(series: Series) -> SeriesVolume:
    """Reads a PET series in body-weight SUV (g/ml).

    Raises:
        CaseError: as `read_volume` does, or the series is not in Bq/ml or not corrected for decay and attenuation, or a
            field that SUV needs is missing or implausible.
    """
    pet = read_volume(series)
    for item in pet.slices:
        if text_of(item, "Units") != "BQML":
            raise CaseError(f"{item.filename}: {tag_of('Units')} is {item.Units}, expected BQML (Bq/ml)")
    suv_zyx = sitk.GetArrayViewFromImage(pet.image) * np.float32(suv_factor(pet.slices))
    image = sitk.GetImageFromArray(suv_zyx)
    image.CopyInformation(pet.image)
    return SeriesVolume(pet.slices, image)


def suv_factor(slices: Sequence[Dataset]) -> float:
    """What Bq/ml are multiplied with to give body-weight SUV (g/ml): PatientWeight (kg) * 1000 / dose (Bq).

    The dose is RadionuclideTotalDose at the time that DecayCorrection refers to: the scan's start (START), to which it
    is decayed with RadionuclideHalfLife (s), or the administration itself (ADMIN), where it is taken as it is.

    Args:
        slices: the datasets of a PET series; patient and dose are read from the first.

    Raises:
        CaseError: a field that this needs is missing or implausible.
    """
    header = slices[0]
    corrections = text_of(header, "CorrectedImage").split("\\")
    for correction in ("ATTN", "DECY"):
        if correction not in corrections:
            raise CaseError(f"{header.filename}: {tag_of('CorrectedImage')} lacks {correction}, so there is no SUV")
    radiopharmaceutical = sequence_item(header, "RadiopharmaceuticalInformationSequence")
    weight = positive_number(header, "PatientWeight")
    dose = positive_number(radiopharmaceutical, "RadionuclideTotalDose", header)
    if dose < MIN_DOSE:
        raise CaseError(f"{header.filename}: {tag_of('RadionuclideTotalDose')} is {dose:g}, expected becquerels")
    method = text_of(header, "DecayCorrection")
    if method == "START":
        half_life = positive_number(radiopharmaceutical, "RadionuclideHalfLife", header)
        dose *= 0.5 ** (_seconds_to_scan(slices, radiopharmaceutical, half_life) / half_life)
    elif method != "ADMIN":
        raise CaseError(f"{header.filename}: {tag_of('DecayCorrection')} is {method}, expected START or ADMIN")
    return weight * 1000 / dose


def _seconds_to_scan(slices: Sequence[Dataset], radiopharmaceutical: Dataset, half_life: float) -> float:
    """Seconds from the injection to the scan's start.

    The injection is RadiopharmaceuticalStartDateTime or, without a date, RadiopharmaceuticalStartTime.
    """
    header = slices[0]
    scan = _scan_start(slices)
    if radiopharmaceutical.get("RadiopharmaceuticalStartDateTime"):
        keyword = "RadiopharmaceuticalStartDateTime"
        injection = moment_of(radiopharmaceutical, keyword, header)
    else:
        keyword = "RadiopharmaceuticalStartTime"
        injection = datetime.datetime.combine(scan.date(), time_of(radiopharmaceutical, keyword, header))
        if injection > scan:  # the time has no date: past midnight it was the day before
            injection -= datetime.timedelta(days=1)
    seconds = (scan - injection).total_seconds()
    if not 0 <= seconds <= MAX_HALF_LIVES * half_life:
        raise CaseError(
            f"{header.filename}: {tag_of(keyword)} is {seconds:.0f} s before the scan's start ({scan}), expected "
            f"between 0 and {MAX_HALF_LIVES} half-lives of {half_life:.0f} s"
        )
    return seconds


def _scan_start(slices: Sequence[Dataset]) -> datetime.datetime:
    """When the scan began: the moment that DecayCorrection START refers to.

    By QIBA's recipe that is SeriesDate and SeriesTime, unless some slice was acquired before: they are then those of a
    later reconstruction, and GE's private scan time or, for other vendors, the earliest AcquisitionDate and
    AcquisitionTime count.
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
