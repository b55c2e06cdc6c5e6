"""Objects of a result in the formats that are asked for, a file each."""

from collections.abc import Collection, Sequence
from pathlib import Path

from lesionclick.case.results import OutputFormat
from lesionclick.dicom.result import LesionResult, write_object
from lesionclick.dicom.write_report import Measured, make_report
from lesionclick.dicom.write_rtstruct import make_rtstruct
from lesionclick.dicom.write_segmentation import make_segmentation


def write_objects(
    result: LesionResult, measurements: Sequence[Measured], formats: Collection[OutputFormat], folder: Path
) -> list[Path]:
    """Writes lesions as DICOM objects: lesions.seg.dcm, lesions.rtstruct.dcm, lesions.sr.dcm.

    Args:
        result: lesions and PET.
        measurements: one a lesion, in order of their numbers.
        formats: those that are images are passed over. A structured report refers to a segmentation, which is then
            written, too.
        folder: to write to.

    Returns:
        The files.

    Raises:
        CaseError: the PET's header lacks what an object has to say, or a file cannot be written.
    """
    paths = []
    if {OutputFormat.dicom_seg, OutputFormat.dicom_sr} & set(formats):
        segmentation = make_segmentation(result)
        paths.append(folder / "lesions.seg.dcm")
        write_object(segmentation, paths[-1])
        if OutputFormat.dicom_sr in formats:
            paths.append(folder / "lesions.sr.dcm")
            write_object(make_report(result, measurements, segmentation), paths[-1])
    if OutputFormat.rtstruct in formats:
        paths.append(folder / "lesions.rtstruct.dcm")
        write_object(make_rtstruct(result), paths[-1])
    return paths
