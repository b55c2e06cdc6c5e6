"""What tests of DICOM objects share: a result to write, and readers of others to read it back."""

import datetime
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from helpers_dicom import SyntheticStudy
from pydicom.uid import generate_uid
from skimage.draw import polygon2mask

from lesionclick.case.lesions import label_lesions
from lesionclick.dicom.result import LesionResult, ModelIdentity
from lesionclick.dicom.series import choose_series, find_series
from lesionclick.dicom.volume import SeriesVolume, read_volume

REAL_STUDIES = sorted(path.parent for path in Path(os.environ.get("LESIONCLICK_DICOM_STUDIES", "")).glob("*/PET"))

needs_dciodvfy = pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")

MODEL = ModelIdentity("some model", "0123456789abcdef" * 4)
PHANTOM_MODEL = ModelIdentity("bundled", "fedcba9876543210" * 4, "trained on synthetic phantoms, not for patients")

CREATED = datetime.datetime(2024, 5, 6, 7, 8, 9)


def make_mask(shape: tuple[int, ...]) -> np.ndarray:
    """Three lesions in (5, 6, 8) voxels or more: one with a hole, one of a single voxel, one at the image's rim."""
    mask = np.zeros(shape, dtype=np.uint8)
    mask[1:3, 1:4, 1:5] = 1
    mask[1, 2, 2] = 0
    mask[1, 4, 5] = 1  # touches the former by a corner
    mask[4, 0, 7] = 1
    mask[-1, -1, :3] = 1
    return mask


def read_pet(study: Path) -> SeriesVolume:
    """The PET of a study's folder."""
    return read_volume(choose_series(study, find_series(study), "PT"))


def write_as_one_object(study: SyntheticStudy, path: Path) -> Path:
    """Writes a study's PET as one multi-frame object, its frames against the order of slices."""
    for item in study.pet:
        item.ImageType = ["ORIGINAL", "PRIMARY"]
    uids = generate_uid(), generate_uid()
    enhanced = highdicom.legacy.LegacyConvertedEnhancedPETImage(study.pet[::-1], uids[0], 5, uids[1], 1)
    path.parent.mkdir(parents=True)
    enhanced.save_as(path, enforce_file_format=True)
    return path


def make_result(
    pet: SeriesVolume,
    mask: np.ndarray | None = None,
    model: ModelIdentity = MODEL,
    created: datetime.datetime = CREATED,
    uses_clicks: bool = True,
    organs: dict[int, str] | None = None,
) -> LesionResult:
    """The lesions of `make_mask`, or of a mask, on a PET."""
    numbers, _ = label_lesions(make_mask(pet.image.GetSize()[::-1]) if mask is None else mask)
    return LesionResult(pet, numbers, model, created, uses_clicks, organs or {})


def validation_errors(path: Path) -> set[str]:
    """What dciodvfy calls an error in a DICOM file."""
    found = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True, check=False)
    return {line for line in found.stderr.splitlines() if line.startswith("Error")}


def dcmqi(program: str) -> str:
    """The path of a program of dcmqi; the test is skipped where it is not installed."""
    found = shutil.which(program, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if found is None:
        pytest.skip("dcmqi is not installed")
    return found


def read_with_dcmqi(path: Path, folder: Path, pet: SeriesVolume) -> np.ndarray:
    """The numbers of a SEG's segments as dcmqi reads them, on the PET's grid."""
    folder.mkdir()
    program = dcmqi("segimage2itkimage")
    command: list[str | Path] = [program, "--inputDICOM", path, "--outputDirectory", folder, "-t", "nrrd"]
    subprocess.run(command, capture_output=True, check=True)
    union = np.zeros(pet.image.GetSize()[::-1], dtype=np.int64)
    files = sorted(folder.glob("*.nrrd"))
    assert files
    for file in files:
        image = sitk.ReadImage(str(file))
        same = sitk.Resample(image, pet.image, sitk.Transform(), sitk.sitkNearestNeighbor, 0.0, sitk.sitkInt16)
        part = sitk.GetArrayViewFromImage(same)
        assert part.astype(bool).sum() == sitk.GetArrayViewFromImage(image).astype(bool).sum()  # all on the grid
        union = np.where(part > 0, int(file.stem), union)
    return union


def fill_even_odd(points_yx: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The voxels whose centers a polygon holds by the even-odd rule."""
    return np.asarray(polygon2mask(shape, points_yx))


def read_regions(path: Path, pet: SeriesVolume) -> np.ndarray:
    """ROI numbers of an RTSTRUCT's filled contours on the PET's grid, each in the slice of the image it refers to."""
    slices = {(item.SOPInstanceUID, item.get("ReferencedFrameNumber")): index for index, item in enumerate(pet.slices)}
    filled = np.zeros(pet.image.GetSize()[::-1], dtype=np.int64)
    for region in pydicom.dcmread(path).ROIContourSequence:
        for contour in region.get("ContourSequence", []):
            assert contour.ContourGeometricType == "CLOSED_PLANAR"
            points = np.reshape(np.array(contour.ContourData, dtype=float), (-1, 3))
            assert len(points) == contour.NumberOfContourPoints
            indices = [pet.image.TransformPhysicalPointToContinuousIndex(point.tolist()) for point in points]
            index_xyz = np.array(indices)
            image = contour.ContourImageSequence[0]
            plane = slices[image.ReferencedSOPInstanceUID, image.get("ReferencedFrameNumber")]
            assert np.allclose(index_xyz[:, 2], plane, atol=0.01)
            inside = fill_even_odd(index_xyz[:, 1::-1], filled.shape[1:])
            filled[plane][inside] = region.ReferencedROINumber
    return filled


def values_of(group: Any) -> dict[tuple[str, str | None, str], float]:
    """Name, derivation and unit of each measurement in a group by their codes."""
    values = {}
    for measurement in group.get_measurements():
        derivation = measurement.derivation.value if measurement.derivation else None
        values[measurement.name.value, derivation, measurement.unit.value] = float(measurement.value)
    return values
