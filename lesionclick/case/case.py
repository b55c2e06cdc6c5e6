"""A case: CT, PET and clicks found and checked in Grand Challenge layout, and the mask written beside nothing else."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lesionclick.case.clicks import Click, read_clicks
from lesionclick.case.geometry import Geometry, require_same_grid
from lesionclick.case.images import read_image
from lesionclick.errors import CaseError
from lesionclick.files import describe_error

CT_FOLDER = Path("images/ct")

PET_FOLDER = Path("images/pet")

CLICKS_FILE = Path("lesion-clicks.json")

MASK_FOLDER = Path("images/tumor-lesion-segmentation")

TRUTH_FILE = Path("truth.mha")  # beside a case of known outcome; not part of the platform's interface


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
