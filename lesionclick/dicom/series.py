"""DICOM series: found in a study, checked, and read as one volume."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from lesionclick.dicom.fields import MALFORMED, numbers_of, tag_of, text_of
from lesionclick.errors import CaseError
from lesionclick_training.data.images import AIR

POSITION_TOLERANCE = 0.1
"""mm by which a slice may lie off its even place; positions are often stored with one decimal."""

COSINE_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Series:
    """A series of a study: its files in no order."""

    uid: str
    modality: str
    description: str
    paths: tuple[Path, ...]


def find_series(study: Path) -> list[Series]:
    """The series of a study's folder and all its subfolders, by modality and description.

    Raises:
        CaseError: the folder is missing.
    """
    if not study.is_dir():
        raise CaseError(f"{study}: the folder is missing, expected a DICOM study")
    fields = ["Modality", "SeriesInstanceUID", "SeriesDescription"]
    files: dict[tuple[str, str, str], list[Path]] = defaultdict(list)
    for path in sorted(path for path in study.rglob("*") if path.is_file()):
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=fields)
        except InvalidDicomError:
            continue
        if header.get("SeriesInstanceUID") and header.get("Modality"):
            key = (header.Modality, str(header.get("SeriesDescription") or ""), str(header.SeriesInstanceUID))
            files[key].append(path)
    return [Series(uid, modality, text, tuple(files[modality, text, uid])) for modality, text, uid in sorted(files)]


def choose_series(study: Path, found: Sequence[Series], modality: str, uid: str | None) -> Series:
    candidates = [series for series in found if series.modality == modality]
    chosen = [series for series in candidates if uid in (None, series.uid)]
    if len(chosen) == 1:
        return chosen[0]
    listed = "; ".join(f"{series.uid} ({series.description}, {len(series.paths)} files)" for series in candidates)
    if not candidates:
        raise CaseError(f"{study}: holds no series of modality {modality}")
    if not chosen:
        raise CaseError(f"{study}: holds no {modality} series {uid}, only {listed}")
    raise CaseError(f"{study}: holds {len(candidates)} {modality} series, name one by its UID: {listed}")


def load_slices(series: Series) -> list[Dataset]:
    """The slices of a CT or PET series in order of their positions along the slices' normal.

    Raises:
        CaseError: a slice lacks a field of the geometry or differs in it from the others, there are fewer than two, or
            they are not evenly stacked along their normal.
    """
    slices: list[Dataset] = [pydicom.dcmread(path) for path in series.paths]
    for item in slices:
        if int(item.get("NumberOfFrames") or 1) != 1:
            raise CaseError(f"{item.filename}: is multi-frame, expected one slice a file")
    first = slices[0]
    for keyword, length in (("Rows", 1), ("Columns", 1), ("PixelSpacing", 2), ("ImageOrientationPatient", 6)):
        expected = numbers_of(first, keyword, length)
        for item in slices:
            if np.abs(numbers_of(item, keyword, length) - expected).max() > COSINE_TOLERANCE:
                raise CaseError(f"{item.filename}: {tag_of(keyword)} differs from that of {first.filename}")
    if len(slices) < 2:
        raise CaseError(f"{first.filename}: is the only slice of its series, expected several")
    normal = _axes(first)[2]
    slices.sort(key=lambda item: float(_position(item) @ normal))
    _require_even_stack(slices, normal)
    return slices


def _require_even_stack(slices: Sequence[Dataset], normal: np.ndarray) -> None:
    start = _position(slices[0])
    step = slice_spacing(slices)
    if step < POSITION_TOLERANCE:
        raise CaseError(
            f"{slices[0].filename}: all slices of its series have the same {tag_of('ImagePositionPatient')}"
        )
    for index, item in enumerate(slices):
        off = float(np.linalg.norm(_position(item) - (start + index * step * normal)))
        if off > POSITION_TOLERANCE:
            raise CaseError(
                f"{item.filename}: lies {off:.2f} mm off its place in a stack of {len(slices)} slices {step:.4g} mm "
                "apart, expected slices evenly stacked along their normal (one may be missing or there twice)"
            )


def slice_spacing(slices: Sequence[Dataset]) -> float:
    """Distance from slice to slice in mm, of slices in order."""
    distance = (_position(slices[-1]) - _position(slices[0])) @ _axes(slices[0])[2]
    return float(distance) / (len(slices) - 1)


def _position(item: Dataset) -> np.ndarray:
    return numbers_of(item, "ImagePositionPatient", 3)


def _axes(item: Dataset) -> np.ndarray:
    """Unit vectors along the columns' index (x), the rows' index (y) and the normal (z), one a row."""
    orientation = numbers_of(item, "ImageOrientationPatient", 6)
    along_row, along_column = orientation[:3], orientation[3:]
    unit = np.abs(np.linalg.norm(orientation.reshape(2, 3), axis=1) - 1).max() <= COSINE_TOLERANCE
    if not unit or abs(along_row @ along_column) > COSINE_TOLERANCE:
        raise CaseError(f"{item.filename}: {tag_of('ImageOrientationPatient')} is not two perpendicular unit vectors")
    along_row = along_row / np.linalg.norm(along_row)
    along_column = along_column - (along_column @ along_row) * along_row
    along_column /= np.linalg.norm(along_column)
    return np.stack([along_row, along_column, np.cross(along_row, along_column)])


def read_ct(slices: Sequence[Dataset]) -> sitk.Image:
    """A CT series in HU, float32; what lies below air (padding outside the field of view) is raised to air.

    Raises:
        CaseError: pixels or their rescaling cannot be read.
    """
    return stack_slices(np.maximum(rescaled_voxels(slices), np.float32(AIR)), slices)


def rescaled_voxels(slices: Sequence[Dataset]) -> np.ndarray:
    """Pixels times slope plus intercept, each slice by its own; float32 of shape (z, y, x)."""
    planes = []
    for item in slices:
        slope, intercept = (numbers_of(item, keyword, 1)[0] for keyword in ("RescaleSlope", "RescaleIntercept"))
        try:
            pixels = item.pixel_array
        except MALFORMED as error:
            raise CaseError(f"{item.filename}: its pixels cannot be read: {error}") from error
        planes.append((pixels * slope + intercept).astype(np.float32))
    return np.stack(planes)


def stack_slices(array_zyx: np.ndarray, slices: Sequence[Dataset]) -> sitk.Image:
    image = sitk.GetImageFromArray(array_zyx)
    between_rows, between_columns = numbers_of(slices[0], "PixelSpacing", 2)
    image.SetSpacing((between_columns, between_rows, slice_spacing(slices)))
    image.SetOrigin(_position(slices[0]).tolist())
    image.SetDirection(_axes(slices[0]).T.ravel().tolist())
    return image


def require_frame_of_reference(item: Dataset, expected: str) -> None:
    found = text_of(item, "FrameOfReferenceUID")
    if found != expected:
        raise CaseError(
            f"{item.filename}: {tag_of('FrameOfReferenceUID')} is {found}, not the PET's {expected}: the two were not "
            "acquired together"
        )
