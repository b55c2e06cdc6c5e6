"""Dataset of cases with their truth: a folder of cases in Grand Challenge layout, or nnU-Net's raw layout.

<dataset>/<case>/images/ct/<any>.mha  images/pet/<any>.mha  truth.mha  [lesion-clicks.json]

<dataset>/imagesTr/<case>_0000.nii.gz  <case>_0001.nii.gz     CT, HU; PET, SUV
<dataset>/labelsTr/<case>.nii.gz                              lesions, or 4D with the lesions in the first channel
<dataset>/clicks/<case>_clicks.json                           where the case has official clicks
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lesionclick.case.case import CLICKS_FILE, CT_FOLDER, PET_FOLDER, TRUTH_FILE, Case, only_file
from lesionclick.case.images import read_mask
from lesionclick.errors import CaseError

CT_SUFFIX, PET_SUFFIX, FILE_ENDING = "_0000", "_0001", ".nii.gz"

CLICKS_FOLDER, CLICKS_ENDING = "clicks", "_clicks.json"

TRACERS = ("fdg", "psma")


@dataclass(frozen=True, eq=False)
class LabelledCase:
    """A case with its truth.

    Attributes:
        case: with the clicks of its file, or none.
        lesion_zyx: uint8, 0 and 1, on the case's grid.
        has_click_file: whether the case came with a file of clicks, which may be an empty list.
    """

    case: Case
    lesion_zyx: np.ndarray
    has_click_file: bool


@dataclass(frozen=True)
class Dataset:
    """A folder of cases with their truth, in either layout.

    Attributes:
        folder: the dataset's.
        names: of its cases, sorted; at least one.
        is_nnunet: whether it has nnU-Net's layout.
    """

    folder: Path
    names: tuple[str, ...]
    is_nnunet: bool

    @classmethod
    def find(cls, folder: Path) -> "Dataset":
        """Lists a dataset's cases; what their files hold is not looked at.

        Raises:
            CaseError: the folder is missing or holds no case.
        """
        if not folder.is_dir():
            raise CaseError(f"{folder}: the folder is missing, expected a dataset")
        is_nnunet = (folder / "labelsTr").is_dir()
        if is_nnunet:
            names = case_names(folder)
        else:
            names = sorted(path.parent.name for path in folder.glob("[!.]*/images") if path.is_dir())
        if not names:
            raise CaseError(
                f"{folder}: holds no case, expected folders with images/ and truth.mha, or imagesTr/ and labelsTr/"
            )
        return cls(folder, tuple(names), is_nnunet)

    def read(self, name: str, clicks_folder: Path | None = None) -> LabelledCase:
        """Reads a case with its truth, and with clicks where it has a file of them.

        Args:
            name: one of `names`.
            clicks_folder: another folder of <case>_clicks.json than the dataset's own; for nnU-Net's layout.

        Raises:
            CaseError: a file is missing, damaged or does not fit the others.
        """
        if self.is_nnunet:
            images = self.folder / "imagesTr"
            ct, pet = (images / f"{name}{suffix}{FILE_ENDING}" for suffix in (CT_SUFFIX, PET_SUFFIX))
            truth = self.folder / "labelsTr" / f"{name}{FILE_ENDING}"
            clicks = (clicks_folder or self.folder / CLICKS_FOLDER) / f"{name}{CLICKS_ENDING}"
        else:
            folder = self.folder / name
            ct, pet = only_file(folder / CT_FOLDER), only_file(folder / PET_FOLDER)
            truth, clicks = folder / TRUTH_FILE, folder / CLICKS_FILE
        if not truth.exists():
            raise CaseError(f"{truth}: the truth is missing, expected a lesion mask")
        has_click_file = clicks.exists()
        case = Case.read_files(name, ct, pet, clicks if has_click_file else None)
        return LabelledCase(case, read_mask(truth, case.geometry, allow_4d=self.is_nnunet), has_click_file)


def case_names(dataset: Path) -> list[str]:
    """Names of the cases in nnU-Net's raw layout, sorted: those that have a label."""
    return sorted(path.name.removesuffix(FILE_ENDING) for path in (dataset / "labelsTr").glob(f"*{FILE_ENDING}"))


def tracer_of(name: str) -> str:
    """The tracer in a case's name, "fdg" or "psma" between other signs than letters and digits, else "unknown"."""
    tokens = re.split(r"[\W_]+", name.lower())
    return next((token for token in tokens if token in TRACERS), "unknown")
