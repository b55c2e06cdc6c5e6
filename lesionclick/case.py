"""A case: CT, PET and clicks found and checked in Grand Challenge layout, and the mask written beside nothing else."""

import contextlib
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from lesionclick.clicks import Click, read_clicks
from lesionclick.errors import CaseError

CT_FOLDER = Path("images/ct")
PET_FOLDER = Path("images/pet")
CLICKS_FILE = Path("lesion-clicks.json")
MASK_FOLDER = Path("images/tumor-lesion-segmentation")
TRUTH_FILE = Path("truth.mha")  # beside a case of known outcome; not part of the platform's interface

GRID_TOLERANCE = 1e-3  # mm, or cosine for directions


@dataclass(frozen=True)
class Geometry:
    """Where an image's voxels lie in the world; everything in SimpleITK's order x, y, z.

    Attributes:
        size: voxels.
        spacing: mm.
        origin: centre of the first voxel, mm.
        direction: 3 x 3 cosines, row by row.
    """

    size: tuple[int, ...]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]

    @classmethod
    def of(cls, image: sitk.Image) -> "Geometry":
        """The geometry of a SimpleITK image."""
        return cls(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())

    @property
    def shape_zyx(self) -> tuple[int, ...]:
        """Size in the order of arrays, voxels."""
        return self.size[::-1]

    @property
    def spacing_zyx(self) -> tuple[float, ...]:
        """Spacing in the order of arrays, mm."""
        return self.spacing[::-1]


@dataclass(frozen=True, eq=False)
class Case:
    """A checked case.

    Attributes:
        name: stem of the CT's file; the mask is named after it.
        ct_zyx: float32, HU.
        pet_zyx: float32, body-weight SUV (g/ml), on the CT's grid.
        geometry: of the CT, and so of the PET and of the mask.
        clicks: indices on that grid.
    """

    name: str
    ct_zyx: np.ndarray
    pet_zyx: np.ndarray
    geometry: Geometry
    clicks: tuple[Click, ...] = ()

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> "Case":
        """Reads a case in Grand Challenge layout (autoPET/CT IV Task 1).

        Args:
            folder: holds images/ct and images/pet with one image each, and lesion-clicks.json.

        Raises:
            CaseError: something is missing, too much, damaged or does not fit together.
        """
        folder = Path(folder)
        ct_path = only_file(folder / CT_FOLDER)
        return cls.read_files(_stem(ct_path), ct_path, only_file(folder / PET_FOLDER), folder / CLICKS_FILE)

    @classmethod
    def read_files(cls, name: str, ct_path: Path, pet_path: Path, clicks_path: Path | None) -> "Case":
        """Reads a case from its files, wherever they lie.

        Args:
            name: the case's.
            ct_path: HU, any format that SimpleITK reads.
            pet_path: SUV, on the CT's grid.
            clicks_path: the challenge's JSON; None for no clicks.

        Raises:
            CaseError: a file is missing, damaged or does not fit the others.
        """
        ct_zyx, ct_geometry = read_image(ct_path)
        clicks = () if clicks_path is None else read_clicks(clicks_path, ct_geometry.shape_zyx)
        pet_zyx, pet_geometry = read_image(pet_path)
        for path, image_zyx in ((ct_path, ct_zyx), (pet_path, pet_zyx)):
            if not image_zyx.any():
                raise CaseError(f"{path}: every voxel is 0")
        require_same_grid(ct_geometry, pet_geometry, ("CT", "PET"), (ct_path, pet_path))
        return cls(name, ct_zyx, pet_zyx, ct_geometry, clicks)


def only_file(folder: Path) -> Path:
    """The one file of a folder, hidden ones aside; CaseError where there is none or more than one."""
    try:
        found = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except FileNotFoundError:
        raise CaseError(f"{folder}: the folder is missing, expected one .mha image in it") from None
    except OSError as error:
        raise CaseError(f"{folder}: the folder cannot be read: {error.strerror}") from error
    if len(found) != 1:
        names = f" ({', '.join(entry.name for entry in found[:4])}{', ...' if len(found) > 4 else ''})" if found else ""
        raise CaseError(f"{folder}: holds {len(found)} files{names}, expected exactly one .mha image")
    if not found[0].is_file():
        raise CaseError(f"{found[0]}: is not a file, expected one .mha image")
    return found[0]


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").rpartition(".")[0] or path.name


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


def require_same_grid(
    first: Geometry, second: Geometry, names: tuple[str, str], places: tuple[Path | str, Path | str]
) -> None:
    """Raises CaseError, with both values and their places, where two grids differ by more than GRID_TOLERANCE."""
    for quantity in ("size", "spacing", "origin", "direction"):
        of_first, of_second = getattr(first, quantity), getattr(second, quantity)
        if np.abs(np.subtract(of_first, of_second)).max() > GRID_TOLERANCE:
            raise CaseError(
                f"{names[0]} and {names[1]} are on different grids: {quantity} is {_numbers(of_first)} in {places[0]} "
                f"and {_numbers(of_second)} in {places[1]}"
            )


def _numbers(values: Sequence[float]) -> str:
    return f"({', '.join(f'{value:.7g}' for value in values)})"


def mask_path(case: Case, output: Path) -> Path:
    """Where the mask of a case belongs in an output folder of Grand Challenge layout."""
    return output / MASK_FOLDER / f"{case.name}.mha"


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


def require_writable(path: Path) -> None:
    """Raises CaseError where a file could not be written at `path`; makes nothing."""
    ancestor = path.parent
    while not ancestor.exists():
        ancestor = ancestor.parent
    if path.is_dir() or not ancestor.is_dir() or not os.access(ancestor, os.W_OK | os.X_OK):
        raise CaseError(f"{path}: cannot be written, {ancestor} is not a writable folder")


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


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` that becomes `path` if all goes well and vanishes otherwise.

    Raises:
        CaseError: on any OSError inside or in making the folder or the final name.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise CaseError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
