"""A case: CT, PET and clicks, read from and written to a folder in Grand Challenge layout."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lesionclick.case.clicks import Click, read_clicks, write_clicks
from lesionclick.case.geometry import Geometry, require_same_grid
from lesionclick.case.images import array_from_image, read_image, write_image, write_mask
from lesionclick.case.sockets import Wanted, find_inputs
from lesionclick.errors import CaseError
from lesionclick.files import describe_error

CT_FOLDER = Path("images/ct")

PET_FOLDER = Path("images/pet")

CLICKS_FILE = Path("lesion-clicks.json")

MASK_FOLDER = Path("images/tumor-lesion-segmentation")

INPUTS = {
    "the CT": Wanted(("ct-image", "ct"), CT_FOLDER),
    "the PET": Wanted(("pet-image", "pet"), PET_FOLDER),
    "the list of clicks": Wanted(("lesion-clicks",), CLICKS_FILE),
}
"""By what they are in a sentence."""

TRUTH_FILE = Path("truth.mha")  # the true lesions of a case, where they are known; the platform gives none


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
            folder: holds images/ct and images/pet with one image each, and lesion-clicks.json; or else an inputs.json
                that says where they are.

        Raises:
            CaseError: something is missing, too much, damaged or does not fit together.
        """
        files = case_files(Path(folder))
        ct_path, pet_path = (
            path if path.is_file() else only_file(path) for path in (files["the CT"], files["the PET"])
        )
        return cls.read_files(_stem(ct_path), ct_path, pet_path, files["the list of clicks"])

    @classmethod
    def read_files(cls, name: str, ct_path: Path, pet_path: Path, clicks_path: Path | None) -> "Case":
        """Reads a case from its files, wherever they lie.

        Args:
            name: the case's.
            ct_path: HU, in a format of `headers.ENDINGS`.
            pet_path: SUV, on the CT's grid.
            clicks_path: the challenge's JSON; None for no clicks.

        Raises:
            CaseError: a file is missing, damaged or does not fit the others.
        """
        ct_zyx, ct_geometry = _read_volume(ct_path)
        clicks = () if clicks_path is None else read_clicks(clicks_path, ct_geometry.shape_zyx)
        pet_zyx, pet_geometry = _read_volume(pet_path)
        for path, image_zyx in ((ct_path, ct_zyx), (pet_path, pet_zyx)):
            if not image_zyx.any():
                raise CaseError(f"{path}: every voxel is 0")
        require_same_grid(ct_geometry, pet_geometry, ("CT", "PET"), (ct_path, pet_path))
        return cls(name, ct_zyx, pet_zyx, ct_geometry, clicks)

    def write(
        self,
        folder: str | os.PathLike[str],
        *,
        lesion_zyx: np.ndarray | None = None,
        ct_type: type[np.number] = np.float32,
    ) -> None:
        """Writes the case in Grand Challenge layout, as `read` reads it; each file appears whole or not at all.

        The files are images/ct/<name>.mha, images/pet/<name>.mha (float32) and lesion-clicks.json, and truth.mha
        (uint8) where the lesions are given; images are compressed and have exactly the case's geometry.

        Args:
            folder: made where missing; files of another case in it are left as they are.
            lesion_zyx: the true lesions, 0 and 1.
            ct_type: number format of the CT's file; for an integer format such as numpy.int16 HU are rounded.

        Raises:
            CaseError: a file cannot be written.
        """
        folder = Path(folder)
        ct_zyx = np.round(self.ct_zyx) if issubclass(ct_type, np.integer) else self.ct_zyx
        write_image(ct_zyx.astype(ct_type), self.geometry, folder / CT_FOLDER / f"{self.name}.mha")
        write_image(self.pet_zyx.astype(np.float32), self.geometry, folder / PET_FOLDER / f"{self.name}.mha")
        if lesion_zyx is not None:
            write_mask(lesion_zyx, self.geometry, folder / TRUTH_FILE)
        write_clicks(self.clicks, folder / CLICKS_FILE)


def _read_volume(path: Path) -> tuple[np.ndarray, Geometry]:
    image = read_image(path)
    return array_from_image(image), Geometry.of(image)


def case_files(folder: Path) -> dict[str, Path]:
    """Where a case in Grand Challenge layout has what, by what it is in a sentence; whether or not it is there.

    Raises:
        CaseError: there is an inputs.json, see `find_inputs`, that does not say it.
    """
    found = find_inputs(folder, INPUTS) or {name: folder / wanted.path for name, wanted in INPUTS.items()}
    return found | {"the truth": folder / TRUTH_FILE}


def only_file(folder: Path) -> Path:
    """The one file of a folder, hidden ones aside; CaseError where there is none or more than one."""
    try:
        found = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except FileNotFoundError:
        raise CaseError(f"{folder}: the folder is missing, expected one .mha image in it") from None
    except OSError as error:
        raise CaseError(f"{folder}: the folder cannot be read: {describe_error(error)}") from error
    if len(found) != 1:
        names = f" ({', '.join(entry.name for entry in found[:4])}{', ...' if len(found) > 4 else ''})" if found else ""
        raise CaseError(f"{folder}: holds {len(found)} files{names}, expected exactly one .mha image")
    if not found[0].is_file():
        raise CaseError(f"{found[0]}: is not a file, expected one .mha image")
    return found[0]


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").rpartition(".")[0] or path.name


def mask_path(case: Case, output: Path) -> Path:
    """Where the mask of a case belongs in an output folder of Grand Challenge layout."""
    return output / MASK_FOLDER / f"{case.name}.mha"
