"""Converter of cases in the container's layout, with their truth, to cases of a dataset; no organ is known in them.

    <folder>/<case>/images/ct/<any>.mha     HU
    <folder>/<case>/images/pet/<any>.mha    SUV, on the CT's grid
    <folder>/<case>/truth.mha               0 and 1, on that grid
    <folder>/<case>/lesion-clicks.json      where the case has official clicks

So they are written by `lesionclick-train phantoms --container`, and so real cases can be kept for `lesionclick
evaluate` and for training alike.
"""

from pathlib import Path

from lesionclick.case.clicks import write_clicks
from lesionclick.case.dataset import CLICKS_ENDING, CLICKS_FOLDER, Dataset
from lesionclick.case.images import image_from_array
from lesionclick.errors import CaseError
from lesionclick.log import Progress
from lesionclick_training.data.nnunet_layout import adding_cases, stack_label, write_case
from lesionclick_training.data.organs import warn_of_missing_organs


def convert_cases(
    folder: Path, dataset: Path, *, cross_validate: bool = False, extend: Path | None = None, description: str = ""
) -> list[str]:
    """Adds all cases of a folder to a dataset, which is made where it is missing.

    Args:
        folder: holds the cases, each in a folder of its name.
        dataset: the folder DatasetXXX_Name.
        cross_validate: whether networks are to be validated on the new cases; see `nnunet_layout.adding_cases`.
        extend: a smaller dataset, which `dataset` is made of first (`nnunet_layout.adding_cases`).
        description: what the cases are, added to the dataset's own, which each model trained on it says at every run.

    Returns:
        The names of the cases added, which are those of their folders, sorted.

    Raises:
        CaseError: a case lacks its truth, is damaged or contradicts itself, or see `nnunet_layout.adding_cases`;
            nothing is added then.
    """
    cases = Dataset.find(folder)
    if cases.is_nnunet:
        raise CaseError(f"{folder}: has nnU-Net's layout already, expected cases in the container's layout")
    with (
        adding_cases(dataset, description, extend, cross_validate=cross_validate) as staged,
        Progress("converting cases", len(cases.names), "cases") as progress,
    ):
        for name in cases.names:
            _convert_case(cases, name, staged)
            progress.update()
    warn_of_missing_organs(len(cases.names), len(cases.names))
    return list(cases.names)


def _convert_case(cases: Dataset, name: str, staged: Path) -> None:
    labelled_case = cases.read(name)
    case = labelled_case.case
    ct, pet = (image_from_array(image, case.geometry) for image in (case.ct_zyx, case.pet_zyx))
    write_case(staged, name, ct, pet, stack_label(labelled_case.lesion_zyx))
    if labelled_case.has_click_file:
        write_clicks(case.clicks, staged / CLICKS_FOLDER / f"{name}{CLICKS_ENDING}")
