"""Cases in nnU-Net's raw layout, with one label of two channels: lesions and organs.

    <raw>/DatasetXXX_Name/dataset.json
    <raw>/DatasetXXX_Name/imagesTr/<case>_0000.nii.gz   CT, HU
    <raw>/DatasetXXX_Name/imagesTr/<case>_0001.nii.gz   PET, SUV
    <raw>/DatasetXXX_Name/labelsTr/<case>.nii.gz        4D: channel 0 lesions, channel 1 organs

nnU-Net's own reader takes the fourth dimension of a file for channels, of labels too, and cropping, resampling, storage,
loading and augmentation carry both along. It counts label values over both channels when it looks for foreground to
sample patches from; organs are therefore stored one higher than their number (2 to 11), so that 1 is a lesion and nothing
else.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

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

CT_SUFFIX, PET_SUFFIX, FILE_ENDING = "_0000", "_0001", ".nii.gz"


def stack_label(lesion_zyx: np.ndarray, organ_zyx: np.ndarray | None = None) -> np.ndarray:
    """Lesions (0, 1) and organs (0 to 10; None for none known) as stored: uint8 of shape (2, z, y, x)."""
    lesion = (lesion_zyx > 0).astype(np.uint8)
    organ = np.zeros_like(lesion) if organ_zyx is None else organ_zyx.astype(np.uint8)
    return np.stack([lesion, np.where(organ > 0, organ + 1, 0).astype(np.uint8)])


def write_label(path: Path, label: np.ndarray, reference: sitk.Image) -> None:
    """Writes a label of `stack_label` as a 4D file on the grid of a 3D image."""
    image = sitk.JoinSeries([sitk.GetImageFromArray(channel) for channel in label])
    direction = np.eye(4)
    direction[:3, :3] = np.reshape(reference.GetDirection(), (3, 3))
    image.SetSpacing((*reference.GetSpacing(), 1.0))
    image.SetOrigin((*reference.GetOrigin(), 0.0))
    image.SetDirection(direction.ravel().tolist())
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path), useCompression=True)


def write_case(dataset: Path, name: str, ct: sitk.Image, pet: sitk.Image, label: np.ndarray) -> None:
    """Writes one training case.

    Args:
        dataset: the folder DatasetXXX_Name.
        name: the case's.
        ct: HU.
        pet: SUV, on the CT's grid.
        label: as `stack_label` makes it, on that grid.
    """
    images = dataset / "imagesTr"
    images.mkdir(parents=True, exist_ok=True)
    for image, suffix in ((ct, CT_SUFFIX), (pet, PET_SUFFIX)):
        sitk.WriteImage(image, str(images / f"{name}{suffix}{FILE_ENDING}"), useCompression=True)
    write_label(dataset / "labelsTr" / f"{name}{FILE_ENDING}", label, ct)


def write_dataset_json(dataset: Path, description: str = "") -> None:
    """Writes dataset.json for the cases that lie in a dataset's folder; `description` goes into trained models."""
    content = {
        "channel_names": {"0": "CT", "1": "PET"},
        "labels": {"background": 0, "tumor": 1},
        "numTraining": len(list((dataset / "labelsTr").glob(f"*{FILE_ENDING}"))),
        "file_ending": FILE_ENDING,
        "name": dataset.name,
        "description": description,
        # nnU-Net would pick a reader by trying; its CT normalisation for both channels is the published one
        "overwrite_image_reader_writer": "SimpleITKIO",
    }
    (dataset / "dataset.json").write_text(json.dumps(content, indent=1) + "\n")


def write_splits(folder: Path, splits: Sequence[Mapping[str, Sequence[str]]]) -> None:
    """Writes splits_final.json: one {"train": [...], "val": [...]} of case names a fold."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = [{"train": list(fold["train"]), "val": list(fold["val"])} for fold in splits]
    (folder / "splits_final.json").write_text(json.dumps(listed, indent=1) + "\n")
