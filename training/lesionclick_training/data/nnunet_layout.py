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
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from lesionclick.case.dataset import CT_SUFFIX, FILE_ENDING, PET_SUFFIX, case_names
from lesionclick.case.organs import ORGANS as ORGANS
from lesionclick.case.organs import organ_number as organ_number
from lesionclick.errors import CaseError
from lesionclick.files import describe_error, read_json_object, replacing, write_json
from lesionclick.model.files import DATASET_FILE
from lesionclick_training.data.splits import (
    FOLDS,
    SPLITS_FILE,
    Splits,
    add_training_cases,
    complete_splits,
    patient_of,
    read_splits,
    split_new_cases,
    write_splits,
)

UNKNOWN_ORGAN = len(ORGANS) + 1
"""Number of a voxel, beside 0 to 10, of which nobody knows to which organ it belongs, if to any."""

UNKNOWN = -2
"""What a stored label holds, in either channel, where nobody knows: whether there is a lesion, or which organ."""


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
    write_json(content, dataset / DATASET_FILE)


@contextlib.contextmanager
def adding_cases(
    dataset: Path, description: str = "", extend: Path | None = None, *, cross_validate: bool = False
) -> Iterator[Path]:
    """A folder to write new cases into: they join the dataset if the block ends well and vanish otherwise.

    The dataset is made where it is missing, and its dataset.json is brought up to date. Where it has a
    splits_final.json already the new cases join the training side of every fold: what the folds are validated on stays
    as it was.

    Args:
        dataset: DatasetXXX_Name, with a number of three digits.
        description: added to that of the dataset, which models carry and repeat each time they are used.
        extend: a dataset of which `dataset` is made first: with its cases and clicks, as symbolic links, its
            description and its splits, so that no network trained on the larger one has seen what the smaller one's
            folds are validated on. Where it has no splits_final.json one is made for it (`splits.make_splits`), since
            the two would be split differently otherwise.
        cross_validate: splits the new cases instead, into as many folds as the dataset, or the one to extend, has (five
            where it has none), patients kept together (`splits.make_splits`). Each new case is then on the validation
            side of one fold and on the training side of the others; all that were there are on the training side alone.

    Raises:
        CaseError: the name is another, the dataset has a case of the same name, a new case is of a patient whom a fold
            is validated on or, with `cross_validate`, of one who is there already, new cases are too few for the folds,
            there is no dataset to extend or one in place of the larger, or something cannot be written.
    """
    if not re.fullmatch(r"Dataset\d{3}_\S+", dataset.name):
        raise CaseError(f"{dataset}: expected a name like Dataset221_AutoPET, with a number of three digits")
    if extend is not None and dataset.exists():
        raise CaseError(f"{dataset}: exists already, expected the name of a dataset to make")
    if extend is not None and not case_names(extend):
        raise CaseError(f"{extend}: holds no case, expected the folder of a dataset to extend")
    try:
        dataset.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=dataset.parent, prefix=".") as temporary:
            staged = Path(temporary) / dataset.name
            staged.mkdir()
            yield staged
            if extend is None:
                _join(staged, dataset, description, cross_validate)
            else:
                larger = Path(temporary) / "larger" / dataset.name
                if not cross_validate:
                    _require_new(case_names(staged), extend, complete_splits(extend))
                _link_dataset(extend, larger)
                _join(staged, larger, description, cross_validate)
                larger.replace(dataset)
    except OSError as error:
        raise CaseError(f"{dataset}: cannot be written: {describe_error(error)}") from error


def _link_dataset(source: Path, target: Path) -> None:
    """Makes a dataset of symbolic links to the files in another's folders; its JSON files are copied."""
    for path in sorted(source.glob("[!.]*/[!.]*")):
        link = target / path.relative_to(source)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path.resolve())
    for path in source.glob("[!.]*.json"):
        shutil.copyfile(path, target / path.name)


def _require_new(names: Sequence[str], dataset: Path, splits: Splits | None) -> None:
    """Raises CaseError where new cases have names of a dataset's, or are of patients that a fold validates on."""
    for name in names:
        if (dataset / "labelsTr" / f"{name}{FILE_ENDING}").exists():
            raise CaseError(f"{dataset}: has a case {name} already")
    for index, fold in enumerate(splits or ()):
        validated = {patient_of(name): name for name in fold["val"]}
        for name in names:
            if patient_of(name) in validated:
                raise CaseError(
                    f"{dataset / SPLITS_FILE}: the new case {name} is of the patient of {validated[patient_of(name)]}, "
                    f"which fold {index} is validated on, expected other patients"
                )


def _join(staged: Path, dataset: Path, description: str, cross_validate: bool) -> None:
    names, there = case_names(staged), case_names(dataset)
    splits_path = dataset / SPLITS_FILE
    splits = read_splits(splits_path, there) if splits_path.exists() else None
    if cross_validate:
        _require_new(names, dataset, None)
        splits = split_new_cases(names, there, FOLDS if splits is None else len(splits))
    else:
        _require_new(names, dataset, splits)
        splits = None if splits is None else add_training_cases(splits, names)
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
        write_splits(dataset, splits)
