"""Objects of a result in the formats that are asked for, a file each."""

import datetime
import io
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from lesionclick.case.results import DicomSegments, OutputFormat
from lesionclick.dicom.result import LesionResult, ModelIdentity, write_object
from lesionclick.dicom.source import naming_source
from lesionclick.dicom.volume import SeriesVolume
from lesionclick.dicom.write_report import Measured, make_report
from lesionclick.dicom.write_rtstruct import make_rtstruct
from lesionclick.dicom.write_segmentation import make_segmentation


def require_source(pet: SeriesVolume) -> None:
    """Makes an object without lesions and throws it away, so that nothing is found amiss when the work is done.

    Raises:
        CaseError: the PET's header lacks what an object has to say.
    """
    nothing_zyx = np.zeros(pet.image.GetSize()[::-1], dtype=np.uint8)
    result = LesionResult(pet, nothing_zyx, ModelIdentity("", ""), datetime.datetime.now())
    item = make_rtstruct(result)
    with naming_source(result.sources[0]):
        item.save_as(io.BytesIO(), enforce_file_format=True)


def write_objects(
    result: LesionResult,
    measurements: Sequence[Measured],
    formats: Collection[OutputFormat],
    folder: Path,
    segments: DicomSegments = DicomSegments.per_lesion,
) -> list[Path]:
    """Writes lesions as DICOM objects: lesions.seg.dcm, lesions.rtstruct.dcm, lesions.sr.dcm.

    Args:
        result: lesions and PET.
        measurements: one a lesion, in order of their numbers.
        formats: those that are images are passed over. A structured report refers to a segmentation, which is then
            written, too.
        folder: to write to.
        segments: of the segmentation; a structured report refers to one a lesion.

    Returns:
        The files.

    Raises:
        CaseError: the PET's header lacks what an object has to say, or a file cannot be written.
    """
    objects: dict[Path, Dataset] = {}
    if {OutputFormat.dicom_seg, OutputFormat.dicom_sr} & set(formats):
        segmentation = make_segmentation(result, united=segments is DicomSegments.single)
        objects[folder / "lesions.seg.dcm"] = segmentation
        if OutputFormat.dicom_sr in formats:
            objects[folder / "lesions.sr.dcm"] = make_report(result, measurements, segmentation)
    if OutputFormat.rtstruct in formats:
        objects[folder / "lesions.rtstruct.dcm"] = make_rtstruct(result)
    for path, item in objects.items():
        with naming_source(result.sources[0]):  # what is wrong with a field taken over shows when it is encoded
            write_object(item, path)
    return list(objects)
