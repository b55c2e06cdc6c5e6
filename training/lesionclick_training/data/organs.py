"""Organ labels out of TotalSegmentator's output.

The ten organs of `nnunet_layout.ORGANS` are put together from classes of TotalSegmentator v2: its task "total" and, for
the glands, its task "head_glands_cavities". Either of its output formats will do: one multilabel file (`--ml`), or a
folder with one binary file a class.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from lesionclick.case.dataset import FILE_ENDING
from lesionclick.case.geometry import Geometry, require_same_grid
from lesionclick.case.images import image_from_array, read_geometry, read_label, resample_label, write_image
from lesionclick.errors import CaseError
from lesionclick_training.data.nnunet_layout import ORGANS, organ_number


@dataclass(frozen=True)
class Task:
    """A task of TotalSegmentator v2, as far as our organs need it.

    Attributes:
        name: as TotalSegmentator calls it.
        class_count: how many classes its multilabel files number, from 1.
        indices: class name -> its number there, of the classes that are part of an organ of ours.
    """

    name: str
    class_count: int
    indices: Mapping[str, int]


TOTAL = Task(
    "total",
    117,
    {
        "spleen": 1,
        "kidney_right": 2,
        "kidney_left": 3,
        "liver": 5,
        "stomach": 6,
        "lung_upper_lobe_left": 10,
        "lung_lower_lobe_left": 11,
        "lung_upper_lobe_right": 12,
        "lung_middle_lobe_right": 13,
        "lung_lower_lobe_right": 14,
        "urinary_bladder": 21,
        "prostate": 22,
        "heart": 51,
        "brain": 90,
    },
)
"""Numbers of TotalSegmentator v2's class map (`totalsegmentator.map_to_binary`, 2.0 to 2.18)."""

HEAD_GLANDS = Task(
    "head_glands_cavities",
    19,
    {
        "parotid_gland_left": 7,
        "parotid_gland_right": 8,
        "submandibular_gland_right": 9,
        "submandibular_gland_left": 10,
    },
)
"""Numbers of the same class map; the two sides are in this order there."""

CLASSES: Mapping[str, tuple[str, ...]] = {
    "spleen": ("spleen",),
    "kidneys": ("kidney_right", "kidney_left"),
    "liver": ("liver",),
    "urinary bladder": ("urinary_bladder",),
    "lungs": (
        "lung_upper_lobe_left",
        "lung_lower_lobe_left",
        "lung_upper_lobe_right",
        "lung_middle_lobe_right",
        "lung_lower_lobe_right",
    ),
    "brain": ("brain",),
    "heart": ("heart",),
    "stomach": ("stomach",),
    "prostate": ("prostate",),
    "glands": (
        "parotid_gland_left",
        "parotid_gland_right",
        "submandibular_gland_right",
        "submandibular_gland_left",
    ),
}
"""Our organs (arXiv 2508.21680) and the TotalSegmentator classes that make them up; cysts are no part of a kidney."""

PRECEDENCE = (
    "glands",
    "prostate",
    "urinary bladder",
    "kidneys",
    "spleen",
    "stomach",
    "heart",
    "liver",
    "brain",
    "lungs",
)
"""Where classes overlap the organ that stands first here has the voxel: roughly the smaller, which has more to lose."""


def label_organs(reference: sitk.Image, total: Path, head_glands: Path | None = None) -> np.ndarray:
    """Our organ label out of TotalSegmentator's output.

    Args:
        reference: the image on whose grid the label is wanted, usually the CT; the output is resampled to it (nearest
            neighbor, 0 outside) where it lies on another.
        total: output of the task "total", a multilabel file or a folder of <class>.nii.gz.
        head_glands: output of the task "head_glands_cavities", likewise; without it the glands (10) stay unlabeled.

    Returns:
        uint8 of shape (z, y, x): 0 for none, 1 to 10 by `ORGANS`; overlaps go by `PRECEDENCE`.

    Raises:
        CaseError: something is missing, is not of that task, or lies elsewhere than the reference.
    """
    label = _label_of_task(total, TOTAL, reference)
    if head_glands is None:
        return label
    glands = _label_of_task(head_glands, HEAD_GLANDS, reference)
    return np.where(glands > 0, glands, label)  # the glands stand first in PRECEDENCE


def _label_of_task(path: Path, task: Task, reference: sitk.Image) -> np.ndarray:
    image = _organs_of_folder(path, task) if path.is_dir() else _organs_of_multilabel(path, task)
    return _resample_organs(image, reference, path)


def _organs_of_multilabel(path: Path, task: Task) -> sitk.Image:
    image = read_label(path, task.class_count)
    organ_of_class = np.zeros(task.class_count + 1, dtype=np.uint8)
    for organ, classes in CLASSES.items():
        for name in classes:
            if name in task.indices:
                organ_of_class[task.indices[name]] = organ_number(organ)
    return image_from_array(organ_of_class[sitk.GetArrayViewFromImage(image)], Geometry.of(image))


def _organs_of_folder(folder: Path, task: Task) -> sitk.Image:
    organ_of_class = {name: organ for organ in reversed(PRECEDENCE) for name in CLASSES[organ] if name in task.indices}
    paths = {name: folder / f"{name}{FILE_ENDING}" for name in organ_of_class}
    first, *_ = paths.values()
    grid = read_geometry(first)
    label = np.zeros(grid.shape_zyx, dtype=np.uint8)
    for name, organ in organ_of_class.items():
        mask = read_label(paths[name], 1)
        require_same_grid(grid, Geometry.of(mask), ("class", "class"), (first, paths[name]))
        label[sitk.GetArrayViewFromImage(mask) > 0] = organ_number(organ)
    return image_from_array(label, grid)


def _resample_organs(image: sitk.Image, reference: sitk.Image, path: Path) -> np.ndarray:
    label = resample_label(image, reference)
    if not label.any() and sitk.GetArrayViewFromImage(image).any():
        raise CaseError(
            f"{path}: none of its organs lies inside the image that it should go with, is it another case's?"
        )
    return label


def read_organs(path: Path, reference: sitk.Image) -> np.ndarray:
    """Reads an organ label that `write_organs` wrote.

    Returns:
        uint8 of shape (z, y, x) on the reference's grid, 0 to 10; resampled (nearest neighbor) from any other.

    Raises:
        CaseError: the file is missing, holds other values, or lies elsewhere than the reference.
    """
    return _resample_organs(read_label(path, len(ORGANS)), reference, path)


def write_organs(path: Path, label: np.ndarray, reference: sitk.Image) -> None:
    """Writes an organ label (0 to 10, of shape z, y, x) on a reference's grid; a reader sees all of it or nothing.

    Raises:
        CaseError: the path does not end in .nii.gz or cannot be written.
    """
    if not path.name.endswith(FILE_ENDING):
        raise CaseError(f"{path}: the name of an organ label must end in {FILE_ENDING}")
    write_image(label.astype(np.uint8), Geometry.of(reference), path)
