"""Source of a DICOM object: what the images that it was made from say of patient and study, and references to them."""

import contextlib
import copy
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from pydicom.dataset import Dataset

from lesionclick.dicom.fields import MALFORMED, text_of
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
        raise CaseError(f"{source.filename}: its header cannot be taken over into a DICOM object: {error}") from error


def complete_study(item: Dataset) -> Dataset:
    """A copy with all fields of patient and study, empty where they are missing, and with a sex that DICOM knows."""
    source = copy.copy(item)
    for keyword in _STUDY_FIELDS:
        if source.get(keyword) is None:
            setattr(source, keyword, "")
    if source.PatientSex not in ("F", "M", "O", ""):
        source.PatientSex = ""
    return source


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
        reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = source.SOPClassUID, source.SOPInstanceUID
        if "ReferencedFrameNumber" in source:  # `split_frames` notes it
            reference.ReferencedFrameNumber = source.ReferencedFrameNumber
        references.append(reference)
    return references


def one_a_file(sources: Sequence[Dataset]) -> list[Dataset]:
    """The first of those images that are frames of the same object, and all others."""
    return list({source.SOPInstanceUID: source for source in reversed(sources)}.values())[::-1]
