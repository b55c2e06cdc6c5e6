"""Joining of a CT and a PET that lie on grids of their own: everything comes to the PET's grid, where lesions glow."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from lesionclick.case.case import Case
from lesionclick.case.geometry import Geometry, is_same_grid
from lesionclick.case.images import AIR, array_from_image, image_from_array, read_image
from lesionclick.case.interpolation import OUTSIDE, resample_ct_cubic, resample_on_grid
from lesionclick.case.sources import ImagePair
from lesionclick.errors import CaseError

MIN_COVERAGE = 0.5
"""Share of the PET's body that the CT has to cover; below it the two are hardly of one examination."""

FULL_COVERAGE = 0.98
"""From this share on nothing is said: arms and the scalp are often outside the CT's field of view."""


@dataclass(frozen=True, eq=False)
class JoinedCase:
    """A CT and a PET on one grid.

    Attributes:
        case: on the PET's grid.
        ct_geometry: the grid that the CT had.
        ct_coverage: share of the PET's body that the CT covers, 1 where both had the same grid.
    """

    case: Case
    ct_geometry: Geometry
    ct_coverage: float

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader should know, a sentence each."""
        if self.ct_coverage >= FULL_COVERAGE:
            return ()
        return (f"the CT covers {self.ct_coverage:.0%} of the body in the PET; the rest is taken for air in it",)


def read_pair(pair: ImagePair) -> JoinedCase:
    """Reads a CT and a PET from their files and brings the CT to the PET's grid; clicks are not read.

    Raises:
        CaseError: as `join` does, or a file is missing or damaged.
    """
    return join(pair.name, read_image(pair.ct), read_image(pair.pet), (pair.ct, pair.pet))


def join(name: str, ct: sitk.Image, pet: sitk.Image, places: tuple[Path | str, Path | str]) -> JoinedCase:
    """Brings a CT to the PET's grid, by cubic B-splines and not below air; it is left as it is where it lies there.

    Args:
        name: the case's.
        ct: HU.
        pet: SUV (g/ml).
        places: of the two, for messages.

    Raises:
        CaseError: an image has no other voxels than 0, or the CT covers less than `MIN_COVERAGE` of the PET's body.
    """
    for image, place in zip((ct, pet), places, strict=True):
        if not sitk.GetArrayViewFromImage(image).any():
            raise CaseError(f"{place}: every voxel is 0")
    ct_geometry, pet_geometry = Geometry.of(ct), Geometry.of(pet)
    pet_zyx = array_from_image(pet)
    if is_same_grid(ct_geometry, pet_geometry):
        return JoinedCase(Case(name, array_from_image(ct), pet_zyx, pet_geometry), ct_geometry, 1.0)
    ct_zyx = resample_ct_cubic(ct, pet_geometry)
    body = _body_of(pet_zyx)
    coverage = float((ct_zyx[body] != OUTSIDE).mean())
    if coverage < MIN_COVERAGE:
        raise CaseError(
            f"{places[0]}: covers {coverage:.0%} of the body in the PET {places[1]}, expected at least "
            f"{MIN_COVERAGE:.0%}: the two do not belong together, or lie in different coordinates"
        )
    np.maximum(ct_zyx, AIR, out=ct_zyx)
    return JoinedCase(Case(name, ct_zyx, pet_zyx, pet_geometry), ct_geometry, coverage)


def _body_of(pet_zyx: np.ndarray) -> np.ndarray:
    """Where the PET shows a patient, roughly: above a tenth of what bright places have; bool."""
    positive = pet_zyx[pet_zyx > 0]
    if not positive.size:
        return np.ones(pet_zyx.shape, dtype=bool)
    body: np.ndarray = pet_zyx > 0.1 * float(np.percentile(positive[:: math.ceil(positive.size / 1e6)], 99))
    return body


def mask_on_grid(mask_zyx: np.ndarray, geometry: Geometry, target: Geometry) -> np.ndarray:
    """A mask on another grid (nearest neighbor, 0 outside): uint8 of shape target.shape_zyx.

    Args:
        mask_zyx: 0 and 1, of shape geometry.shape_zyx.
        geometry: its grid.
        target: the grid to bring it to.
    """
    if is_same_grid(geometry, target):
        return mask_zyx.astype(np.uint8)
    image = image_from_array(mask_zyx.astype(np.uint8), geometry)
    moved: np.ndarray = sitk.GetArrayFromImage(resample_on_grid(image, target, sitk.sitkNearestNeighbor, 0))
    return moved
