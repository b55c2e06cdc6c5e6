"""Study made up for tests: a small CT and PET, written slice by slice as DICOM, and segmentations of it."""

from pathlib import Path
from typing import Any

import highdicom
import numpy as np
from highdicom.sr.coding import CodedConcept
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    ExplicitVRLittleEndian,
    PositronEmissionTomographyImageStorage,
    generate_uid,
)

# shapes are z, y, x; spacings and origins x, y, z in mm; no center of a PET voxel lies halfway between two CT voxels
PET_SHAPE, PET_SPACING, PET_ORIGIN = (5, 6, 8), (4.0, 3.0, 5.0), (-14.0, -9.0, 100.0)
CT_SHAPE, CT_SPACING, CT_ORIGIN = (12, 14, 18), (2.0, 1.5, 2.5), (-16.0, -9.0, 97.5)

HALF_LIFE = 6586.2
"""Of fluorine-18, s."""

DOSE = 3.7e8
"""Bq, injected an hour before the scan."""

WEIGHT = 72.5
"""kg."""


class SyntheticStudy:
    """The slices of a CT and a PET before they are written, for tests to change and to break.

    Attributes:
        pet: datasets, in order of z.
        pet_stored: the PET's pixels as they are stored, int16 of shape PET_SHAPE.
        slopes: of the PET's slices, one each, to Bq/ml.
        intercepts: likewise.
        ct: datasets, in order of z.
        hu: the CT in Hounsfield units: 3 more for each voxel of x, 50 more for each slice; one voxel is padding, below
            air, in the file alone.
    """

    def __init__(self) -> None:
        random = np.random.default_rng(2)
        self.frame_of_reference = generate_uid()
        self.study_uid = generate_uid()
        self.pet_stored = random.integers(0, 30000, PET_SHAPE).astype(np.int16)
        self.slopes = [0.5 + 0.25 * index for index in range(PET_SHAPE[0])]
        self.intercepts = [0.0, 0.0, 12.0, 0.0, -3.0]
        self.pet = self.make_series(
            "PT",
            PositronEmissionTomographyImageStorage,
            self.pet_stored,
            PET_SPACING,
            PET_ORIGIN,
            self.slopes,
            self.intercepts,
        )
        for index, item in enumerate(self.pet):
            item.Units, item.CorrectedImage, item.DecayCorrection = "BQML", ["NORM", "DECY", "ATTN", "SCAT"], "START"
            item.SeriesDate, item.SeriesTime = "20200301", "103000.5"
            item.AcquisitionDate, item.AcquisitionTime = "20200301", f"10{31 + index}00"
            item.PatientWeight = WEIGHT
            radiopharmaceutical = Dataset()
            radiopharmaceutical.RadionuclideTotalDose = DOSE
            radiopharmaceutical.RadionuclideHalfLife = HALF_LIFE
            radiopharmaceutical.RadiopharmaceuticalStartTime = "093000.5"
            item.RadiopharmaceuticalInformationSequence = [radiopharmaceutical]
        z, _, x = np.indices(CT_SHAPE)
        self.hu = 3.0 * x + 50.0 * z - 500
        stored = (self.hu + 1024).astype(np.int16)
        stored[1, 0, 1] = -2000  # just where the PET's first voxel is
        self.ct = self.make_series(
            "CT", CTImageStorage, stored, CT_SPACING, CT_ORIGIN, [1.0] * CT_SHAPE[0], [-1024.0] * CT_SHAPE[0]
        )

    def make_series(
        self,
        modality: str,
        sop_class: UID,
        stored: np.ndarray,
        spacing: tuple[float, ...],
        origin: tuple[float, ...],
        slopes: list[float],
        intercepts: list[float],
    ) -> list[Dataset]:
        """Axial slices of an int16 array of shape (z, y, x), in order of z; spacing and origin are x, y, z in mm."""
        uid = generate_uid()
        slices = []
        for index, pixels in enumerate(stored):
            item = Dataset()
            item.file_meta = FileMetaDataset()
            item.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            item.SOPClassUID, item.SOPInstanceUID = sop_class, generate_uid()
            item.file_meta.MediaStorageSOPClassUID = item.SOPClassUID
            item.file_meta.MediaStorageSOPInstanceUID = item.SOPInstanceUID
            item.StudyInstanceUID, item.SeriesInstanceUID = self.study_uid, uid
            item.FrameOfReferenceUID = self.frame_of_reference
            item.Modality, item.SeriesDescription = modality, f"{modality} WB"
            item.PatientID, item.PatientName, item.PatientBirthDate, item.PatientSex = "1", "A^B", "", "O"
            item.StudyDate, item.StudyTime, item.AccessionNumber, item.StudyID = "20200301", "100000", "", ""
            item.ReferringPhysicianName, item.SeriesNumber, item.InstanceNumber = "", 1, index + 1
            item.PositionReferenceIndicator, item.Manufacturer = "", "test"
            item.ImagePositionPatient = [origin[0], origin[1], origin[2] + index * spacing[2]]
            item.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
            item.PixelSpacing, item.SliceThickness = [spacing[1], spacing[0]], spacing[2]
            item.Rows, item.Columns = pixels.shape
            item.SamplesPerPixel, item.PhotometricInterpretation = 1, "MONOCHROME2"
            item.BitsAllocated, item.BitsStored, item.HighBit, item.PixelRepresentation = 16, 16, 15, 1
            item.RescaleSlope, item.RescaleIntercept = slopes[index], intercepts[index]
            item.PixelData = np.ascontiguousarray(pixels).tobytes()
            slices.append(item)
        return slices

    def write(self, folder: Path) -> Path:
        """Writes both series, a folder each, with file names in no order, and a file that is not DICOM."""
        folder.mkdir(parents=True)
        order = np.random.default_rng(3).permutation(len(self.ct) + len(self.pet))
        for number, item in zip(order, [*self.ct, *self.pet], strict=True):
            path = folder / item.Modality / f"{number:03d}"
            path.parent.mkdir(exist_ok=True)
            item.save_as(path, enforce_file_format=True)
        (folder / "LICENSE").write_text("not DICOM, and long enough to be taken for a preamble" * 10)
        return folder

    def write_segmentation(self, path: Path, segments: dict[str, np.ndarray], source: list[Dataset]) -> None:
        """Writes masks by label as a DICOM SEG on the grid of a series; frames without voxels are left out."""
        code = CodedConcept("108369006", "SCT", "Neoplasm")
        descriptions = [
            highdicom.seg.SegmentDescription(
                segment_number=number,
                segment_label=label,
                segmented_property_category=CodedConcept("49755003", "SCT", "Morphologically Abnormal Structure"),
                segmented_property_type=code,
                algorithm_type="MANUAL",
            )
            for number, label in enumerate(segments, start=1)
        ]
        segmentation = highdicom.seg.Segmentation(
            source_images=source,
            pixel_array=np.stack(list(segments.values()), axis=-1).astype(np.uint8),
            segmentation_type="BINARY",
            segment_descriptions=descriptions,
            series_instance_uid=generate_uid(),
            series_number=9,
            sop_instance_uid=generate_uid(),
            instance_number=1,
            manufacturer="test",
            manufacturer_model_name="test",
            software_versions="1",
            device_serial_number="1",
            omit_empty_frames=True,
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        segmentation.save_as(path)


def pet_headers(count: int = 3, **fields: Any) -> list[Dataset]:
    """Headers of a PET's slices as far as SUV needs them; fields of the radiopharmaceutical go where they belong.

    A list of `count` values gives each slice its own; None leaves a field out.
    """
    start = {
        "Modality": "PT",
        "Units": "BQML",
        "CorrectedImage": ("NORM", "DECY", "ATTN", "SCAT"),
        "DecayCorrection": "START",
        "PatientWeight": WEIGHT,
        "SeriesDate": "20200301",
        "SeriesTime": "103000",
        "AcquisitionDate": "20200301",
        "AcquisitionTime": [f"{103000 + 200 * index}" for index in range(count)],
        "RadionuclideTotalDose": DOSE,
        "RadionuclideHalfLife": HALF_LIFE,
        "RadiopharmaceuticalStartTime": "093000",
    }
    slices = []
    for index in range(count):
        item, radiopharmaceutical = Dataset(), Dataset()
        item.filename = f"slice{index}.dcm"
        item.RadiopharmaceuticalInformationSequence = [radiopharmaceutical]
        for keyword, value in {**start, **fields}.items():
            own = value[index] if isinstance(value, list) else value
            own = list(own) if isinstance(own, tuple) else own
            injected = keyword.startswith("Radio")
            if keyword.startswith("Philips"):
                block = item.private_block(0x7053, "Philips PET Private Group", create=True)
                if own is not None:
                    block.add_new({"PhilipsSUV": 0x00, "PhilipsActivity": 0x09}[keyword], "DS", own)
            elif keyword == "GEScanTime":
                item.private_block(0x0009, "GEMS_PETD_01", create=True).add_new(0x0D, "DT", own)
            elif own is not None:
                setattr(radiopharmaceutical if injected else item, keyword, own)
        slices.append(item)
    return slices
