"""Reading of a large DICOM study, made up for it: seconds and peak memory, as a Markdown table.

python -m benchmarks.dicom_study [--ct-slices 600] [--pet-slices 400]
"""

import argparse
import copy
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, PositronEmissionTomographyImageStorage, generate_uid

CT_PIXELS, CT_SPACING = 512, 0.976562
PET_PIXELS, PET_SPACING = 440, 1.65
LENGTH = 1200.0
"""mm that both series are long."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes a study of two series into a temporary folder and reads it: series, SUV, Hounsfield units."""
    parser = argparse.ArgumentParser(prog="benchmarks.dicom_study", description="Reading of a large DICOM study.")
    parser.add_argument("--ct-slices", type=int, default=600, help="files of the CT, 512 x 512; default: 600")
    parser.add_argument("--pet-slices", type=int, default=400, help="files of the PET, 440 x 440; default: 400")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_series(folder / "CT", "CT", options.ct_slices, CT_PIXELS, CT_SPACING)
        _write_series(folder / "PT", "PT", options.pet_slices, PET_PIXELS, PET_SPACING)
        # what reads is imported after the writing: its peak of memory is what counts
        from lesionclick.dicom.series import choose_series, find_series
        from lesionclick.dicom.suv import read_suv
        from lesionclick.dicom.volume import read_ct

        started = time.perf_counter()
        found = find_series(folder)
        headers = time.perf_counter()
        pet = read_suv(choose_series(folder, found, "PT"))
        suv = time.perf_counter()
        ct = read_ct(choose_series(folder, found, "CT", frame_of_reference=pet.frame_of_reference))
        finished = time.perf_counter()
        sizes = [" x ".join(map(str, volume.image.GetSize())) for volume in (ct, pet)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print("| CT | PET | headers, s | PET, s | CT, s | together, s | peak memory, GiB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    print(
        f"| {sizes[0]} | {sizes[1]} | {headers - started:.1f} | {suv - headers:.1f} | {finished - suv:.1f} "
        f"| {finished - started:.1f} | {peak:.2f} |"
    )


def _write_series(folder: Path, modality: str, slices: int, pixels: int, spacing: float) -> None:
    """A series of noise; both series share a frame of reference."""
    folder.mkdir()
    random = np.random.default_rng(1)
    start = _header(modality, pixels, spacing)
    for index in range(slices):
        item = copy.deepcopy(start)
        item.SOPInstanceUID = item.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        item.ImagePositionPatient = [0, 0, index * LENGTH / slices]
        item.InstanceNumber = index + 1
        item.RescaleSlope, item.RescaleIntercept = (1, -1024) if modality == "CT" else (0.5 + index / 1000, 0)
        item.PixelData = random.integers(0, 3000, (pixels, pixels), dtype=np.int16).tobytes()
        item.save_as(folder / f"{index:04d}.dcm", enforce_file_format=True)


def _header(modality: str, pixels: int, spacing: float) -> Dataset:
    item = Dataset()
    item.file_meta = FileMetaDataset()
    item.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    item.SOPClassUID = CTImageStorage if modality == "CT" else PositronEmissionTomographyImageStorage
    item.file_meta.MediaStorageSOPClassUID = item.SOPClassUID
    item.StudyInstanceUID, item.SeriesInstanceUID, item.FrameOfReferenceUID = "1.2.3", generate_uid(), "1.2.3.4"
    item.Modality, item.SeriesNumber, item.SeriesDescription = modality, 1, modality
    item.ImageOrientationPatient, item.PixelSpacing = [1, 0, 0, 0, 1, 0], [spacing, spacing]
    item.Rows = item.Columns = pixels
    item.SamplesPerPixel, item.PhotometricInterpretation = 1, "MONOCHROME2"
    item.BitsAllocated, item.BitsStored, item.HighBit, item.PixelRepresentation = 16, 16, 15, 1
    item.Units, item.CorrectedImage, item.DecayCorrection = "BQML", ["ATTN", "DECY"], "START"
    item.SeriesDate = item.AcquisitionDate = "20200301"
    item.SeriesTime = item.AcquisitionTime = "103000"
    item.PatientWeight = 72.5
    radiopharmaceutical = Dataset()
    radiopharmaceutical.RadionuclideTotalDose, radiopharmaceutical.RadionuclideHalfLife = 3.7e8, 6586.2
    radiopharmaceutical.RadiopharmaceuticalStartTime = "093000"
    item.RadiopharmaceuticalInformationSequence = [radiopharmaceutical]
    return item


if __name__ == "__main__":
    main()
