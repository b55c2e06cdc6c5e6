"""Coarse images, on which checks are quick: CT, PET and the body in steps of some millimeters."""

import math
from dataclasses import dataclass

import cc3d
import numpy as np

from lesionclick.case.case import Case

STEP_MM = 6.0

TISSUE_HU = -300.0

PART_OF_LARGEST = 0.01
"""Connected parts smaller than this share of the largest one are cables and specks of noise, not the patient."""

LARGE_ML = 15_000.0
"""A body in the field of view that is larger is no crop around a lesion, and no scan of a head or a limb alone."""


@dataclass(frozen=True, eq=False)
class CoarseCase:
    """A case in steps of about STEP_MM, or of a voxel where voxels are larger.

    Attributes:
        ct_zyx: HU, if they are.
        pet_zyx: SUV, if they are.
        ct_body_zyx: tissue in the CT with what it encloses in an axial slice, such as the lungs.
        pet_body_zyx: as many voxels, those of most uptake; the unit of the PET does not matter for it.
        indices_zyx: the case's voxels that were taken along each axis; both ends are among them, so that the case
            flipped gives this flipped.
        spacing_zyx: of the coarse voxels, mm.
    """

    ct_zyx: np.ndarray
    pet_zyx: np.ndarray
    ct_body_zyx: np.ndarray
    pet_body_zyx: np.ndarray
    indices_zyx: tuple[np.ndarray, ...]
    spacing_zyx: tuple[float, ...]

    @classmethod
    def of(cls, case: Case, step_mm: float = STEP_MM) -> "CoarseCase":
        """A case seen coarsely: single voxels of it, no means, so that noise and extremes stay what they are.

        Args:
            case: the images.
            step_mm: from one coarse voxel to the next; smaller where an axis would have fewer than 8, or is shorter.
        """
        sizes, spacing_zyx = case.ct_zyx.shape, case.geometry.spacing_zyx
        counts = [
            min(size, max(8, round((size - 1) * spacing / step_mm) + 1))
            for size, spacing in zip(sizes, spacing_zyx, strict=True)
        ]
        indices = tuple(
            np.round(np.linspace(0, size - 1, count)).astype(np.int64)
            for size, count in zip(sizes, counts, strict=True)
        )
        ct, pet = (image[np.ix_(*indices)] for image in (case.ct_zyx, case.pet_zyx))
        body = _find_body(ct)
        coarse_spacing = tuple(
            spacing * (size - 1) / max(1, count - 1)
            for spacing, size, count in zip(spacing_zyx, sizes, counts, strict=True)
        )
        return cls(ct, pet, body, _most_uptake(pet, int(body.sum())), indices, coarse_spacing)

    @property
    def voxel_ml(self) -> float:
        """Volume of a coarse voxel."""
        return math.prod(self.spacing_zyx) / 1000

    @property
    def body_ml(self) -> float:
        """Volume of the body in the CT."""
        return float(self.ct_body_zyx.sum()) * self.voxel_ml

    @property
    def is_large(self) -> bool:
        """Whether so much of a patient is seen that means over the body tell something."""
        return self.body_ml >= LARGE_ML

    @property
    def body_mean(self) -> float:
        """Mean of the PET over the CT's body; over everything where there is none."""
        return float(self.pet_zyx[self.ct_body_zyx].mean() if self.ct_body_zyx.any() else self.pet_zyx.mean())


def _find_body(ct_zyx: np.ndarray) -> np.ndarray:
    parts = cc3d.connected_components(ct_zyx > TISSUE_HU)
    voxels = cc3d.statistics(parts)["voxel_counts"]
    voxels[0] = 0  # air
    large: np.ndarray = (voxels >= max(1.0, PART_OF_LARGEST * voxels.max()))[parts]
    body: np.ndarray = _fill_between(large, 1) & _fill_between(large, 2)
    return body


def _fill_between(mask: np.ndarray, axis: int) -> np.ndarray:
    """What is true or lies between true voxels along an axis."""
    before = np.logical_or.accumulate(mask, axis)
    behind = np.flip(np.logical_or.accumulate(np.flip(mask, axis), axis), axis)
    both: np.ndarray = before & behind
    return both


def _most_uptake(pet_zyx: np.ndarray, count: int) -> np.ndarray:
    """The given number of voxels with the most uptake; fewer where so many lie not above the least value."""
    above_least: np.ndarray = pet_zyx > pet_zyx.min()
    values = pet_zyx[above_least]  # the air, all alike, would make partition slow
    if values.size <= count:
        return above_least
    most: np.ndarray = pet_zyx >= np.partition(values, -count)[-count] if count else np.zeros(pet_zyx.shape, dtype=bool)
    return most
