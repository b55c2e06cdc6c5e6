"""Images and masks on disk: read with checks, written whole or not at all, resampled to another image's grid."""

import contextlib
import math
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from lesionclick.case.geometry import Geometry, require_orthonormal, require_same_grid, straightened
from lesionclick.case.headers import read_header
from lesionclick.case.image_header import MAX_ORIGIN, ImageHeader, in_words
from lesionclick.case.intact import require_intact
from lesionclick.case.memory import require_memory
from lesionclick.errors import CaseError
from lesionclick.files import replacing

AIR = -1024.0
"""HU of what lies outside a CT."""

_COPY_BYTES = 4  # a voxel as float32, beside the stored one

_STDERR = threading.Lock()  # file descriptor 2 is one for all threads


def read_image(path: Path, allow_4d: bool = False) -> sitk.Image:
    """Reads a 3D image with one number a voxel, finite in float32; the voxels keep their stored type.

    Args:
        path: in a format of `headers.ENDINGS`.
        allow_4d: whether a NIfTI file may also be 4D, as nnU-Net stores several channels; the first is then read.

    Returns:
        The image; directions that are orthonormal but for rounding are exactly so, which a log line says.

    Raises:
        CaseError: the file is missing, damaged or no such image, or there is too little memory for it.
    """
    header = read_header(path, allow_4d)
    require_memory(path, header.voxel_bytes + math.prod(header.size) * _COPY_BYTES)
    with _silent_native_code():
        reader = _open(header)
        try:
            image = reader.Execute()
        except (RuntimeError, MemoryError) as error:
            raise CaseError(
                f"{path}: its voxels cannot be read, the file is truncated or damaged ({_reason(error, path)})"
            ) from None
    require_intact(header, sitk.GetArrayViewFromImage(image))
    if image.GetDimension() == 4:
        image = image[:, :, :, 0]
    stored_zyx = sitk.GetArrayViewFromImage(image)
    largest = np.finfo(np.float32).max
    if not (-largest <= stored_zyx.min() and stored_zyx.max() <= largest):  # NaN, too, is not within these limits
        raise CaseError(f"{path}: holds NaN or infinite values, expected finite ones")
    image.SetDirection(straightened(path, image.GetDirection()))
    return image


def read_geometry(path: Path) -> Geometry:
    """The grid of a 3D image on disk, from its header alone.

    Raises:
        CaseError: the file is missing or is not a 3D image with one number a voxel.
    """
    header = read_header(path)
    with _silent_native_code():
        reader = _open(header)
    direction = straightened(path, reader.GetDirection())
    return Geometry(reader.GetSize(), reader.GetSpacing(), reader.GetOrigin(), direction)


def _open(header: ImageHeader) -> sitk.ImageFileReader:
    """SimpleITK's reader of a file that passed the gate, its header read and found to mean the same to both."""
    path = header.path
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO(header.library)
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise CaseError(
            f"{path}: is not an image that can be read, expected a 3D image ({_reason(error, path)})"
        ) from None
    if reader.GetNumberOfComponents() != 1:
        raise CaseError(
            f"{path}: is an image with {reader.GetNumberOfComponents()} component(s) a voxel, expected a 3D image with"
            " one"
        )
    if reader.GetSize() != header.size or not np.allclose(reader.GetSpacing()[:3], header.spacing, rtol=1e-5):
        raise CaseError(
            f"{path}: its header is not clear, SimpleITK reads {in_words(reader.GetSize())} voxels of"
            f" {in_words(reader.GetSpacing())} mm out of it, expected {in_words(header.size)} of"
            f" {in_words(header.spacing)} mm"
        )
    if not all(abs(value) <= MAX_ORIGIN for value in reader.GetOrigin()):  # nor is NaN
        raise CaseError(
            f"{path}: its origin is ({', '.join(f'{value:g}' for value in reader.GetOrigin())}), expected less than"
            f" {MAX_ORIGIN / 1e6:g} km"
        )
    require_orthonormal(path, reader.GetDirection(), reader.GetDimension())
    return reader


def _reason(error: Exception, path: Path) -> str:
    """What ITK says is wrong, in one line, without its own line numbers and addresses."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    known = [line for line in lines if line.startswith("ITK ERROR")] or lines[-1:] or [type(error).__name__]
    text = re.sub(r"^ITK ERROR: (\w+\(0x[0-9a-f]+\): )?", "", known[-1])
    return " ".join(text.replace(str(path), path.name).split()).rstrip(".!")


@contextlib.contextmanager
def _silent_native_code() -> Iterator[None]:
    """Drops what native code writes to stderr: ITK prints several lines there before it raises."""
    with _STDERR:
        stderr = os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def read_label(path: Path, largest: int) -> sitk.Image:
    """Reads a 3D image of class numbers; uint8.

    Raises:
        CaseError: the file is missing, is not 3D, or holds anything but whole numbers from 0 to `largest`.
    """
    image = read_image(path)
    stored_zyx = sitk.GetArrayViewFromImage(image)
    wrong = (stored_zyx < 0) | (stored_zyx > largest) | (stored_zyx != np.round(stored_zyx))
    if wrong.any():
        raise CaseError(f"{path}: holds the value {stored_zyx[wrong][0]:g}, expected whole numbers from 0 to {largest}")
    return sitk.Cast(image, sitk.sitkUInt8)


def read_mask(path: Path, geometry: Geometry, allow_4d: bool = False) -> np.ndarray:
    """Reads a lesion mask that must lie on a case's grid: uint8 of shape geometry.shape_zyx, 0 and 1.

    `allow_4d` allows files of several channels, as in `read_image`.

    Raises:
        CaseError: the file is missing or damaged, lies on another grid or holds other values.
    """
    if not path.is_file():
        raise CaseError(f"{path}: the mask is missing")
    image = read_image(path, allow_4d)
    require_same_grid(geometry, Geometry.of(image), ("CT", "mask"), ("the case", path))
    stored_zyx: np.ndarray = sitk.GetArrayViewFromImage(image)
    if (stored_zyx < 0).any():
        raise CaseError(f"{path}: holds voxels below 0, where nobody looked for lesions, expected 0 and 1 alone")
    if not np.isin(stored_zyx, (0, 1)).all():
        raise CaseError(f"{path}: holds values other than 0 and 1")
    return stored_zyx.astype(np.uint8)


def array_from_image(image: sitk.Image) -> np.ndarray:
    """The voxels of a 3D image as float32 of shape (z, y, x), a copy."""
    stored_zyx: np.ndarray = sitk.GetArrayViewFromImage(image)
    return stored_zyx.astype(np.float32)


def image_from_array(array_zyx: np.ndarray, geometry: Geometry) -> sitk.Image:
    """An image of an array's values and type on a grid, which it takes over exactly."""
    if array_zyx.shape != geometry.shape_zyx:
        raise ValueError(f"an array of shape {array_zyx.shape} on a grid of shape {geometry.shape_zyx}")
    image = sitk.GetImageFromArray(array_zyx)
    image.SetSpacing(geometry.spacing)
    image.SetOrigin(geometry.origin)
    image.SetDirection(geometry.direction)
    return image


def write_image(array_zyx: np.ndarray, geometry: Geometry, path: Path) -> None:
    """Writes an image, compressed; a reader of `path` sees all of it or nothing.

    Args:
        array_zyx: of shape geometry.shape_zyx; its type is the stored one.
        geometry: taken over exactly.
        path: its ending (.mha, .nii.gz) says the format; its folder is made where missing.

    Raises:
        CaseError: the file cannot be written.
    """
    image = image_from_array(array_zyx, geometry)
    with replacing(path) as temporary:
        try:
            sitk.WriteImage(image, str(temporary), useCompression=True)
        except RuntimeError as error:
            raise OSError(str(error).splitlines()[-1]) from error


def write_mask(mask_zyx: np.ndarray, geometry: Geometry, path: Path) -> None:
    """Writes a mask of 0 and 1 as uint8, else as `write_image`."""
    write_image(mask_zyx.astype(np.uint8), geometry, path)


def write_probabilities(probability_zyx: np.ndarray, path: Path) -> None:
    """Writes lesion probabilities as `foreground` (float16; z, y, x on the CT's grid) in a compressed .npz.

    Raises:
        CaseError: the file cannot be written.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, foreground=probability_zyx.astype(np.float16))


def resample_label(image: sitk.Image, reference: sitk.Image) -> np.ndarray:
    """A label on a reference's grid, of shape (z, y, x): nearest neighbor, 0 outside."""
    resampled = sitk.Resample(image, reference, sitk.Transform(), sitk.sitkNearestNeighbor, 0.0, image.GetPixelID())
    label_zyx: np.ndarray = sitk.GetArrayFromImage(resampled)
    return label_zyx


def resample_ct(ct: sitk.Image, reference: sitk.Image) -> sitk.Image:
    """A CT (HU) on a reference's grid: float32, linear, `AIR` outside."""
    return sitk.Resample(ct, reference, sitk.Transform(), sitk.sitkLinear, AIR, sitk.sitkFloat32)
