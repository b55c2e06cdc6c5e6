"""DICOM SEG out: lesions as segments that refer to the PET series."""

import highdicom
import numpy as np

from lesionclick.dicom.result import CATEGORY, LESION, LesionResult, set_moment
from lesionclick.dicom.source import naming_source, refer_to_frames, single_frames


def make_segmentation(result: LesionResult, united: bool = False) -> highdicom.seg.Segmentation:
    """The lesions as a DICOM SEG (binary) on the PET's grid, to be written with `result.write_object`.

    Args:
        result: lesions and PET; a SEG of no lesion has one segment without voxels.
        united: one segment for all lesions; else segment n is lesion n.

    Raises:
        CaseError: the PET's header lacks what the object has to say.
    """
    united = united or not result.count
    numbers = [0] if united else list(range(1, result.count + 1))
    with naming_source(result.sources[0]):
        segmentation = highdicom.seg.Segmentation(
            source_images=single_frames(result.sources),
            pixel_array=(result.lesions_zyx > 0).astype(np.uint8) if united else result.lesions_zyx.astype(np.uint16),
            segmentation_type="BINARY",
            segment_descriptions=[_describe(result, number) for number in numbers],
            content_label="LESIONS",
            content_description=result.title,
            omit_empty_frames=result.count > 0,
            content_date=result.created.date(),
            content_time=result.created.time(),
            **result.series_fields("SEG", united),
        )
        refer_to_frames(segmentation, result.sources)
    set_moment(segmentation, result)
    organization = result.object_uid("SEG", united, "dimensions")  # highdicom draws one at random
    segmentation.DimensionOrganizationSequence[0].DimensionOrganizationUID = organization
    for index in segmentation.DimensionIndexSequence:
        index.DimensionOrganizationUID = organization
    return segmentation


def _describe(result: LesionResult, number: int) -> highdicom.seg.SegmentDescription:
    """The segment of a lesion, or of all where the number is 0."""
    label = result.labels[number - 1] if number else "Lesions"
    organ = result.organ_code(number)
    description = highdicom.seg.SegmentDescription(
        segment_number=max(number, 1),
        segment_label=label,
        segmented_property_category=CATEGORY,
        segmented_property_type=LESION,
        algorithm_type=result.algorithm_type,
        algorithm_identification=result.algorithm,
        tracking_uid=result.tracking_uid(number),
        tracking_id=result.tracking_id(number),
        anatomic_regions=[organ] if organ else None,
    )
    if result.model.description:
        description.SegmentDescription = f"Model: {result.model.description}"[:1024]
    return description
