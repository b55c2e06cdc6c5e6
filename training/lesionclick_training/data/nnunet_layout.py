"""Layout of nnU-Net's raw data, with one label of two channels a case: lesions and organs.

    <raw>/DatasetXXX_Name/dataset.json
    <raw>/DatasetXXX_Name/imagesTr/<case>_0000.nii.gz   CT, HU
    <raw>/DatasetXXX_Name/imagesTr/<case>_0001.nii.gz   PET, SUV
    <raw>/DatasetXXX_Name/labelsTr/<case>.nii.gz        4D: channel 0 lesions, channel 1 organs

nnU-Net's own reader takes the fourth dimension of a file for channels, of labels too, and cropping, resampling,
storage, loading and augmentation carry both along. It counts label values over both channels when it looks for
foreground to sample patches from; organs are therefore stored one higher than their number (2 to 11), so that 1 is a
lesion and nothing else. In both channels -2 means that nobody knows: nnU-Net counts what is below 0 as no foreground
(its own -1 is outside of the image), and the losses leave such voxels out.
"""

import contextlib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from lesionclick.case.dataset import CT_SUFFIX, FILE_ENDING, PET_SUFFIX, case_names
from lesionclick.errors import CaseError
from lesionclick.files import describe_error, read_json, read_json_object, replacing
from lesionclick.model.files import DATASET_FILE

ORGANS = (
    "spleen",
    "kidneys",
    "liver",
    "urinary bladder",
    "lungs",
    "brain",
    "heart",
    "stomach",
    "prostate",
    "glands",  # parotid and submandibular
)
"""Names of the organ classes 1 to 10 (arXiv 2508.21680); 0 is everything else."""

UNKNOWN_ORGAN = len(ORGANS) + 1
"""Number of a voxel, beside 0 to 10, of which nobody knows to which organ it belongs, if to any."""

UNKNOWN = -2
"""What a stored label holds, in either channel, where nobody knows: whether there is a lesion, or which organ."""

SPLITS_FILE = "splits_final.json"

Splits = list[dict[str, list[str]]]


def organ_number(organ: str) -> int:
    """The number of an organ of `ORGANS`, 1 to 10."""
    return ORGANS.index(organ) + 1


def stack_label(
    lesion_zyx: np.ndarray, organ_zyx: np.ndarray | None = None, annotated_zyx: np.ndarray | None = None
) -> np.ndarray:
    """Lesions and organs of a case as stored.

    Args:
        lesion_zyx: 0 or 1.
        organ_zyx: 0 to 10, and `UNKNOWN_ORGAN` where it is not known; None where no organ is known anywhere.
        annotated_zyx: where a reader looked for lesions; None for everywhere. A lesion is one wherever it lies.

    Returns:
        int8 of shape (2, z, y, x).
    """
    lesion = (lesion_zyx > 0).astype(np.int8)
    if annotated_zyx is not None:
        lesion[(annotated_zyx == 0) & (lesion == 0)] = UNKNOWN
    if organ_zyx is None:
        return np.stack([lesion, np.full_like(lesion, UNKNOWN)])
    organ = organ_zyx.astype(np.int8)
    stored = np.where(organ > 0, organ + 1, 0)
    stored[organ == UNKNOWN_ORGAN] = UNKNOWN
    return np.stack([lesion, stored.astype(np.int8)])


def write_label(path: Path, label: np.ndarray, reference: sitk.Image) -> None:
    """Writes a label of `stack_label` as a 4D file on the grid of a 3D image.

    Raises:
        CaseError: the file cannot be written.
    """
    image = sitk.JoinSeries([sitk.GetImageFromArray(channel) for channel in label])
    direction = np.eye(4)
    direction[:3, :3] = np.reshape(reference.GetDirection(), (3, 3))
    image.SetSpacing((*reference.GetSpacing(), 1.0))
    image.SetOrigin((*reference.GetOrigin(), 0.0))
    image.SetDirection(direction.ravel().tolist())
    _write_image(image, path)


def write_case(dataset: Path, name: str, ct: sitk.Image, pet: sitk.Image, label: np.ndarray) -> None:
    """Writes one training case.

    Args:
        dataset: the folder DatasetXXX_Name.
        name: the case's.
        ct: HU.
        pet: SUV, on the CT's grid.
        label: as `stack_label` makes it, on that grid.

    Raises:
        CaseError: a file cannot be written.
    """
    for image, suffix in ((ct, CT_SUFFIX), (pet, PET_SUFFIX)):
        _write_image(image, dataset / "imagesTr" / f"{name}{suffix}{FILE_ENDING}")
    write_label(dataset / "labelsTr" / f"{name}{FILE_ENDING}", label, ct)


def _write_image(image: sitk.Image, path: Path) -> None:
    with replacing(path) as temporary:
        try:
            sitk.WriteImage(image, str(temporary), useCompression=True)
        except RuntimeError as error:
            raise OSError(str(error).splitlines()[-1]) from error


def write_dataset_json(dataset: Path, description: str = "") -> None:
    """Writes dataset.json for the cases that lie in a dataset's folder; `description` goes into trained models.

    Raises:
        CaseError: the file cannot be written.
    """
    content = {
        "channel_names": {"0": "CT", "1": "PET"},
        "labels": {"background": 0, "tumor": 1},
        "numTraining": len(case_names(dataset)),
        "file_ending": FILE_ENDING,
        "name": dataset.name,
        "description": description,
        "overwrite_image_reader_writer": "SimpleITKIO",
    }
    _write_json(content, dataset / DATASET_FILE)


def write_splits(folder: Path, splits: Sequence[Mapping[str, Sequence[str]]]) -> None:
    """Writes splits_final.json: one {"train": [...], "val": [...]} of case names a fold.

    Raises:
        CaseError: the file cannot be written.
    """
    listed = [{"train": list(fold["train"]), "val": list(fold["val"])} for fold in splits]
    _write_json(listed, folder / SPLITS_FILE)


def _write_json(content: Any, path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")


def read_splits(path: Path, names: Sequence[str]) -> Splits:
    """Reads splits_final.json.

    Args:
        path: the file.
        names: of the cases that are there.

    Returns:
        One {"train": [...], "val": [...]} a fold.

    Raises:
        CaseError: the file is not such a list, names a case that is not there, or has a case on both sides of a fold.
    """
    splits = read_json(path, CaseError)
    if not isinstance(splits, list) or not splits:
        raise CaseError(f"{path}: expected a list of folds")
    known = set(names)
    checked: Splits = []
    for index, fold in enumerate(splits):
        where = f"{path}: fold {index}"
        if not isinstance(fold, dict):
            raise CaseError(f"{where} is not an object with the lists 'train' and 'val'")
        sides: dict[str, list[str]] = {}
        for side in ("train", "val"):
            cases = fold.get(side)
            if not isinstance(cases, list) or not cases or not all(isinstance(case, str) for case in cases):
                raise CaseError(f"{where} has no list of case names under '{side}'")
            sides[side] = cases
            for unknown in sorted(set(cases) - known):
                raise CaseError(f"{where} names the case {unknown} under '{side}', which is not there")
        for case in sorted(set(sides["train"]) & set(sides["val"])):
            raise CaseError(f"{where} has the case {case} in both 'train' and 'val'")
        checked.append(sides)
    return checked


@contextlib.contextmanager
def adding_cases(dataset: Path, description: str = "") -> Iterator[Path]:
    """A folder to write new cases into: they join the dataset if the block ends well and vanish otherwise.

    The dataset is made where it is missing, and its dataset.json is brought up to date. Where it has a
    splits_final.json already the new cases join the training side of every fold: what the folds are validated on stays
    as it was.

    Args:
        dataset: DatasetXXX_Name, with a number of three digits.
        description: added to that of the dataset, which models carry and repeat each time they are used.

    Raises:
        CaseError: the name is another, the dataset has a case of the same name, or something cannot be written.
    """
    if not re.fullmatch(r"Dataset\d{3}_\S+", dataset.name):
        raise CaseError(f"{dataset}: expected a name like Dataset221_AutoPET, with a number of three digits")
    try:
        dataset.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=dataset.parent, prefix=".") as temporary:
            staged = Path(temporary) / dataset.name
            staged.mkdir()
            yield staged
            _join(staged, dataset, description)
    except OSError as error:
        raise CaseError(f"{dataset}: cannot be written: {describe_error(error)}") from error


def _join(staged: Path, dataset: Path, description: str) -> None:
    names = case_names(staged)
    for name in names:
        if (dataset / "labelsTr" / f"{name}{FILE_ENDING}").exists():
            raise CaseError(f"{dataset}: has a case {name} already")
    splits_path = dataset / SPLITS_FILE
    splits = read_splits(splits_path, case_names(dataset)) if splits_path.exists() else None
    json_path = dataset / DATASET_FILE
    before = read_json_object(json_path, CaseError).get("description", "") if json_path.exists() else ""
    if description and description not in before:
        before = f"{before}; {description}" if before else description
    for path in sorted(staged.rglob("*")):
        if not path.is_dir():
            target = dataset / path.relative_to(staged)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
    write_dataset_json(dataset, before)
    if splits is not None:
        write_splits(dataset, [{"train": [*fold["train"], *names], "val": fold["val"]} for fold in splits])
