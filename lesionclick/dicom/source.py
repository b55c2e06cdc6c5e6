"""Source of a DICOM object: what the images that it was made from say of patient and study, and references to them."""

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.uid import PositronEmissionTomographyImageStorage
from pydicom.valuerep import DA, TM

from lesionclick.dicom.fields import MALFORMED, text_of
from lesionclick.dicom.reading import reason_of
from lesionclick.errors import CaseError

# Type 2 in the modules Patient and General Study: every object has them, if empty
_STUDY_FIELDS = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate"),
    *("StudyTime", "ReferringPhysicianName"),
)


@contextlib.contextmanager
def naming_source(source: Dataset) -> Iterator[None]:
    """Turns what highdicom and pydicom raise on a damaged header into a CaseError that names its file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # on names and lengths that are the scanner's affair
            yield
    except MALFORMED as error:
        raise CaseError(
            f"{source.filename}: its header cannot be taken over into a DICOM object: {reason_of(error)}"
        ) from error


def complete_study(item: Dataset) -> Dataset:
    """A copy with all fields of patient and study, empty where they are missing or against DICOM.

    The sex may be none that DICOM knows, and dates and times none at all, as de-identification leaves them.
    """
    with naming_source(item):
        source = _copy(item)
        for keyword in _STUDY_FIELDS:
            if source.get(keyword) is None or not _is_valid(keyword, source.get(keyword)):
                _replace(source, keyword, "")
    return source


def _is_valid(keyword: str, value: Any) -> bool:
    if keyword == "PatientSex":
        return value in ("F", "M", "O", "")
    kind = {"DA": DA, "TM": TM}.get(dictionary_VR(keyword))
    try:
        return kind is None or not value or kind(value) is not None
    except ValueError:
        return False


def _copy(item: Dataset) -> Dataset:
    """A copy whose fields may be replaced; `copy.copy` makes one that shares them."""
    fields = Dataset()
    fields.update(item)
    fields.filename = item.filename
    return fields


def _replace(item: Dataset, keyword: str, value: str) -> None:
    """Sets a field of a copy alone: an assignment would change the element that the original also has."""
    item.add_new(keyword, dictionary_VR(keyword), value)


def study_fields(source: Dataset) -> dict[str, Any]:
    """What highdicom wants to know of patient and study, from an image that `complete_study` gave."""
    return {
        "study_instance_uid": text_of(source, "StudyInstanceUID"),
        "patient_id": source.PatientID,
        "patient_name": source.PatientName,
        "patient_birth_date": source.PatientBirthDate,
        "patient_sex": source.PatientSex,
        "accession_number": source.AccessionNumber,
        "study_id": source.StudyID,
        "study_date": source.StudyDate,
        "study_time": source.StudyTime,
        "referring_physician_name": source.ReferringPhysicianName,
        "specific_character_set": source.get("SpecificCharacterSet"),
    }


def references_to(sources: Sequence[Dataset]) -> list[Dataset]:
    """A reference to each image, or to each frame where they are frames of a multi-frame object."""
    references = []
    for source in sources:
        reference = Dataset()
        with naming_source(source):
            reference.ReferencedSOPClassUID = source.SOPClassUID
            reference.ReferencedSOPInstanceUID = source.SOPInstanceUID
            if "ReferencedFrameNumber" in source:  # `split_frames` notes it
                reference.ReferencedFrameNumber = source.ReferencedFrameNumber
        references.append(reference)
    return references


def one_a_file(sources: Sequence[Dataset]) -> list[Dataset]:
    """The first of those images that are frames of the same object, and all others."""
    return list({source.SOPInstanceUID: source for source in reversed(sources)}.values())[::-1]


def single_frames(sources: Sequence[Dataset]) -> list[Dataset]:
    """Images for highdicom, which takes frames of a multi-frame object for none: each as an image of its own.

    `refer_to_frames` puts right what then refers to them.
    """
    if "ReferencedFrameNumber" not in sources[0]:
        return list(sources)
    images = []
    for index, source in enumerate(sources):
        image = _copy(source)
        _replace(image, "SOPClassUID", PositronEmissionTomographyImageStorage)
        _replace(image, "SOPInstanceUID", _stand_in(index))
        images.append(image)
    return images


def refer_to_frames(segmentation: Dataset, sources: Sequence[Dataset]) -> None:
    """Lets a segmentation that was made with `single_frames` refer to the frames and their object."""
    if "ReferencedFrameNumber" not in sources[0]:
        return
    references = {_stand_in(index): reference for index, reference in enumerate(references_to(sources))}
    for frame in segmentation.PerFrameFunctionalGroupsSequence:
        for derivation in frame.get("DerivationImageSequence", []):
            for image in derivation.SourceImageSequence:
                # frames of several segments share an item, which is then right already
                image.update(references.get(image.ReferencedSOPInstanceUID, {}))
    instances = references_to(one_a_file(sources))
    for instance in instances:
        del instance.ReferencedFrameNumber
    segmentation.ReferencedSeriesSequence[0].ReferencedInstanceSequence = instances


def _stand_in(index: int) -> str:
    return f"2.25.{index + 1}"
