"""Segmentation objects (DICOM SEG): segments chosen by their labels and brought to the PET's grid."""

import fnmatch
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset

from lesionclick.case.images import resample_label
from lesionclick.dicom.fields import MALFORMED, sequence_item, tag_of
from lesionclick.dicom.volume import SeriesVolume, image_from_volume, require_frame_of_reference, require_pixels
from lesionclick.errors import CaseError


@dataclass(frozen=True)
class SegmentChoice:
    """Segments of a study by what they mean: file -> numbers of its segments.

    Attributes:
        lesions: those that are lesions; may be empty where the study is without.
        annotated: those that tell where a reader looked for lesions; empty for everywhere.
    """

    lesions: Mapping[Path, Sequence[int]]
    annotated: Mapping[Path, Sequence[int]]


def choose_segments(
    study: Path,
    paths: Sequence[Path],
    lesions: Sequence[str] = (),
    annotated: Sequence[str] = (),
    without_lesions: bool = False,
) -> SegmentChoice:
    """Which segments are lesions, and which tell where somebody looked for them.

    Args:
        study: the folder, for messages.
        paths: its DICOM SEG files.
        lesions: labels of segments, * and ? allowed, case matters; may be empty where a single segment is left.
        annotated: those of the region that was looked through, organs mostly, likewise; empty for everywhere.
        without_lesions: says that no segment is a lesion, so that all have to belong to the region.

    Raises:
        CaseError: there is no segmentation, a pattern fits none, a segment is of both kinds, a segment is left over
            in a study without lesions, or there are several segments and no pattern.
    """
    labels = {(path, number): label for path in paths for number, label in segment_labels(path).items()}
    listed = ", ".join(sorted(set(labels.values())))
    if not labels and not (without_lesions and not annotated):
        raise CaseError(f"{study}: holds no DICOM SEG, expected one unless the study is declared free of lesions")
    for pattern in (*lesions, *annotated):
        if not any(fnmatch.fnmatchcase(label, pattern) for label in labels.values()):
            raise CaseError(f"{study}: no segment is called {pattern!r}, there are {listed}")
    region = {key for key, label in labels.items() if _fits(label, annotated)}
    rest = labels.keys() - region
    if without_lesions and (lesions or rest):
        names = ", ".join(sorted({labels[key] for key in rest}) or lesions)
        raise CaseError(f"{study}: is said to be without lesions and has a segment for them ({names})")
    chosen = {key for key, label in labels.items() if _fits(label, lesions)} if lesions else rest
    for path, number in sorted(chosen & region):
        raise CaseError(f"{path}: the segment {labels[path, number]!r} is named both as lesion and as annotated region")
    if not lesions and not without_lesions and len(rest) != 1:
        raise CaseError(f"{study}: holds {len(labels)} segments ({listed}), name those that are lesions")
    return SegmentChoice(_by_file(chosen), _by_file(region))


def _fits(label: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(label, pattern) for pattern in patterns)


def _by_file(segments: Collection[tuple[Path, int]]) -> dict[Path, list[int]]:
    numbers: dict[Path, list[int]] = defaultdict(list)
    for path, number in sorted(segments):
        numbers[path].append(number)
    return dict(numbers)


def segment_labels(path: Path) -> dict[int, str]:
    """SegmentNumber -> SegmentLabel of a DICOM SEG file.

    Raises:
        CaseError: the file is none.
    """
    header = pydicom.dcmread(path, stop_before_pixels=True)
    try:
        return {int(segment.SegmentNumber): str(segment.SegmentLabel) for segment in header.SegmentSequence}
    except MALFORMED as error:
        raise CaseError(f"{path}: is not a DICOM SEG that can be read: {error}") from error


def read_segments(segments: Mapping[Path, Sequence[int]], pet: SeriesVolume, ct: SeriesVolume) -> np.ndarray:
    """Segments of DICOM SEG files, united, on the PET's grid (nearest neighbor).

    Args:
        segments: file -> numbers of its segments; may be empty.
        pet: on whose grid the segments are to lie, and in whose frame of reference they have to.
        ct: of the same study; a segmentation may have been drawn on it.

    Returns:
        uint8 of shape (z, y, x), 0 and 1.

    Raises:
        CaseError: a file is not a segmentation of this study, has no even grid, or leaves nothing on the PET's grid.
    """
    union = np.zeros(pet.image.GetSize()[::-1], dtype=np.uint8)
    for path, numbers in segments.items():
        header = pydicom.dcmread(path)
        require_frame_of_reference(header, pet)
        _complete_slice_spacing(header, (pet, ct))
        part = resample_label(_read_segments(header, numbers), pet.image)
        if not part.any():
            raise CaseError(f"{path}: its chosen segments leave no voxel on the PET's grid")
        union |= part
    return union


def _complete_slice_spacing(header: Dataset, volumes: Sequence[SeriesVolume]) -> None:
    """Stores the distance between a segmentation's slices where it is missing: that of the series it refers to.

    Empty frames are mostly left out, so it cannot be told from the frames' positions.
    """
    measures = sequence_item(sequence_item(header, "SharedFunctionalGroupsSequence"), "PixelMeasuresSequence", header)
    if measures.get("SpacingBetweenSlices"):
        return
    referenced = [str(item.get("SeriesInstanceUID")) for item in header.get("ReferencedSeriesSequence", [])]
    spacings = [volume.slice_spacing for volume in volumes if volume.uid in referenced]
    if len(spacings) != 1:
        raise CaseError(
            f"{header.filename}: {tag_of('SpacingBetweenSlices')} is missing and it does not refer to either the CT or "
            "the PET series that is converted"
        )
    measures.SpacingBetweenSlices = spacings[0]


def _read_segments(header: Dataset, numbers: Sequence[int]) -> sitk.Image:
    """The union of segments on their own grid, uint8; fractional ones count from one half on."""
    require_pixels(header)
    try:
        segmentation = highdicom.seg.Segmentation.from_dataset(header, copy=False)
        volume = segmentation.get_volume(segment_numbers=numbers)
    except MALFORMED as error:
        raise CaseError(f"{header.filename}: is not a DICOM SEG with an even grid: {error}") from error
    union = (volume.array >= 0.5).any(axis=-1).astype(np.uint8)
    return image_from_volume(volume.get_geometry().with_array(union))
