"""Header of one file as far as a series is chosen by it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedPETImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    LegacyConvertedEnhancedPETImageStorage,
    MediaStorageDirectoryStorage,
    PositronEmissionTomographyImageStorage,
)

from lesionclick.dicom.fields import numbers_of, optional_text, optional_value, text_of, values_of
from lesionclick.dicom.multiframe import FRAME_GROUPS, frame_headers, is_enhanced
from lesionclick.dicom.reading import looks_like_dicom, read_header

IMAGE_CLASSES = {
    "CT": {CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage},
    "PT": {
        PositronEmissionTomographyImageStorage,
        EnhancedPETImageStorage,
        LegacyConvertedEnhancedPETImageStorage,
    },
}
"""By modality, the kinds of objects (SOPClassUID) that hold a scanner's slices."""

_KEYWORDS = (
    "SOPClassUID",
    "SOPInstanceUID",
    "Modality",
    "SeriesInstanceUID",
    "SeriesNumber",
    "SeriesDescription",
    "SeriesType",
    "ImageType",
    "CorrectedImage",
    "AttenuationCorrectionMethod",
    "AttenuationCorrected",
    "DecayCorrected",
    "Units",
    "NumberOfFrames",
    "FrameOfReferenceUID",
    "ImagePositionPatient",
    "Rows",
)


@dataclass(frozen=True)
class ImageHeader:
    """What one file says of itself.

    Attributes:
        path: of the file.
        series_uid: SeriesInstanceUID.
        image_uid: SOPInstanceUID, empty where there is none.
        modality: "CT", "PT", ...
        sop_class: SOPClassUID.
        number: SeriesNumber, None where there is none.
        description: SeriesDescription, likewise empty.
        image_types: values of ImageType.
        corrections: values of CorrectedImage, None where the file does not say.
        units: Units, empty where there are none.
        series_types: values of SeriesType.
        frame_of_reference: FrameOfReferenceUID, empty where there is none.
        frames: how many images it holds.
        positions: ImagePositionPatient of the images that have one.
    """

    path: Path
    series_uid: str
    image_uid: str
    modality: str
    sop_class: str
    number: int | None
    description: str
    image_types: frozenset[str]
    corrections: frozenset[str] | None
    units: str
    series_types: frozenset[str]
    frame_of_reference: str
    frames: int
    positions: tuple[tuple[float, ...], ...]


def read_image_header(path: Path) -> ImageHeader | None:
    """What a file says of itself; None where it is not DICOM, or DICOM without a series as a DICOMDIR is.

    Raises:
        CaseError: the file says that it is DICOM, and is damaged.
    """
    if not looks_like_dicom(path):
        return None
    header = read_header(path, _KEYWORDS)
    if _is_directory(header):
        return None
    modality, uid = text_of(header, "Modality"), text_of(header, "SeriesInstanceUID")
    sop_class = optional_text(header, "SOPClassUID")
    if sop_class in IMAGE_CLASSES.get(modality.strip(), ()):
        text_of(header, "Rows")  # behind the fields above: a file that was cut lacks it
    frames = [header]
    if is_enhanced(header):
        frames = frame_headers(read_header(path, (*_KEYWORDS, *FRAME_GROUPS)))
    first = frames[0]
    number = optional_text(header, "SeriesNumber")
    return ImageHeader(
        path=path,
        series_uid=uid.strip(),
        image_uid=optional_text(header, "SOPInstanceUID"),
        modality=modality.strip(),
        sop_class=sop_class,
        number=int(number) if number.lstrip("-").isdigit() else None,
        description=optional_text(header, "SeriesDescription"),
        image_types=values_of(first, "ImageType", header),
        corrections=_corrections(first, header),
        units=optional_text(first, "Units", header),
        series_types=values_of(header, "SeriesType"),
        frame_of_reference=optional_text(header, "FrameOfReferenceUID"),
        frames=len(frames),
        positions=tuple(
            tuple(numbers_of(frame, "ImagePositionPatient", 3, header).tolist())
            for frame in frames
            if optional_value(frame, "ImagePositionPatient", header) is not None
        ),
    )


def _is_directory(header: Dataset) -> bool:
    meta = getattr(header, "file_meta", None)
    return meta is not None and optional_text(meta, "MediaStorageSOPClassUID", header) == MediaStorageDirectoryStorage


def _corrections(header: Dataset, file: Dataset) -> frozenset[str] | None:
    """CorrectedImage, or ATTN alone where only the method of that correction is named; None for unknown."""
    corrections = values_of(header, "CorrectedImage", file)
    if corrections:
        return corrections
    method = optional_text(header, "AttenuationCorrectionMethod", file)
    return frozenset({"ATTN"}) if method and method.upper() != "NONE" else None


def extent_of(positions: list[tuple[float, ...]]) -> float:
    """The distance (mm) between opposite ends of the places of a series' slices."""
    if not positions:
        return 0.0
    places = np.array(positions)
    return float(np.linalg.norm(places.max(axis=0) - places.min(axis=0)))
