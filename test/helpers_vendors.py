"""Studies of one phantom as scanners of three vendors store them: several series, grids and headers of their own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import highdicom
import numpy as np
import SimpleITK as sitk
from helpers_dicom import DOSE, HALF_LIFE, WEIGHT, SyntheticStudy
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    PositronEmissionTomographyImageStorage,
    generate_uid,
)

LESIONS = (((60.0, -20.0, 30.0), 14.0, 10.0), ((-80.0, 30.0, 65.0), 12.0, 14.0), ((10.0, 40.0, 85.0), 11.0, 9.0))
"""Center (mm), radius (mm) and SUV of the phantom's lesions."""

UPTAKE_SECONDS = 3600
"""From injection to the scan's start."""

CT_SPACING = (0.9765625, 0.9765625, 5.0)

CT_SIZE = (512, 512, 26)

TURN = -0.5 * CT_SPACING[0] * (CT_SIZE[0] - 1)


@dataclass(frozen=True)
class Vendor:
    """What a vendor's studies have of their own; the PET's size, spacing and origin are x, y, z.

    Attributes:
        dress: gives the slices of a corrected PET their fields; told the SUV, it returns what pixels hold.
        transfer_syntax: of all files.
        name_of: the path in the study of a series' file, from both their numbers.
        ct_padding: what pixels outside of the CT's round field of view hold, HU.
        same_length: whether the CT of another kernel is as long as the first, so that one has to be named.
        enhanced: whether the PET is one multi-frame object.
    """

    manufacturer: str
    size: tuple[int, int, int]
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float]
    dress: Callable[[Sequence[Dataset]], float]
    transfer_syntax: UID
    name_of: Callable[[int, int], str]
    ct_padding: float
    same_length: bool = False
    enhanced: bool = False


def _positions(size: Sequence[int], spacing: Sequence[float], origin: Sequence[float]) -> list[np.ndarray]:
    """x, y and z (mm) of voxels, to be broadcast to z, y, x."""
    axes = [start + step * np.arange(count) for count, step, start in zip(size, spacing, origin, strict=True)]
    return [axes[0][None, None, :], axes[1][None, :, None], axes[2][:, None, None]]


def _inside(distance_mm: np.ndarray, blur_mm: float) -> np.ndarray:
    """1 within and 0 outside, with an edge as wide as a scanner blurs it."""
    return np.asarray(1 / (1 + np.exp(np.clip(distance_mm / blur_mm, -50, 50))))


def phantom_suv(size: Sequence[int], spacing: Sequence[float], origin: Sequence[float]) -> np.ndarray:
    """The phantom's SUV on a grid (given x, y, z): float32 of shape z, y, x."""
    x, y, z = _positions(size, spacing, origin)
    suv = _inside((np.sqrt((x / 170) ** 2 + (y / 110) ** 2) - 1) * 130, 4) * (1 + 0.2 * np.sin(x / 40) * np.cos(z / 30))
    for center, radius, uptake in LESIONS:
        distance = np.sqrt((x - center[0]) ** 2 + (y - center[1]) ** 2 + (z - center[2]) ** 2) - radius
        suv = suv + uptake * _inside(distance, 2.5)
    return np.asarray(suv, dtype=np.float32)


def phantom_hu(size: Sequence[int], spacing: Sequence[float], origin: Sequence[float]) -> np.ndarray:
    """The phantom's Hounsfield units, likewise."""
    x, y, z = _positions(size, spacing, origin)
    hu = -1000 + 1040 * _inside((np.sqrt((x / 170) ** 2 + (y / 110) ** 2) - 1) * 130, 2)
    hu = hu + 30 * np.sin(x / 15) * np.cos(y / 12) * np.sin(z / 20)
    hu = hu - 700 * _inside(np.sqrt(((np.abs(x) - 75) / 45) ** 2 + ((y + 20) / 50) ** 2) * 45 - 45, 2)
    hu = hu + 600 * _inside(np.sqrt(x**2 + (y - 70) ** 2) - 15, 1.5) + 0 * z
    return np.asarray(hu, dtype=np.float32)


def _fields_of_all(slices: Sequence[Dataset], units: str, correction: str) -> Dataset:
    """Gives a PET what every vendor's has, and returns the radiopharmaceutical that its slices share."""
    radiopharmaceutical = Dataset()
    radiopharmaceutical.RadionuclideTotalDose, radiopharmaceutical.RadionuclideHalfLife = DOSE, HALF_LIFE
    for index, item in enumerate(slices):
        item.Units, item.DecayCorrection, item.PatientWeight = units, correction, WEIGHT
        item.CorrectedImage = ["DECY", "ATTN", "SCAT", "DTIM", "NORM"]
        item.SeriesType, item.ImageType = ["WHOLE BODY", "IMAGE"], ["ORIGINAL", "PRIMARY"]
        item.SeriesDate = item.AcquisitionDate = "20200301"
        item.SeriesTime, item.AcquisitionTime = "103000", f"10{30 + index // 8:02d}00"  # a bed after the other
        item.RadiopharmaceuticalInformationSequence = [radiopharmaceutical]
    return radiopharmaceutical


DOSE_LEFT: float = DOSE * 0.5 ** (UPTAKE_SECONDS / HALF_LIFE)


def dress_ge_start(slices: Sequence[Dataset]) -> float:
    """The series was made anew after the scan, whose start GE keeps in a private field."""
    _fields_of_all(slices, "BQML", "START").RadiopharmaceuticalStartTime = "093000.00"
    for item in slices:
        item.SeriesTime = "114500"
        item.private_block(0x0009, "GEMS_PETD_01", create=True).add_new(0x0D, "DT", "20200301103000.00")
    return DOSE_LEFT / (WEIGHT * 1000)


def dress_ge_admin(slices: Sequence[Dataset]) -> float:
    """Decay is corrected to the injection."""
    _fields_of_all(slices, "BQML", "ADMIN").RadiopharmaceuticalStartTime = "093000.00"
    return DOSE / (WEIGHT * 1000)


def dress_siemens(slices: Sequence[Dataset]) -> float:
    """The injection is a date-time, too."""
    radiopharmaceutical = _fields_of_all(slices, "BQML", "START")
    radiopharmaceutical.RadiopharmaceuticalStartDateTime = "20200301093000.000000"
    radiopharmaceutical.RadiopharmaceuticalStartTime = "093000.000000"
    return DOSE_LEFT / (WEIGHT * 1000)


def dress_philips(slices: Sequence[Dataset]) -> float:
    """Counts, with the factors to SUV and to Bq/ml in private fields."""
    _fields_of_all(slices, "CNTS", "START").RadiopharmaceuticalStartDateTime = "20200301093000"
    for item in slices:
        block = item.private_block(0x7053, "Philips PET Private Group", create=True)
        block.add_new(0x00, "DS", "0.000125")
        block.add_new(0x09, "DS", f"{0.000125 * DOSE_LEFT / (WEIGHT * 1000):.8g}")
    return 1 / 0.000125


GE = Vendor(
    "GE MEDICAL SYSTEMS",
    (128, 128, 34),
    (5.46875, 5.46875, 3.27),
    (-347.2656, -347.2656, 1.1),
    dress_ge_start,
    ExplicitVRLittleEndian,
    lambda series, image: f"DICOM/PA000001/SE{series:06d}/IM{image:06d}",
    ct_padding=-3024,
    same_length=True,
)

SIEMENS = Vendor(
    "SIEMENS",
    (168, 168, 23),
    (4.07283, 4.07283, 5.0),
    (-340.0813, -340.0813, 0.5),
    dress_siemens,
    ImplicitVRLittleEndian,
    lambda series, image: f"PATIENT.PT_WB.{series}.{image * 7 % 100}.2020.03.01.{image}.IMA",
    ct_padding=-1024,
)

VENDORS = {
    "ge-start": GE,
    "ge-admin": replace(
        GE,
        dress=dress_ge_admin,
        name_of=lambda series, image: f"export/{series * 1000 + image:x}/image.dcm",
        same_length=False,
    ),
    "siemens": SIEMENS,
    "siemens-enhanced": replace(SIEMENS, name_of=lambda series, image: f"{series}/{image}", enhanced=True),
    "philips": Vendor(
        "Philips Medical Systems",
        (144, 144, 29),
        (4.0, 4.0, 4.0),
        (-286.0, -286.0, 0.0),
        dress_philips,
        ExplicitVRLittleEndian,
        lambda series, image: f"{image % 3}/{image % 5}/{series * 7919 + image * 104729:08X}",
        ct_padding=-1024,
    ),
}


def write_vendor_study(vendor: Vendor, folder: Path) -> Path:
    """Writes the phantom as a DICOM study: topogram, CT, CT of another kernel, PET, PET without corrections."""
    made = SyntheticStudy()
    suv_zyx = phantom_suv(vendor.size, vendor.spacing, vendor.origin)
    hu_zyx = _padded_hu(vendor.ct_padding)
    topogram = _ct_series(made, hu_zyx[13:14], "Topogram 0.6 T20s", 1)
    topogram[0].ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    ct = _ct_series(made, hu_zyx, "CT WB 5.0 B30f", 2)
    part = hu_zyx if vendor.same_length else hu_zyx[:9]
    sharp = _ct_series(made, part + 40 * np.sin(np.arange(512)), "CT 5.0 B80f", 3)
    pet = _pet_series(made, vendor, suv_zyx, vendor.dress, "PET WB AC", 4)
    uncorrected = _pet_series(made, vendor, suv_zyx[::-1] * 0.3, vendor.dress, "PET WB NAC", 5)
    for item in uncorrected:
        item.CorrectedImage = ["DECY", "NORM"]
    all_series: list[list[Dataset]] = [topogram, ct, sharp, pet, uncorrected]
    if vendor.enhanced:
        uids = generate_uid(), generate_uid()
        all_series[3] = [highdicom.legacy.LegacyConvertedEnhancedPETImage(pet, uids[0], 4, uids[1], 1)]
        all_series[3][0].SeriesDescription = pet[0].SeriesDescription
    for series, slices in enumerate(all_series, start=1):
        for image, item in enumerate(slices, start=1):
            item.Manufacturer, item.file_meta.TransferSyntaxUID = vendor.manufacturer, vendor.transfer_syntax
            path = folder / vendor.name_of(series, image)
            path.parent.mkdir(parents=True, exist_ok=True)
            assert not path.exists()
            implicit = vendor.transfer_syntax == ImplicitVRLittleEndian
            item.save_as(path, implicit_vr=implicit, little_endian=True, enforce_file_format=True)
    return folder


def _padded_hu(padding: float) -> np.ndarray:
    """The CT's voxels to whole HU, with padding outside of the round field of view."""
    hu_zyx: np.ndarray = np.rint(phantom_hu(CT_SIZE, CT_SPACING, (TURN, TURN, -5.0)))
    y, x = np.indices(hu_zyx.shape[1:]) - (CT_SIZE[0] - 1) / 2
    hu_zyx[:, np.hypot(x, y) > CT_SIZE[0] / 2] = padding
    return hu_zyx


def _ct_series(made: SyntheticStudy, hu_zyx: np.ndarray, description: str, number: int) -> list[Dataset]:
    stored = np.rint(hu_zyx + 1024).astype(np.int16)
    count = len(stored)
    slices = made.make_series(
        "CT", CTImageStorage, stored, CT_SPACING, (TURN, TURN, -5.0), [1.0] * count, [-1024.0] * count
    )
    return _numbered(slices, description, number)


def _pet_series(
    made: SyntheticStudy,
    vendor: Vendor,
    suv_zyx: np.ndarray,
    dress: Callable[[Sequence[Dataset]], float],
    description: str,
    number: int,
) -> list[Dataset]:
    """A PET whose slices have a slope each, as large as fits their largest value."""
    slopes = suv_zyx.max(axis=(1, 2)) / 32767
    stored = np.rint(suv_zyx / slopes[:, None, None]).astype(np.int16)
    intercepts = [0.0] * len(slopes)
    sop_class = PositronEmissionTomographyImageStorage
    slices = made.make_series("PT", sop_class, stored, vendor.spacing, vendor.origin, slopes.tolist(), intercepts)
    to_stored = dress(slices)
    for item, slope in zip(slices, slopes, strict=True):
        item.RescaleSlope = f"{slope * to_stored:.9g}"
    return _numbered(slices, description, number)


def _numbered(slices: list[Dataset], description: str, number: int) -> list[Dataset]:
    for item in slices:
        item.SeriesDescription, item.SeriesNumber, item.ImageType = description, number, ["ORIGINAL", "PRIMARY"]
    return slices


def challenge_images(vendor: Vendor) -> tuple[sitk.Image, sitk.Image]:
    """CT and PET of the phantom as the challenge has them: SUV, and the CT brought to the PET's grid by SimpleITK."""
    pet = sitk.GetImageFromArray(phantom_suv(vendor.size, vendor.spacing, vendor.origin))
    pet.SetSpacing(vendor.spacing)
    pet.SetOrigin(vendor.origin)
    ct = sitk.GetImageFromArray(np.maximum(_padded_hu(vendor.ct_padding), -1024).astype(np.float32))
    ct.SetSpacing(CT_SPACING)
    ct.SetOrigin((TURN, TURN, -5.0))
    return sitk.Resample(ct, pet, sitk.Transform(), sitk.sitkBSpline, -1024.0, sitk.sitkFloat32), pet
