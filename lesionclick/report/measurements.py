"""Measurements of a case's lesions: volume, uptake, place and organ of each, and of all together.

docs/measurements.md says how each is defined, and by whom.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from scipy.spatial.distance import pdist

from lesionclick.case.geometry import Geometry
from lesionclick.case.lesions import label_lesions
from lesionclick.report.diameters import axial_axis, largest_axial_diameter
from lesionclick.report.organs import OrganOfLesion, OrganUptake, find_organs, liver_uptake
from lesionclick.report.suv_peak import sphere_means

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Lesion:
    """One lesion of a mask.

    Attributes:
        number: 1 for the largest.
        volume_ml: number of voxels times their volume.
        suv_max: the hottest voxel's uptake, g/ml like all SUVs.
        suv_mean: mean over its voxels.
        suv_peak: mean of the hottest sphere of 1 ml about any of its voxels.
        tlg: volume times mean, g/ml times ml.
        centroid_voxel: mean of its voxels' indices, x, y, z.
        centroid_mm: where that lies, in DICOM's coordinates (x to the left, y to the back, z to the head).
        axial_diameter_mm: the longest distance across it within an axial slice.
        organ: the one that more than half of its voxels lie in; None where there is none, or organs are not known.
        nearest_organ: None where organs are not known, or there are none.
        nearest_organ_mm: its distance; 0 where the lesion reaches into it.
    """

    number: int
    volume_ml: float
    suv_max: float
    suv_mean: float
    suv_peak: float
    tlg: float
    centroid_voxel: Point
    centroid_mm: Point
    axial_diameter_mm: float
    organ: str | None = None
    nearest_organ: str | None = None
    nearest_organ_mm: float | None = None


@dataclass(frozen=True, eq=False)
class LesionTable:
    """All lesions of a case.

    Attributes:
        lesions: in order of their numbers, the largest first.
        numbers_zyx: uint32, 0 outside and each lesion's number in its voxels.
        liver: the liver's uptake, to compare with; None where organs are not known or there is too little of it.
    """

    lesions: tuple[Lesion, ...]
    numbers_zyx: np.ndarray = field(repr=False)
    liver: OrganUptake | None = None

    @property
    def total_volume_ml(self) -> float:
        """Volume of all lesions together."""
        return math.fsum(lesion.volume_ml for lesion in self.lesions)

    @property
    def total_tlg(self) -> float:
        """TLG of all lesions together, g/ml times ml."""
        return math.fsum(lesion.tlg for lesion in self.lesions)

    @property
    def dmax_mm(self) -> float | None:
        """Distance between the centroids of the two lesions that are farthest apart; None for fewer than two.

        Cottereau et al., J Nucl Med 2020, 61(1), 40-45.
        """
        if len(self.lesions) < 2:
            return None
        return float(pdist([lesion.centroid_mm for lesion in self.lesions]).max())


def measure_lesions(
    mask_zyx: np.ndarray, pet_zyx: np.ndarray, geometry: Geometry, organs_zyx: np.ndarray | None = None
) -> LesionTable:
    """Measures the lesions of a mask, which are those that the challenge counts (`label_lesions`).

    Args:
        mask_zyx: not 0 in lesions.
        pet_zyx: body-weight SUV, of that shape.
        geometry: of both.
        organs_zyx: numbers of `case.organs.ORGANS`, 0 elsewhere, as `Session.predict_organs` gives them.

    Raises:
        ValueError: the arrays are not of the geometry's shape.
    """
    for name, array in (("mask", mask_zyx), ("PET", pet_zyx), ("organs", organs_zyx)):
        if array is not None and array.shape != geometry.shape_zyx:
            raise ValueError(f"{name} is of shape {array.shape}, expected {geometry.shape_zyx}")
    numbers_zyx, voxels, starts = _number_by_volume(mask_zyx)
    liver = None if organs_zyx is None else liver_uptake(organs_zyx, mask_zyx, pet_zyx, geometry.spacing_zyx)
    if not len(voxels):
        return LesionTable((), numbers_zyx, liver)

    uptake = pet_zyx[tuple(voxels.T)].astype(np.float64)
    sizes = np.diff(np.append(starts, len(voxels)))
    means = np.add.reduceat(uptake, starts) / sizes
    peaks = np.maximum.reduceat(sphere_means(pet_zyx, voxels, geometry.spacing_zyx), starts)
    volumes = sizes * (math.prod(geometry.spacing) / 1000)
    centroids = np.add.reduceat(voxels[:, ::-1], starts) / sizes[:, None]
    axis = axial_axis(geometry.direction)
    places = [OrganOfLesion()] * len(sizes)
    if organs_zyx is not None:
        places = find_organs(numbers_zyx, len(sizes), organs_zyx, geometry.spacing_zyx)
    lesions = [
        Lesion(
            number=index + 1,
            volume_ml=float(volumes[index]),
            suv_max=float(uptake[start : start + size].max()),
            suv_mean=float(means[index]),
            suv_peak=float(peaks[index]),
            tlg=float(volumes[index] * means[index]),
            centroid_voxel=_point(centroids[index]),
            centroid_mm=_to_world(geometry, centroids[index]),
            axial_diameter_mm=largest_axial_diameter(voxels[start : start + size, ::-1], geometry.spacing, axis),
            organ=places[index].organ,
            nearest_organ=places[index].nearest,
            nearest_organ_mm=places[index].nearest_mm,
        )
        for index, (start, size) in enumerate(zip(starts, sizes, strict=True))
    ]
    return LesionTable(tuple(lesions), numbers_zyx, liver)


def _number_by_volume(mask_zyx: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lesions numbered from the largest on; of equal ones that first whose first voxel comes first.

    Returns:
        The numbers (uint32, of the mask's shape), all voxels of lesions in order of their number (n, 3), and where in
        that list each lesion starts.
    """
    labels, count = label_lesions(mask_zyx)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    number_of = np.zeros(count + 1, dtype=np.uint32)
    number_of[np.argsort(-sizes, kind="stable") + 1] = np.arange(1, count + 1)
    numbers = number_of[labels]
    voxels = np.argwhere(numbers)
    voxels = voxels[np.argsort(numbers[tuple(voxels.T)], kind="stable")]
    starts = np.cumsum(np.sort(sizes)[::-1]) - np.sort(sizes)[::-1]
    return numbers, voxels, starts


def _to_world(geometry: Geometry, index_xyz: np.ndarray) -> Point:
    """Where a place among the voxels lies, mm."""
    direction = np.reshape(geometry.direction, (3, 3))
    return _point(np.asarray(geometry.origin) + direction @ (index_xyz * np.asarray(geometry.spacing)))


def _point(values: np.ndarray) -> Point:
    x, y, z = (float(value) for value in values)
    return x, y, z
