"""Volumes on disk and between grids: read with checks, resampled."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from lesionclick.case.geometry import Geometry
from lesionclick.errors import CaseError

AIR = -1024.0
"""HU of what lies outside a CT."""


def read_image(path: Path) -> sitk.Image:
    """Reads a 3D image with one finite number a voxel.

    Raises:
        CaseError: the file is missing or is not such an image.
    """
    geometry_of_file(path)
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError:
        raise CaseError(f"{path}: its voxels cannot be read, the file is truncated or damaged") from None
    if not np.isfinite(sitk.GetArrayViewFromImage(image)).all():
        raise CaseError(f"{path}: holds NaN or infinite values, expected finite ones")
    return image


def read_label(path: Path, largest: int) -> sitk.Image:
    """Reads a 3D label; uint8.

    Raises:
        CaseError: the file is missing, is not 3D, or holds anything but whole numbers from 0 to `largest`.
    """
    image = read_image(path)
    values = np.unique(sitk.GetArrayViewFromImage(image))
    wrong = values[(values < 0) | (values > largest) | (values != np.round(values))]
    if wrong.size:
        raise CaseError(f"{path}: holds the value {wrong[0]:g}, expected whole numbers from 0 to {largest}")
    return sitk.Cast(image, sitk.sitkUInt8)


def geometry_of_file(path: Path) -> Geometry:
    """The grid of a 3D image on disk, from its header alone.

    Raises:
        CaseError: the file is missing or is not a 3D image with one number a voxel.
    """
    if not path.is_file():
        raise CaseError(f"{path}: the file is missing, expected a 3D image")
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        raise CaseError(f"{path}: is not an image that can be read") from None
    if reader.GetDimension() != 3 or reader.GetNumberOfComponents() != 1:
        raise CaseError(
            f"{path}: is {reader.GetDimension()}D with {reader.GetNumberOfComponents()} component(s) a voxel, expected "
            "a 3D image with one"
        )
    return Geometry(reader.GetSize(), reader.GetSpacing(), reader.GetOrigin(), reader.GetDirection())


def resample_label(image: sitk.Image, reference: sitk.Image) -> np.ndarray:
    """A label on a reference's grid, of shape (z, y, x): nearest neighbour, 0 outside."""
    resampled = sitk.Resample(image, reference, sitk.Transform(), sitk.sitkNearestNeighbor, 0.0, image.GetPixelID())
    return sitk.GetArrayFromImage(resampled)


def resample_ct(ct: sitk.Image, reference: sitk.Image) -> sitk.Image:
    """A CT (HU) on a reference's grid: float32, linear, `AIR` outside."""
    return sitk.Resample(ct, reference, sitk.Transform(), sitk.sitkLinear, AIR, sitk.sitkFloat32)
