"""Images and masks on disk: read with checks, written whole or not at all."""

import contextlib
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from lesionclick.case.geometry import Geometry, require_same_grid
from lesionclick.errors import CaseError
from lesionclick.files import replacing


def read_image(path: Path, channels: bool = False) -> tuple[np.ndarray, Geometry]:
    """Reads a 3D image with one finite number a voxel: float32 of shape (z, y, x), and its grid.

    Args:
        path: any format that SimpleITK reads.
        channels: whether a file may also be 4D, as nnU-Net stores several channels; the first is then read.

    Raises:
        CaseError: the file is missing, damaged or no such image.
    """
    if not path.is_file():
        raise CaseError(f"{path}: the file is missing, expected an image")
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    with _silent_native_code():
        try:
            reader.ReadImageInformation()
        except RuntimeError:
            raise CaseError(f"{path}: is not an image that can be read, expected a 3D image") from None
        if reader.GetDimension() not in ((3, 4) if channels else (3,)) or reader.GetNumberOfComponents() != 1:
            size = " x ".join(str(length) for length in reader.GetSize())
            raise CaseError(
                f"{path}: is {reader.GetDimension()}D ({size}) with {reader.GetNumberOfComponents()} component(s) a "
                "voxel, expected a 3D image with one"
            )
        try:
            image = reader.Execute()
        except RuntimeError:
            raise CaseError(f"{path}: its voxels cannot be read, the file is truncated or damaged") from None
    stored_zyx = sitk.GetArrayViewFromImage(image)
    if _fails_checksum(path, stored_zyx):
        raise CaseError(f"{path}: its compressed voxels are damaged")
    if image.GetDimension() == 4:
        image = image[:, :, :, 0]
        stored_zyx = sitk.GetArrayViewFromImage(image)
    with np.errstate(over="ignore"):  # found as infinite below
        image_zyx = stored_zyx.astype(np.float32)
    if not np.isfinite(image_zyx).all():
        raise CaseError(f"{path}: holds NaN or infinite values, expected finite ones")
    return image_zyx, Geometry.of(image)


def _fails_checksum(path: Path, stored_zyx: np.ndarray) -> bool:
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
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def read_mask(path: Path, geometry: Geometry, channels: bool = False) -> np.ndarray:
    """Reads a lesion mask that must lie on a case's grid: uint8 of shape geometry.shape_zyx, 0 and 1.

    `channels` allows 4D files, as in `read_image`.

    Raises:
        CaseError: the file is missing or damaged, lies on another grid or holds other values.
    """
    if not path.is_file():
        raise CaseError(f"{path}: the mask is missing")
    mask_zyx, mask_geometry = read_image(path, channels)
    require_same_grid(geometry, mask_geometry, ("CT", "mask"), ("the case", path))
    if not np.isin(mask_zyx, (0, 1)).all():
        raise CaseError(f"{path}: holds values other than 0 and 1")
    return mask_zyx.astype(np.uint8)


def write_mask(mask_zyx: np.ndarray, geometry: Geometry, path: Path) -> None:
    """Writes a mask as compressed .mha; a reader of `path` sees all of it or nothing.

    Args:
        mask_zyx: 0 and 1, of shape geometry.shape_zyx.
        geometry: the CT's, taken over exactly.
        path: ends in .mha; its folder is made where missing.

    Raises:
        CaseError: the file cannot be written.
    """
    image = sitk.GetImageFromArray(mask_zyx.astype(np.uint8))
    image.SetSpacing(geometry.spacing)
    image.SetOrigin(geometry.origin)
    image.SetDirection(geometry.direction)
    with replacing(path) as temporary:
        try:
            sitk.WriteImage(image, str(temporary), useCompression=True)
        except RuntimeError as error:
            raise OSError(str(error).splitlines()[-1]) from error


def write_probabilities(probability_zyx: np.ndarray, path: Path) -> None:
    """Writes lesion probabilities as `foreground` (float16; z, y, x on the CT's grid) in a compressed .npz.

    Raises:
        CaseError: the file cannot be written.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, foreground=probability_zyx.astype(np.float16))
