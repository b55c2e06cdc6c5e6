"""Result that DICOM objects are made of: numbered lesions on a PET series, the model that found them, and identifiers.

Every identifier is made of what it names: the same result, created at the same moment, gives the same objects byte for
byte. The moment is part of it since an object that differs in its dates has to differ in its SOPInstanceUID, too; a
lesion's tracking identifier is made of the PET series and the lesion's voxels alone, and so outlives a new run.
"""

import datetime
import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
from highdicom.sr.coding import CodedConcept
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import UID
from pydicom.valuerep import DA, TM
from scipy import ndimage

import lesionclick
from lesionclick.dicom.source import complete_study
from lesionclick.dicom.volume import SeriesVolume
from lesionclick.errors import CaseError
from lesionclick.files import replacing

SOFTWARE = "LesionClick"

MAX_LESIONS = 65535
"""Segments that a DICOM SEG can number (SegmentNumber is US)."""

CATEGORY = CodedConcept("49755003", "SCT", "Morphologically Abnormal Structure")
LESION = CodedConcept("108369006", "SCT", "Neoplasm")

ORGAN_CODES = {
    "spleen": codes.SCT.Spleen,
    "kidneys": codes.SCT.Kidney,
    "liver": codes.SCT.Liver,
    "urinary bladder": codes.SCT.Bladder,
    "lungs": codes.SCT.Lung,
    "brain": codes.SCT.Brain,
    "heart": codes.SCT.Heart,
    "stomach": codes.SCT.Stomach,
    "prostate": codes.SCT.Prostate,
    "glands": codes.SCT.SalivaryGland,
}
"""SNOMED CT codes of the organs in `lesionclick.case.organs`; its glands are the parotid and submandibular ones."""

_SERIES_NUMBERS = {"SEG": 9001, "RTSTRUCT": 9002, "SR": 9003}  # far behind those of a scanner


@dataclass(frozen=True)
class ModelIdentity:
    """Which model found the lesions.

    Attributes:
        name: of its folder or, better, of the model.
        fingerprint: a sha256 sum of all that decides what it predicts, 64 hexadecimal digits.
        description: in the words of its dataset.json; may be empty.
    """

    name: str
    fingerprint: str
    description: str = ""

    @property
    def warning(self) -> str:
        """What every object says of a model that is not made for patients, for titles; empty for other models."""
        text = self.description.lower()
        return "not for patients" if "phantom" in text or "not for patients" in text else ""


@dataclass(frozen=True, eq=False)
class LesionResult:
    """What was found in a PET series.

    Attributes:
        pet: the series; every object refers to its images.
        lesions_zyx: whole numbers on the PET's grid: 0 outside, n in lesion n, 1 to the number of lesions without a
            gap, as `label_lesions` gives them.
        model: that found them.
        created: when, on the site's clock.
        uses_clicks: whether a person's clicks took part.
        organs: the organ that a lesion is in, by the lesion's number; lesions may be left out.
    """

    pet: SeriesVolume
    lesions_zyx: np.ndarray
    model: ModelIdentity
    created: datetime.datetime
    uses_clicks: bool = False
    organs: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Checks that the lesions lie on the PET's grid.

        Raises:
            CaseError: there are more lesions than an object can number.
        """
        if self.lesions_zyx.shape != self.pet.image.GetSize()[::-1]:
            raise ValueError(f"lesions of shape {self.lesions_zyx.shape} for a PET of size {self.pet.image.GetSize()}")
        if self.count > MAX_LESIONS:
            raise CaseError(f"the mask has {self.count} lesions, expected at most {MAX_LESIONS} for a DICOM object")

    @cached_property
    def count(self) -> int:
        """Number of lesions."""
        return int(self.lesions_zyx.max(initial=0))

    @cached_property
    def boxes(self) -> list[tuple[slice, ...]]:
        """For each lesion the slices of z, y and x that hold it.

        Raises:
            ValueError: a number up to the largest names no voxel.
        """
        boxes = ndimage.find_objects(self.lesions_zyx)
        if None in boxes:
            raise ValueError(f"lesion {boxes.index(None) + 1} has no voxel")
        return [box for box in boxes if box is not None]

    @cached_property
    def sources(self) -> list[Dataset]:
        """The PET's datasets in the image's order, with all fields of patient and study."""
        return [complete_study(item) for item in self.pet.slices]

    @cached_property
    def labels(self) -> list[str]:
        """What each lesion is called: "Lesion 3 (liver)"."""
        return [
            f"Lesion {number} ({self.organs[number]})" if number in self.organs else f"Lesion {number}"
            for number in range(1, self.count + 1)
        ]

    def tracking_uid(self, number: int) -> UID:
        """The identifier of a lesion, the same in all objects; 0 stands for all lesions together."""
        if number == 0:
            return _uid_of("lesions", self.pet.uid, self._digest)
        box = self.boxes[number - 1]
        voxels = np.packbits(self.lesions_zyx[box] == number).tobytes()
        return _uid_of("lesion", self.pet.uid, *((part.start, part.stop) for part in box), voxels)

    def tracking_id(self, number: int) -> str:
        """What `tracking_uid` names, in words."""
        return f"Lesion {number}" if number else "All lesions"

    def organ_code(self, number: int) -> CodedConcept | None:
        """The code of the organ that a lesion is in; None where it is in none or in one without a code."""
        return ORGAN_CODES.get(self.organs.get(number, ""))

    def object_uid(self, kind: str, *options: object) -> UID:
        """The SOPInstanceUID of an object.

        Args:
            kind: its modality.
            options: all else that decides its content.
        """
        return self._uid("instance", kind, *options)

    @property
    def software_uid(self) -> UID:
        """Names this version of the software with its model."""
        return _uid_of("software", lesionclick.__version__, self.model.fingerprint)

    def series_fields(self, kind: str, *options: object) -> dict[str, Any]:
        """What highdicom wants to know of every object: its series, number, description and the device that made it."""
        return {
            "series_instance_uid": self._uid("series", kind, *options),
            "series_number": _SERIES_NUMBERS[kind],
            "sop_instance_uid": self.object_uid(kind, *options),
            "instance_number": 1,
            "series_description": self.title,
            "manufacturer": SOFTWARE,
            "manufacturer_model_name": SOFTWARE,
            "software_versions": lesionclick.__version__,
            "device_serial_number": self.model.fingerprint,
        }

    @property
    def title(self) -> str:
        """A few words on what the object is, with the model's warning."""
        return f"{SOFTWARE} lesions" + (f" ({self.model.warning})" if self.model.warning else "")

    @property
    def algorithm_parameters(self) -> dict[str, str]:
        """What tells the model from others, and what it says of itself."""
        parameters = {"model": self.model.name, "model_sha256": self.model.fingerprint}
        if self.model.description:
            parameters["model_description"] = self.model.description
        return parameters

    @property
    def algorithm_type(self) -> str:
        """How the lesions were found, in the words of DICOM."""
        return "SEMIAUTOMATIC" if self.uses_clicks else "AUTOMATIC"

    @property
    def algorithm(self) -> highdicom.AlgorithmIdentificationSequence:
        """Software, version and model."""
        return highdicom.AlgorithmIdentificationSequence(
            name=SOFTWARE,
            family=codes.DCM.ArtificialIntelligence,
            version=lesionclick.__version__,
            source=SOFTWARE,
            parameters=self.algorithm_parameters,
        )

    def _uid(self, *parts: object) -> UID:
        identity = (self.pet.uid, self._digest, lesionclick.__version__, self.model, self.created, self.uses_clicks)
        return _uid_of(*parts, *identity, sorted(self.organs.items()))

    @cached_property
    def _digest(self) -> str:
        numbers = np.ascontiguousarray(self.lesions_zyx.astype(np.uint16))
        return hashlib.sha256(numbers.data).hexdigest()


def set_moment(item: Dataset, result: LesionResult) -> None:
    """Dates an object: highdicom takes the clock's time for some fields."""
    date, time = DA(result.created.date()), TM(result.created.time())
    item.InstanceCreationDate, item.InstanceCreationTime = date, time
    item.SeriesDate, item.SeriesTime = date, time
    if "ContentDate" in item:
        item.ContentDate, item.ContentTime = date, time
    for equipment in item.get("ContributingEquipmentSequence", []):
        if "ContributionDateTime" in equipment:
            del equipment.ContributionDateTime


def write_object(item: Dataset, path: Path) -> None:
    """Writes a DICOM object; a reader of `path` sees all of it or nothing.

    Raises:
        CaseError: the file cannot be written.
    """
    with replacing(path) as temporary:
        item.save_as(temporary, enforce_file_format=True)


def _uid_of(*parts: object) -> UID:
    """A UID made of a UUID (PS3.5, B.2), which is made of what the UID names."""
    return UID(f"2.25.{uuid.UUID(bytes=hashlib.sha256(repr(parts).encode()).digest()[:16], version=5).int}")
