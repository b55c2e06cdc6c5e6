"""Organ labels of cases: put together from TotalSegmentator's output, written, and read for a case's grid.

In an organ label 1 to 10 are the organs of `nnunet_layout.ORGANS`, 0 is what is none of them, and `UNKNOWN_ORGAN` what
may be one, or not: where an organ that was not labeled can lie, and outside of the label's grid.
"""

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from lesionclick.case.dataset import FILE_ENDING
from lesionclick.case.geometry import Geometry
from lesionclick.case.images import read_label, write_image
from lesionclick.errors import CaseError
from lesionclick.log import logger
from lesionclick_training.data.nnunet_layout import ORGANS, UNKNOWN_ORGAN, organ_number
from lesionclick_training.data.totalsegmentator import read_head_glands, read_total
from lesionclick_training.data.unknown_organs import mark_unlabeled


class OrganSource(StrEnum):
    """Who made the organ labels that are read.

    OURS is `write_organs`. PUBLISHED are those of github.com/MIC-DKFZ/autopet-3-submission: numbered as ours, but their
    glands were made of one class too low of "head_glands_cavities", so that they hold the right optic nerve and lack
    the left submandibular gland.
    """

    OURS = "convert-organs"
    PUBLISHED = "published"


def label_organs(
    reference: sitk.Image,
    total: Path,
    head_glands: Path | None = None,
    version: int | None = None,
    fallback_version: int | None = None,
) -> np.ndarray:
    """Our organ label out of TotalSegmentator's output.

    Args:
        reference: the image on whose grid the label is wanted, usually the CT; the output is resampled to it (nearest
            neighbor) where it lies on another.
        total: output of the task "total", a multilabel file or a folder of <class>.nii.gz.
        head_glands: output of the task "head_glands_cavities", likewise; without it the glands are unknown.
        version: of TotalSegmentator's numbers in `total`, 1 or 2; None tells it from the output.
        fallback_version: what to take where None cannot tell.

    Returns:
        uint8 of shape (z, y, x): 0 for none, 1 to 10 by `ORGANS`, `UNKNOWN_ORGAN`; overlaps go by
        `organ_classes.PRECEDENCE`.

    Raises:
        CaseError: something is missing, is not of that task, or lies elsewhere than the reference.
    """
    image, labeled = read_total(total, version, fallback_version)
    label = _resample(image, reference, total)
    if head_glands is not None:
        glands = _resample(read_head_glands(head_glands), reference, head_glands)
        label[(glands == UNKNOWN_ORGAN) & (label == 0)] = UNKNOWN_ORGAN
        label[glands == organ_number("glands")] = organ_number("glands")  # they stand first in PRECEDENCE
        labeled = {*labeled, "glands"}
    return mark_unlabeled(label, Geometry.of(reference), (organ for organ in ORGANS if organ not in labeled))


def _resample(image: sitk.Image, reference: sitk.Image, path: Path) -> np.ndarray:
    resampled = sitk.Resample(
        image, reference, sitk.Transform(), sitk.sitkNearestNeighbor, float(UNKNOWN_ORGAN), sitk.sitkUInt8
    )
    label: np.ndarray = sitk.GetArrayFromImage(resampled)
    if not _has_organ(label) and _has_organ(sitk.GetArrayViewFromImage(image)):
        raise CaseError(
            f"{path}: none of its organs lies inside the image that it should go with, is it another case's?"
        )
    return label


def _has_organ(label: np.ndarray) -> bool:
    return bool(((label > 0) & (label != UNKNOWN_ORGAN)).any())


def read_organs(path: Path, reference: sitk.Image, source: OrganSource = OrganSource.OURS) -> np.ndarray:
    """Reads an organ label.

    Args:
        path: the file.
        reference: the image on whose grid the label is wanted; it is resampled (nearest neighbor) from any other.
        source: who made it. Of the published ones organs 1 to 9 are taken, and the glands are unknown.

    Returns:
        uint8 of shape (z, y, x), 0 to 10 and `UNKNOWN_ORGAN`.

    Raises:
        CaseError: the file is missing, holds other values, or lies elsewhere than the reference.
    """
    ours = source is OrganSource.OURS
    label = _resample(read_label(path, UNKNOWN_ORGAN if ours else len(ORGANS)), reference, path)
    if ours:
        return label
    label[label == organ_number("glands")] = UNKNOWN_ORGAN
    return mark_unlabeled(label, Geometry.of(reference), ["glands"])


def write_organs(path: Path, label: np.ndarray, reference: sitk.Image) -> None:
    """Writes an organ label (0 to 11, of shape z, y, x) on a reference's grid; a reader sees all of it or nothing.

    Raises:
        CaseError: the path does not end in .nii.gz or cannot be written.
    """
    if not path.name.endswith(FILE_ENDING):
        raise CaseError(f"{path}: the name of an organ label must end in {FILE_ENDING}")
    write_image(label.astype(np.uint8), Geometry.of(reference), path)


def find_organ_labels(folder: Path | None, names: Iterable[str]) -> dict[str, Path]:
    """Case name -> its organ label <case>.nii.gz in a folder, of the cases that have one; nothing without a folder.

    Raises:
        CaseError: the folder has a label for none of the cases.
    """
    if folder is None:
        return {}
    paths = {name: folder / f"{name}{FILE_ENDING}" for name in names}
    found = {name: path for name, path in paths.items() if path.is_file()}
    if not found:
        raise CaseError(f"{folder}: holds an organ label for none of the cases, expected <case>{FILE_ENDING}")
    return found


def warn_of_missing_organs(missing: int, total: int) -> None:
    """Logs a warning where cases have no organ label at all."""
    if missing:
        logger.warning("%d of %d cases have no organ label: the organ loss leaves them out", missing, total)
