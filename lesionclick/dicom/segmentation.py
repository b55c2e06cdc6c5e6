"""DICOM segmentation objects: the lesions that they mark."""

import fnmatch
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset

from lesionclick.case.images import resample_label
from lesionclick.dicom.fields import MALFORMED, sequence_item, tag_of
from lesionclick.dicom.series import require_frame_of_reference
from lesionclick.errors import CaseError


def choose_segments(study: Path, paths: Sequence[Path], patterns: Sequence[str]) -> dict[Path, list[int]]:
    """Which segments of which DICOM SEG files are lesions: those whose label fits a pattern, or the only one there is.

    Raises:
        CaseError: there is no segmentation, a pattern fits none, or there are several segments and no pattern.
    """
    labels = {(path, number): label for path in paths for number, label in _segment_labels(path).items()}
    listed = ", ".join(sorted(set(labels.values())))
    if not labels:
        raise CaseError(f"{study}: holds no DICOM SEG; a study that is free of lesions has to be said to be so")
    if not patterns and len(labels) > 1:
        raise CaseError(f"{study}: holds {len(labels)} segments ({listed}), name those that are lesions")
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(label, pattern) for label in labels.values()):
            raise CaseError(f"{study}: no segment is called {pattern!r}, there are {listed}")
    chosen: dict[Path, list[int]] = defaultdict(list)
    for (path, number), label in labels.items():
        if not patterns or any(fnmatch.fnmatchcase(label, pattern) for pattern in patterns):
            chosen[path].append(number)
    return chosen


def _segment_labels(path: Path) -> dict[int, str]:
    header = pydicom.dcmread(path, stop_before_pixels=True)
    try:
        return {int(segment.SegmentNumber): str(segment.SegmentLabel) for segment in header.SegmentSequence}
    except MALFORMED as error:
        raise CaseError(f"{path}: is not a DICOM SEG that can be read: {error}") from error


def read_lesions(
    segments: dict[Path, list[int]], pet: sitk.Image, frame_of_reference: str, spacings: dict[str, float]
) -> np.ndarray:
    """Segments of DICOM SEG files, united, on the PET's grid (nearest neighbour).

    Args:
        segments: file -> numbers of its segments.
        pet: the image whose grid it is.
        frame_of_reference: the PET's FrameOfReferenceUID, which a segmentation has to share.
        spacings: SeriesInstanceUID -> distance between slices in mm, of the series that a segmentation may refer to.

    Returns:
        uint8 of shape (z, y, x), 0 and 1.

    Raises:
        CaseError: a file is not a segmentation of this study, has no even grid, or leaves nothing on the PET's grid.
    """
    lesion = np.zeros(pet.GetSize()[::-1], dtype=np.uint8)
    for path, numbers in segments.items():
        stored = pydicom.dcmread(path)
        require_frame_of_reference(stored, frame_of_reference)
        _require_slice_spacing(stored, spacings)
        part = resample_label(_read_segments(stored, numbers), pet)
        if not part.any():
            raise CaseError(f"{path}: its chosen segments leave no voxel on the PET's grid")
        lesion |= part
    return lesion


def _require_slice_spacing(stored: Dataset, spacings: dict[str, float]) -> None:
    """Fills in the distance between a segmentation's slices where it is not stored.

    Empty frames are mostly left out, so it cannot be told from the frames' positions.
    """
    measures = sequence_item(sequence_item(stored, "SharedFunctionalGroupsSequence"), "PixelMeasuresSequence", stored)
    if measures.get("SpacingBetweenSlices"):
        return
    referenced = [str(item.get("SeriesInstanceUID")) for item in stored.get("ReferencedSeriesSequence", [])]
    known = [spacings[uid] for uid in referenced if uid in spacings]
    if len(known) != 1:
        raise CaseError(
            f"{stored.filename}: {tag_of('SpacingBetweenSlices')} is missing and it does not refer to the CT or the PET "
            "series that is converted"
        )
    measures.SpacingBetweenSlices = known[0]


def _read_segments(stored: Dataset, numbers: Sequence[int]) -> sitk.Image:
    """The union of segments on their own grid, uint8; fractional ones count from one half on."""
    try:
        segmentation = highdicom.seg.Segmentation.from_dataset(stored, copy=False)
        volume = segmentation.get_volume(segment_numbers=numbers)
    except MALFORMED as error:
        raise CaseError(f"{stored.filename}: is not a DICOM SEG with an even grid: {error}") from error
    image = sitk.GetImageFromArray((volume.array >= 0.5).any(axis=-1).astype(np.uint8))
    # highdicom's axes are slices, rows, columns; SimpleITK's are columns, rows, slices
    image.SetSpacing([float(value) for value in volume.spacing[::-1]])
    image.SetOrigin([float(value) for value in volume.position])
    image.SetDirection(volume.direction[:, ::-1].ravel().tolist())
    return image
