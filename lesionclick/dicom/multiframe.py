"""Frames of enhanced multi-frame CT and PET: each becomes a slice with the fields of a single-frame file.

An enhanced object keeps what its frames share, and what each has of its own, in functional groups (DICOM PS3.3,
C.7.6.16), and says in other words what a single-frame PET says in Units, CorrectedImage, DecayCorrection and
AcquisitionTime (C.8.22). What reads series reads single-frame slices, so the frames are turned into them.
"""

import copy

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    EnhancedCTImageStorage,
    EnhancedPETImageStorage,
    ExplicitVRLittleEndian,
    LegacyConvertedEnhancedCTImageStorage,
    LegacyConvertedEnhancedPETImageStorage,
)

from lesionclick.dicom.fields import file_of, optional_text, optional_value, parse_moment, place_of, tag_of
from lesionclick.dicom.reading import damage_as_case_error
from lesionclick.errors import CaseError

FRAME_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
"""Where an enhanced object keeps what describes its frames."""

ENHANCED = {
    EnhancedCTImageStorage,
    EnhancedPETImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    LegacyConvertedEnhancedPETImageStorage,
}
"""SOPClassUID of CT and PET objects with several frames."""

_LEFT_OUT = (*FRAME_GROUPS, "PixelData", "NumberOfFrames", "DimensionIndexSequence", "DimensionOrganizationSequence")

_KEPT_WHOLE = {"RealWorldValueMappingSequence"}
"""Groups that mean something as a sequence; of all others the fields are taken."""

_UNITS = {
    "bq/ml": ("BQML", ""),
    "{suvbw}g/ml": ("GML", "BW"),
    "g/ml{suvbw}": ("GML", "BW"),
    "{suvlbm}g/ml": ("GML", "LBM"),
    "g/ml{suvlbm}": ("GML", "LBM"),
    "{suvibw}g/ml": ("GML", "IBW"),
    "g/ml{suvibw}": ("GML", "IBW"),
    "{suvbsa}cm2/ml": ("CM2ML", "BSA"),
    "{counts}": ("CNTS", ""),
    "{cnt}": ("CNTS", ""),
}
"""UCUM code of the measured unit, in small letters -> Units and SUVType."""


def is_enhanced(header: Dataset) -> bool:
    """Whether a file is of a kind that describes its frames in functional groups."""
    return optional_text(header, "SOPClassUID") in ENHANCED


def frame_headers(header: Dataset) -> list[Dataset]:
    """One header a frame, with the fields of a single-frame file and without pixels.

    Raises:
        CaseError: the object does not describe its frames one by one.
    """
    name = file_of(header)
    with damage_as_case_error(name):
        shared = optional_value(header, FRAME_GROUPS[0])
        groups = optional_value(header, FRAME_GROUPS[1])
        if groups is None:
            raise CaseError(f"{name}: is multi-frame and lacks {tag_of(FRAME_GROUPS[1])}, expected one slice a file")
        common = Dataset()
        for element in header:
            if element.keyword not in _LEFT_OUT:
                common.add(element)
        _merge(common, shared[0] if shared else Dataset())
        frames = []
        for index, group in enumerate(groups):
            frame = copy.copy(common)
            frame._dict = dict(common._dict)
            _merge(frame, group)
            frame.filename = f"{name} (frame {index + 1})"
            frame.ReferencedFrameNumber = index + 1  # for what refers to the frame
            _speak_as_single_frame(frame)
            frames.append(frame)
    return frames


def split_frames(dataset: Dataset) -> list[Dataset]:
    """One slice a frame, its pixels not compressed.

    Raises:
        CaseError: the object does not describe its frames, or its pixels cannot be read.
    """
    frames = frame_headers(dataset)
    with damage_as_case_error(file_of(dataset)):
        stored = dataset.pixel_array
        stored = stored[None] if stored.ndim == 2 else stored
    if len(stored) != len(frames):
        raise CaseError(f"{file_of(dataset)}: holds {len(stored)} frames and describes {len(frames)}")
    for frame, pixels in zip(frames, stored, strict=True):
        frame.file_meta = FileMetaDataset()
        frame.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        frame.BitsAllocated = pixels.dtype.itemsize * 8
        frame.PixelData = np.ascontiguousarray(pixels).tobytes()
    if "PixelData" in dataset:
        del dataset.PixelData
    return frames


def _merge(frame: Dataset, groups: Dataset) -> None:
    """Adds the fields of functional groups to a frame's."""
    for group in groups:
        if group.VR != "SQ" or group.keyword in _KEPT_WHOLE or not group.value:
            frame.add(group)
            continue
        for element in group.value[0]:
            frame.add(element)


def _speak_as_single_frame(frame: Dataset) -> None:
    """Adds what a single-frame file would say, where the frame does not say it already."""
    if "ImageType" in frame and "FrameType" in frame:
        frame.ImageType = frame.FrameType
    for keyword in ("FrameAcquisitionDateTime", "FrameReferenceDateTime"):
        text = optional_text(frame, keyword)
        if text and "AcquisitionTime" not in frame:
            moment = parse_moment(text, place_of(frame, keyword))
            frame.AcquisitionDate, frame.AcquisitionTime = moment.strftime("%Y%m%d"), moment.strftime("%H%M%S.%f")
    if "FrameAcquisitionDuration" in frame and "ActualFrameDuration" not in frame:
        frame.ActualFrameDuration = round(float(frame.FrameAcquisitionDuration))
    if "CorrectedImage" not in frame and "AttenuationCorrected" in frame:
        attenuation, decay = (optional_text(frame, f"{kind}Corrected") == "YES" for kind in ("Attenuation", "Decay"))
        frame.CorrectedImage = ["ATTN"] * attenuation + ["DECY"] * decay
    if "DecayCorrection" not in frame and "DecayCorrected" in frame:
        frame.DecayCorrection = "START" if optional_text(frame, "DecayCorrected") == "YES" else "NONE"
    if "Units" not in frame and optional_value(frame, "RealWorldValueMappingSequence"):
        _measure(frame)


def _measure(frame: Dataset) -> None:
    """Units and rescaling from the mapping to a unit that SUV can be made of, the first where there are several."""
    for mapping in frame.RealWorldValueMappingSequence:
        codes = optional_value(mapping, "MeasurementUnitsCodeSequence", frame)
        unit = optional_text(codes[0], "CodeValue", frame) if codes else ""
        if unit.lower() not in _UNITS:
            continue
        frame.Units, kind = _UNITS[unit.lower()]
        if kind:
            frame.SUVType = kind
        if "RealWorldValueSlope" in mapping:
            frame.RescaleSlope, frame.RescaleIntercept = mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept
        return
