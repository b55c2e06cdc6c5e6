"""TotalSegmentator's output: which task and version made it, and our organs put together from its classes.

Either of its output formats will do: one multilabel file (`--ml`), or a folder with one binary file a class. Version 1
of the task "total" has 104 classes, version 2 has 117 under other numbers.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from xml.etree import ElementTree

import nibabel
import numpy as np
import SimpleITK as sitk

from lesionclick.case.dataset import FILE_ENDING
from lesionclick.case.geometry import Geometry, require_same_grid
from lesionclick.case.images import image_from_array, read_geometry, read_label
from lesionclick.errors import CaseError
from lesionclick_training.data.nnunet_layout import organ_number
from lesionclick_training.data.organ_classes import (
    CLASSES,
    HEAD_GLANDS,
    PRECEDENCE,
    TOTAL_V1,
    TOTAL_V2,
    TOTALS,
    Task,
    organs_of,
)

CLEAR_RATIO = 3.0
"""How many times as large as the other one of two pairs of classes has to be to tell the version."""


def read_total(path: Path, version: int | None = None, fallback: int | None = None) -> tuple[sitk.Image, set[str]]:
    """Our organs out of the task "total" of either version.

    Args:
        path: a multilabel file or a folder of <class>.nii.gz.
        version: 1 or 2; None tells it from the names in the file's header or in the folder, else from the labels.
        fallback: what to take where None cannot tell.

    Returns:
        The organs, uint8 with 0 to 10 on the file's grid, and the names of those that the version knows.

    Raises:
        CaseError: files are missing, are not of that task or version, or the version cannot be told.
    """
    if path.is_dir():
        if version is None:
            # version 2 has one heart, and its chambers in a task of their own, whose files may lie here too
            chambers, heart = ((path / f"{name}{FILE_ENDING}").exists() for name in ("heart_myocardium", "heart"))
            version = 1 if chambers and not heart else 2
        return _read_folder(path, TOTALS[version]), organs_of(TOTALS[version])
    names = _named_classes(path)
    if names is not None:
        task = _task_of_names(path, names, TOTALS.values() if version is None else [TOTALS[version]])
    else:
        if version is None:
            version = version_of(read_label(path, TOTAL_V2.class_count)) or fallback
        if version is None:
            raise CaseError(
                f"{path}: it cannot be told whether version 1 or 2 of TotalSegmentator numbered its classes, expected "
                "the version to be given"
            )
        task = TOTALS[version]
    return _read_multilabel(path, task), organs_of(task)


def read_head_glands(path: Path) -> sitk.Image:
    """Our glands out of the task "head_glands_cavities": uint8 with 0 and 10, on the file's grid.

    Raises:
        CaseError: files are missing or not of that task.
    """
    if path.is_dir():
        return _read_folder(path, HEAD_GLANDS)
    names = _named_classes(path)
    if names is not None:
        _task_of_names(path, names, [HEAD_GLANDS])
    return _read_multilabel(path, HEAD_GLANDS)


def version_of(label: sitk.Image) -> int | None:
    """The version that numbered a label of the task "total", or None where that is not clear.

    Version 1 has 104 classes. Up to there the pairs 8, 9 and 11, 12 tell: in version 1 they are two large veins and the
    adrenal glands, in version 2 the adrenal glands and two lobes of the lungs. Whichever pair is much larger decides.
    """
    counts = np.bincount(sitk.GetArrayViewFromImage(label).ravel(), minlength=TOTAL_V2.class_count + 1)
    if counts[TOTAL_V1.class_count + 1 :].any():
        return 2
    first, second = counts[[8, 9]].sum(), counts[[11, 12]].sum()
    if first > CLEAR_RATIO * second:
        return 1
    if second > CLEAR_RATIO * first:
        return 2
    return None


def _named_classes(path: Path) -> dict[str, int] | None:
    """Class name -> number as TotalSegmentator writes them into a NIfTI's header extension; None without one."""
    read_geometry(path)  # fails with a sentence where the file is missing or no image
    try:
        extensions = nibabel.Nifti1Image.from_filename(path).header.extensions
        # an extension is padded with zero bytes to a multiple of 16
        tables = [ElementTree.fromstring(extension.get_content().strip(b"\0 \n")) for extension in extensions]
        labels = [label for table in tables for label in table.iter("Label")]
        return {str(label.text).strip(): int(label.attrib["Key"]) for label in labels} or None
    except (nibabel.filebasedimages.ImageFileError, ElementTree.ParseError, KeyError, TypeError, ValueError):
        return None


def _task_of_names(path: Path, names: Mapping[str, int], tasks: Collection[Task]) -> Task:
    for task in tasks:
        if task.indices.items() <= names.items():
            return task
    expected = " or ".join(task.name for task in tasks)
    raise CaseError(f"{path}: its header names other classes than those of TotalSegmentator's task {expected}")


def _read_multilabel(path: Path, task: Task) -> sitk.Image:
    image = read_label(path, task.class_count)
    organ_of_class = np.zeros(task.class_count + 1, dtype=np.uint8)
    for organ, classes in CLASSES.items():
        for name in classes:
            if name in task.indices:
                organ_of_class[task.indices[name]] = organ_number(organ)
    return image_from_array(organ_of_class[sitk.GetArrayViewFromImage(image)], Geometry.of(image))


def _read_folder(folder: Path, task: Task) -> sitk.Image:
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
