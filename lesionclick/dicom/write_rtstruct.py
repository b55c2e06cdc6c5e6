"""RTSTRUCT out: lesions as contours on the PET's slices.

By pydicom and scikit-image: the one library that makes RTSTRUCTs from masks, rt-utils, has had no release since January
2023, draws through the centers of a lesion's outermost voxels, so that a lesion of one voxel becomes a single point,
and cuts slits two voxels wide to open holes.
"""

from collections.abc import Iterator

import highdicom
import numpy as np
from highdicom.sr.coding import CodedConcept
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian, RTStructureSetStorage
from pydicom.valuerep import DA, TM
from scipy import ndimage
from skimage.measure import find_contours

import lesionclick
from lesionclick.dicom.fields import text_of
from lesionclick.dicom.result import CATEGORY, LESION, SOFTWARE, LesionResult, set_moment
from lesionclick.dicom.source import naming_source, references_to, study_fields

DETACHED_STUDY_MANAGEMENT = "1.2.840.10008.3.1.2.3.1"
"""The retired class that PS3.3 C.8.8.5 still names for RTReferencedStudySequence."""

COLOR = [255, 64, 64]


def make_rtstruct(result: LesionResult) -> Dataset:
    """The lesions as an RTSTRUCT with a region each, to be written with `result.write_object`.

    A contour runs halfway between the centers of voxels inside and outside, so that filling it, with either rule, takes
    exactly the lesion's voxels. A hole is cut in by a channel of no width (keyhole). Where there is no lesion, a region
    "No lesions" has no contour, since an RTSTRUCT needs one.

    Raises:
        CaseError: the PET's header lacks what the object has to say.
    """
    with naming_source(result.sources[0]):
        structures: Dataset = highdicom.SOPClass(
            sop_class_uid=RTStructureSetStorage,
            modality="RTSTRUCT",
            # a field of explicit VR holds at most 64 KiB of contour, 2000 points or so
            transfer_syntax_uid=ImplicitVRLittleEndian,
            **result.series_fields("RTSTRUCT"),
            **study_fields(result.sources[0]),
        )
        structures.copy_patient_and_study_information(result.sources[0])
    structures.FrameOfReferenceUID, structures.PositionReferenceIndicator = result.pet.frame_of_reference, ""
    structures.OperatorsName = ""
    structures.StructureSetLabel = "LESIONS"
    structures.StructureSetName = result.title
    structures.StructureSetDescription = _describe(result)
    structures.StructureSetDate = DA(result.created.date())
    structures.StructureSetTime = TM(result.created.time())
    structures.ApprovalStatus = "UNAPPROVED"
    references = references_to(result.sources)
    structures.ReferencedFrameOfReferenceSequence = [_refer_to_series(result, references)]
    labels = result.labels or ["No lesions"]
    structures.StructureSetROISequence = [
        _make_region(result, number, label) for number, label in enumerate(labels, start=1)
    ]
    structures.ROIContourSequence = [_make_contours(result, number, references) for number in range(1, len(labels) + 1)]
    structures.RTROIObservationsSequence = [_observe(result, number) for number in range(1, len(labels) + 1)]
    set_moment(structures, result)
    return structures


def keyhole_contours(mask_yx: np.ndarray) -> Iterator[np.ndarray]:
    """Closed contours of a slice's mask, each around one part whose voxels touch along edges.

    Args:
        mask_yx: not 0 inside.

    Yields:
        Points of shape (points, 2), y and x in voxels, in order, the last joined to the first. Holes are part of the
        contour around them, and run the other way.
    """
    parts, count = ndimage.label(mask_yx)
    for number in range(1, count + 1):
        part = np.pad(parts == number, 1)
        loops = [loop[:-1] for loop in find_contours(part, 0.5, fully_connected="low")]
        outline, *holes = sorted(loops, key=lambda loop: loop[:, 0].min())
        for hole in holes:
            outline = _cut_in(outline, hole, part)
        yield outline - 1


def _cut_in(outline: np.ndarray, hole: np.ndarray, part: np.ndarray) -> np.ndarray:
    """An outline that has a hole cut in, straight up from the hole's top to the loop above.

    Holes are cut in from above, so that this loop is the outline or one that has become a part of it.
    """
    top = int(hole[:, 0].argmin())
    y, x = hole[top]  # halfway between two rows, in the middle of a column
    above = np.flatnonzero(~part[: int(y) + 1, int(x)])[-1] + 0.5
    leave = int(np.flatnonzero((outline == (above, x)).all(axis=1))[0])
    around = np.roll(hole, -top, axis=0)
    return np.concatenate([outline[: leave + 1], around, around[:1], outline[leave:]])


def _describe(result: LesionResult) -> str:
    """Software, model and what the model says of itself; at most 1024 characters."""
    parameters = ", ".join(f"{key}={value}" for key, value in result.algorithm_parameters.items())
    return f"{SOFTWARE} {lesionclick.__version__}, {parameters}"[:1024]


def _refer_to_series(result: LesionResult, references: list[Dataset]) -> Dataset:
    """The item of ReferencedFrameOfReferenceSequence."""
    series = Dataset()
    series.SeriesInstanceUID = result.pet.uid
    series.ContourImageSequence = references
    study = Dataset()
    study.ReferencedSOPClassUID = DETACHED_STUDY_MANAGEMENT
    study.ReferencedSOPInstanceUID = text_of(result.sources[0], "StudyInstanceUID")
    study.RTReferencedSeriesSequence = [series]
    frame = Dataset()
    frame.FrameOfReferenceUID = result.pet.frame_of_reference
    frame.RTReferencedStudySequence = [study]
    return frame


def _make_region(result: LesionResult, number: int, label: str) -> Dataset:
    """The item of StructureSetROISequence."""
    region = Dataset()
    region.ROINumber = number
    region.ReferencedFrameOfReferenceUID = result.pet.frame_of_reference
    region.ROIName = label
    region.ROIDescription = _describe(result)
    region.ROIGenerationAlgorithm = result.algorithm_type
    region.ROIDerivationAlgorithmIdentificationSequence = result.algorithm
    return region


def _make_contours(result: LesionResult, number: int, references: list[Dataset]) -> Dataset:
    """The item of ROIContourSequence; without contours where there is no lesion of the number."""
    item = Dataset()
    item.ROIDisplayColor = COLOR
    item.ReferencedROINumber = number
    if number > result.count:
        return item
    planes, rows, columns = result.boxes[number - 1]
    contours: list[Dataset] = []
    for plane in range(planes.start, planes.stop):
        for points_yx in keyhole_contours(result.lesions_zyx[plane, rows, columns] == number):
            contour = Dataset()
            contour.ContourImageSequence = [references[plane]]
            contour.ContourGeometricType = "CLOSED_PLANAR"
            contour.NumberOfContourPoints = len(points_yx)
            contour.ContourData = _to_world(result, plane, points_yx + np.array([rows.start, columns.start]))
            contour.ContourNumber = len(contours) + 1
            contours.append(contour)
    item.ContourSequence = contours
    return item


def _to_world(result: LesionResult, plane: int, points_yx: np.ndarray) -> list[str]:
    """x, y, z in mm of points in a slice, one after the other, to 0.1 micrometer (a DS has 16 characters)."""
    image = result.pet.image
    to_mm = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    indices_xyz = np.column_stack([points_yx[:, ::-1], np.full(len(points_yx), plane)])
    points = indices_xyz @ to_mm.T + image.GetOrigin()
    return [f"{value:.4f}" for value in np.ravel(points + 0.0)]


def _observe(result: LesionResult, number: int) -> Dataset:
    """The item of RTROIObservationsSequence, coded as the segments are."""
    item = Dataset()
    item.ObservationNumber = number
    item.ReferencedROINumber = number
    item.RTROIInterpretedType = ""
    item.ROIInterpreter = ""
    if number <= result.count:
        item.RTROIIdentificationCodeSequence = [LESION]
        item.SegmentedPropertyCategoryCodeSequence = [CATEGORY]
        if organ := result.organ_code(number):
            item.AnatomicRegionSequence = [CodedConcept.from_code(organ)]
    return item
