"""Images and masks on disk: read with checks, written whole or not at all, resampled to another image's grid."""

import contextlib
import gzip
import os
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from lesionclick.case.geometry import Geometry, require_same_grid
from lesionclick.errors import CaseError
from lesionclick.files import replacing

AIR = -1024.0
"""HU of what lies outside a CT."""

_STDERR = threading.Lock()  # file descriptor 2 is one for all threads


def read_image(path: Path, allow_4d: bool = False) -> sitk.Image:
    """Reads a 3D image with one number a voxel, finite in float32; the voxels keep their stored type.

    Args:
        path: any format that SimpleITK reads.
        allow_4d: whether a file may also be 4D, as nnU-Net stores several channels; the first is then read.

    Raises:
        CaseError: the file is missing, damaged or no such image.
    """
    with _silent_native_code():
        reader = _read_header(path, allow_4d)
        try:
            image = reader.Execute()
        except RuntimeError:  # its text says "No such file or directory" of a truncated file
            raise CaseError(f"{path}: its voxels cannot be read, the file is truncated or damaged") from None
    stored_zyx = sitk.GetArrayViewFromImage(image)
    if _is_damaged_gzip(path, stored_zyx) or _is_damaged_meta(path, stored_zyx):
        raise CaseError(f"{path}: its compressed voxels are damaged")
    if image.GetDimension() == 4:
        image = image[:, :, :, 0]
    stored_zyx = sitk.GetArrayViewFromImage(image)
    largest = np.finfo(np.float32).max
    if not (-largest <= stored_zyx.min() and stored_zyx.max() <= largest):  # NaN, too, is not within these limits
        raise CaseError(f"{path}: holds NaN or infinite values, expected finite ones")
    return image


def read_geometry(path: Path) -> Geometry:
    """The grid of a 3D image on disk, from its header alone.

    Raises:
        CaseError: the file is missing or is not a 3D image with one number a voxel.
    """
    with _silent_native_code():
        reader = _read_header(path, allow_4d=False)
    return Geometry(reader.GetSize(), reader.GetSpacing(), reader.GetOrigin(), reader.GetDirection())


def _read_header(path: Path, allow_4d: bool) -> sitk.ImageFileReader:
    """A reader that has read the header of a 3D (or 4D, where allowed) image with one number a voxel, no voxels."""
    if not path.is_file():
        raise CaseError(f"{path}: the file is missing, expected an image")
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        raise CaseError(f"{path}: is not an image that can be read, expected a 3D image") from None
    if reader.GetDimension() not in ((3, 4) if allow_4d else (3,)) or reader.GetNumberOfComponents() != 1:
        size = " x ".join(str(length) for length in reader.GetSize())
        raise CaseError(
            f"{path}: is {reader.GetDimension()}D ({size}) with {reader.GetNumberOfComponents()} component(s) a "
            "voxel, expected a 3D image with one"
        )
    return reader


def _is_damaged_gzip(path: Path, stored_zyx: np.ndarray) -> bool:
    """Whether a .nii.gz is cut short or altered, in which case ITK fills the rest with zeros and says nothing."""
    if path.suffix != ".gz":
        return False
    try:
        with path.open("rb") as file:
            file.seek(-8, os.SEEK_END)  # gzip's format (RFC 1952) ends with CRC-32 and size of the uncompressed bytes
            checksum, size = struct.unpack("<II", file.read(8))
        with gzip.open(path) as stream:
            header = stream.read(min((size - stored_zyx.nbytes) % 2**32, 1 << 16))
            if zlib.crc32(stored_zyx.data, zlib.crc32(header)) == checksum:
                return False
            while stream.read(1 << 20):  # slower, for voxels that ITK has scaled or whose bytes it has swapped
                pass
    except (OSError, EOFError, zlib.error):
        return True
    return False


def _is_damaged_meta(path: Path, stored_zyx: np.ndarray) -> bool:
    """Whether a compressed MetaImage does not end with the checksum of its voxels, which ITK does not look at."""
    with path.open("rb") as file:
        header, local, _ = file.read(1 << 16).partition(b"ElementDataFile = LOCAL")
        if not local or b"\nCompressedData = True" not in header or b"ByteOrderMSB = True" in header:
            return False
        file.seek(-4, os.SEEK_END)  # zlib's format (RFC 1950) ends with the Adler-32 of the uncompressed bytes
        return int.from_bytes(file.read(4), "big") != zlib.adler32(stored_zyx.data)


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
