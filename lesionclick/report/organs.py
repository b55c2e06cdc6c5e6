"""Organs about lesions: which one a lesion lies in, which is nearest, and the liver's uptake to compare with."""

from collections.abc import Sequence
from dataclasses import dataclass

import edt
import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from lesionclick.case.organs import ORGAN_CLASSES, ORGANS, organ_number

LIVER_MARGIN_MM = 10.0
"""The liver's uptake is measured this far inside of its edge and of lesions in it, where neither breathing nor the
scanner's blur mixes it with what is beside it."""


@dataclass(frozen=True)
class OrganOfLesion:
    """Where a lesion lies among organs.

    Attributes:
        organ: the one that more than half of its voxels lie in.
        nearest: the nearest; where the lesion reaches into some, that with most of its voxels.
        nearest_mm: distance between the nearest two voxels of both; 0 where the lesion reaches into it.
    """

    organ: str | None = None
    nearest: str | None = None
    nearest_mm: float | None = None


@dataclass(frozen=True)
class OrganUptake:
    """Uptake of an organ, g/ml.

    Attributes:
        suv_mean: mean over the voxels that are measured.
        suv_sd: their standard deviation, by n - 1.
        volume_ml: their volume.
    """

    suv_mean: float
    suv_sd: float
    volume_ml: float


def find_organs(
    numbers_zyx: np.ndarray, count: int, organs_zyx: np.ndarray, spacing_zyx: Sequence[float]
) -> list[OrganOfLesion]:
    """Where each lesion lies among organs.

    Args:
        numbers_zyx: 0 outside of lesions, and each one's number from 1 to `count` in its voxels.
        count: how many lesions there are.
        organs_zyx: numbers of `ORGANS`, 0 elsewhere, of that shape.
        spacing_zyx: mm.

    Returns:
        One for each lesion, in the order of their numbers.

    Raises:
        ValueError: there is a number beyond those of `ORGANS`.
    """
    if organs_zyx.max(initial=0) >= ORGAN_CLASSES:
        raise ValueError(f"organs have the number {organs_zyx.max()}, expected 0 to {len(ORGANS)}")
    inside = numbers_zyx > 0
    pairs = numbers_zyx[inside].astype(np.int64) * ORGAN_CLASSES + organs_zyx[inside]
    shared = np.bincount(pairs, minlength=(count + 1) * ORGAN_CLASSES).reshape(count + 1, ORGAN_CLASSES)[1:]
    nearest, distances = _nearest_organs(numbers_zyx, count, organs_zyx, spacing_zyx)
    found = []
    for voxels, number, distance in zip(shared, nearest, distances, strict=True):
        largest = int(voxels[1:].argmax()) + 1
        organ = ORGANS[largest - 1] if 2 * voxels[largest] > voxels.sum() else None
        if voxels[largest]:
            found.append(OrganOfLesion(organ, ORGANS[largest - 1], 0.0))
        elif number:
            found.append(OrganOfLesion(organ, ORGANS[number - 1], float(distance)))
        else:
            found.append(OrganOfLesion())
    return found


def _nearest_organs(
    numbers_zyx: np.ndarray, count: int, organs_zyx: np.ndarray, spacing_zyx: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """The number of the organ nearest to each lesion, 0 without any, and its distance in mm; between centers of voxels.

    Whatever is nearest to something outside of itself lies at its own surface: so surfaces alone are compared.
    """
    nearest, distances = np.zeros(count, dtype=np.int64), np.full(count, np.inf)
    organ_voxels = np.argwhere(_surface(organs_zyx) & (organs_zyx > 0))
    lesion_voxels = np.argwhere(_surface(numbers_zyx) & (numbers_zyx > 0))
    if not len(organ_voxels) or not len(lesion_voxels):
        return nearest, distances
    steps = np.asarray(spacing_zyx)
    distance, neighbor = cKDTree(organ_voxels * steps).query(lesion_voxels * steps)
    of_lesion = numbers_zyx[tuple(lesion_voxels.T)].astype(np.int64) - 1
    organ = organs_zyx[tuple(organ_voxels[neighbor].T)]
    farthest_first = np.argsort(-distance, kind="stable")  # so that the nearest is written last
    distances[of_lesion[farthest_first]] = distance[farthest_first]
    nearest[of_lesion[farthest_first]] = organ[farthest_first]
    return nearest, distances


def _surface(labels: np.ndarray) -> np.ndarray:
    """Where one of a voxel's 6 neighbors has another label: boolean."""
    surface = np.zeros(labels.shape, dtype=bool)
    for axis in range(3):
        ahead, behind = (tuple(part if each == axis else slice(None) for each in range(3)) for part in _HALVES)
        changes = labels[ahead] != labels[behind]
        surface[ahead] |= changes
        surface[behind] |= changes
    return surface


_HALVES = (slice(1, None), slice(None, -1))


def liver_uptake(
    organs_zyx: np.ndarray, mask_zyx: np.ndarray, pet_zyx: np.ndarray, spacing_zyx: Sequence[float]
) -> OrganUptake | None:
    """Uptake of the liver without lesions, `LIVER_MARGIN_MM` inside; None where nothing of it is left.

    PERCIST 1.0 takes a sphere of 3 cm across in the right lobe; this is all that is as deep inside as 1 cm.

    Args:
        organs_zyx: numbers of `ORGANS`, 0 elsewhere.
        mask_zyx: not 0 in lesions.
        pet_zyx: SUV.
        spacing_zyx: mm.
    """
    liver = organs_zyx == organ_number("liver")
    found = ndimage.find_objects(liver.view(np.uint8))
    if not found:
        return None
    box = found[0]
    healthy = np.pad(liver[box] & (mask_zyx[box] == 0), 1)  # beyond the image there is no liver either
    depth = edt.edt(healthy, anisotropy=tuple(float(step) for step in spacing_zyx))[1:-1, 1:-1, 1:-1]
    values = pet_zyx[box][depth >= LIVER_MARGIN_MM].astype(np.float64)
    if len(values) < 2:
        return None
    volume_ml = len(values) * float(np.prod(spacing_zyx)) / 1000
    return OrganUptake(float(values.mean()), float(values.std(ddof=1)), volume_ml)
