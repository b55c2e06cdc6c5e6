"""Converter of the DEEP-PSMA challenge's training data to cases of a dataset.

The layout, as far as it is public; anything else there is left alone, and what is missing is an error:

    train_<number>/PSMA/CT.nii.gz           HU, on a grid of its own
    train_<number>/PSMA/PET.nii.gz          SUV
    train_<number>/PSMA/TTB.nii.gz          total tumor burden, 0 and 1, on the PET's grid
    train_<number>/PSMA/totseg_24.nii.gz    classes of TotalSegmentator's task "total"
    train_<number>/FDG/...                  the same for the other tracer

threshold.json (the SUV threshold that the annotation used) and rigid.tfm (which registers one study to the other) lie
there too and are not needed: each tracer's study becomes a case of its own.
"""

import re
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from lesionclick.case.dataset import FILE_ENDING
from lesionclick.case.geometry import Geometry, require_same_grid
from lesionclick.case.images import read_image, read_label, resample_ct
from lesionclick.errors import CaseError
from lesionclick.log import Progress
from lesionclick_training.data.nnunet_layout import adding_cases, stack_label, write_case
from lesionclick_training.data.organ_classes import TOTAL_V2
from lesionclick_training.data.organs import find_organ_labels, label_organs, read_organs

TRACERS = ("PSMA", "FDG")

FIRST_BONE = 25
"""Number of TotalSegmentator's first bone in version 2, the sacrum; every CT of a trunk has some class from here on."""


def convert_deep_psma(
    challenge: Path, dataset: Path, organs: Path | None = None, extend: Path | None = None
) -> list[str]:
    """Adds the challenge's training studies to a dataset, which is made where it is missing.

    The CT is resampled to the PET's grid (linear, -1024 HU outside), the organs too (nearest neighbor). Glands are
    unknown, since totseg_24.nii.gz has none.

    Args:
        challenge: the folder with train_0001 and so on.
        dataset: the folder DatasetXXX_Name.
        organs: a folder with <case>.nii.gz, as `organs.write_organs` writes them, each of which is taken in place of
            the case's totseg_24.nii.gz.
        extend: a smaller dataset, which `dataset` is made of first (`nnunet_layout.adding_cases`).

    Returns:
        The names of the cases added: deep-psma_<number>_psma and deep-psma_<number>_fdg.

    Raises:
        CaseError: the data are not laid out as above, or the dataset has such a case; nothing is added then.
    """
    studies = _find_studies(challenge)
    organ_paths = find_organ_labels(organs, studies)
    with (
        adding_cases(dataset, extend=extend) as staged,
        Progress("converting studies", len(studies), "studies") as progress,
    ):
        for name, folder in studies.items():
            _convert_study(folder, name, staged, organ_paths.get(name))
            progress.update()
    return list(studies)


def _find_studies(challenge: Path) -> dict[str, Path]:
    """Case name -> folder of the study; every file that a study needs is there."""
    patients = {
        match[1]: path
        for path in (sorted(challenge.iterdir()) if challenge.is_dir() else ())
        if (match := re.fullmatch(r"train_(\d+)", path.name)) and path.is_dir()
    }
    if not patients:
        raise CaseError(f"{challenge}: holds no folder train_<number>, expected DEEP-PSMA's training data")
    studies = {
        f"deep-psma_{number}_{tracer.lower()}": patient / tracer
        for number, patient in patients.items()
        for tracer in TRACERS
    }
    for folder in studies.values():
        for stem in ("CT", "PET", "TTB", "totseg_24"):
            if not (folder / f"{stem}{FILE_ENDING}").is_file():
                raise CaseError(f"{folder / f'{stem}{FILE_ENDING}'}: the file is missing from the study")
    return studies


def _convert_study(folder: Path, name: str, staged: Path, organs: Path | None) -> None:
    pet_path, lesion_path = folder / f"PET{FILE_ENDING}", folder / f"TTB{FILE_ENDING}"
    pet = sitk.Cast(read_image(pet_path), sitk.sitkFloat32)
    lesion = read_label(lesion_path, 1)
    require_same_grid(Geometry.of(pet), Geometry.of(lesion), ("PET", "label"), (pet_path, lesion_path))
    ct = resample_ct(read_image(folder / f"CT{FILE_ENDING}"), pet)
    organ = _label_organs(folder / f"totseg_24{FILE_ENDING}", pet) if organs is None else read_organs(organs, pet)
    write_case(staged, name, ct, pet, stack_label(sitk.GetArrayViewFromImage(lesion), organ))


def _label_organs(path: Path, pet: sitk.Image) -> np.ndarray:
    largest = int(sitk.GetArrayFromImage(read_label(path, TOTAL_V2.class_count)).max())
    if largest < FIRST_BONE:
        raise CaseError(
            f"{path}: its largest value is {largest}, so it holds no bone ({FIRST_BONE} and above) and is not numbered "
            f"as TotalSegmentator's classes are"
        )
    return label_organs(pet, path, fallback_version=2)
