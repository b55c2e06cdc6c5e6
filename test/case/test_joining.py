import numpy as np
import pytest
import SimpleITK as sitk
from conftest import image_from

from lesionclick.case.geometry import Geometry
from lesionclick.case.joining import join, mask_on_grid
from lesionclick.errors import CaseError

PLACES = ("ct.nii.gz", "pet.nii.gz")

TILTED = (0.96, -0.28, 0.0, 0.28, 0.96, 0.0, 0.0, 0.0, 1.0)


def make_ct(shape_zyx: tuple[int, ...] = (50, 40, 44)) -> sitk.Image:
    """Smooth HU, none of them below air."""
    z, y, x = np.indices(shape_zyx)
    return image_from(
        (100 * np.sin(x / 5) + 80 * np.cos(y / 6) + 5 * z).astype(np.float32), (1.0, 1.0, 2.0), (-20, -20, 0)
    )


def make_pet(origin: tuple[float, ...] = (-15, -15, 8), direction: tuple[float, ...] = TILTED) -> sitk.Image:
    return image_from(np.full((40, 7, 8), 2.0, np.float32), (3.0, 3.0, 2.1), origin, direction)


def test_images_on_one_grid_stay_as_they_are() -> None:
    ct = image_from(np.arange(60, dtype=np.int16).reshape(3, 4, 5) - 3000)
    pet = image_from(np.ones((3, 4, 5), np.float64))
    joined = join("a", ct, pet, PLACES)
    assert np.array_equal(joined.case.ct_zyx, sitk.GetArrayFromImage(ct))
    assert joined.case.ct_zyx.dtype == joined.case.pet_zyx.dtype == np.float32
    assert (joined.ct_coverage, joined.warnings) == (1.0, ())


def test_ct_comes_to_the_grid_of_the_pet_by_cubic_splines() -> None:
    ct, pet = make_ct(), make_pet()
    joined = join("a", ct, pet, PLACES)
    whole = sitk.GetArrayFromImage(sitk.Resample(ct, pet, sitk.Transform(), sitk.sitkBSpline, -1024.0))
    assert np.abs(joined.case.ct_zyx - whole).max() < 0.01
    assert joined.case.geometry == Geometry.of(pet)
    assert joined.ct_geometry == Geometry.of(ct)
    assert joined.ct_coverage > 0.98


def test_overshoot_and_padding_do_not_leave_the_range_of_the_ct() -> None:
    stored = np.full((20, 20, 20), -3024, np.int16)
    stored[6:14, 6:14, 6:14] = 1500
    ct = image_from(stored, (1.0, 1.0, 1.0))
    pet = image_from(np.ones((24, 24, 24), np.float32), (0.7, 0.7, 0.7))
    ct_zyx = join("a", ct, pet, PLACES).case.ct_zyx
    assert ct_zyx.min() == -1024
    assert ct_zyx.max() == 1500


def test_air_and_a_warning_where_the_ct_does_not_reach() -> None:
    ct = make_ct((20, 40, 44))  # up to z = 39, the PET from 8 to 90
    pet_zyx = np.full((40, 7, 8), 2.0, np.float32)
    pet_zyx[25:] = 0.01  # no body there
    pet = image_from(pet_zyx, (3.0, 3.0, 2.1), (-15, -15, 8), TILTED)
    joined = join("a", ct, pet, PLACES)
    assert (joined.case.ct_zyx[16:] == -1024).all()
    assert joined.ct_coverage == pytest.approx(15 / 25)
    assert joined.warnings == ("the CT covers 60% of the body in the PET; the rest is taken for air in it",)


@pytest.mark.parametrize("origin", [(-15, -15, 500), (-15, -15, 70)])
def test_two_that_hardly_overlap_are_refused(origin: tuple[float, ...]) -> None:
    with pytest.raises(
        CaseError, match=r"^ct\.nii\.gz: covers \d+% of the body in the PET pet\.nii\.gz, expected at least 50%"
    ):
        join("a", make_ct(), make_pet(origin), PLACES)


def test_an_empty_image_is_refused() -> None:
    with pytest.raises(CaseError, match=r"^pet\.nii\.gz: every voxel is 0$"):
        join("a", make_ct(), image_from(np.zeros((3, 4, 5), np.float32)), PLACES)


def test_a_mask_goes_to_the_grid_of_the_ct() -> None:
    pet, ct = make_pet(direction=(1, 0, 0, 0, 1, 0, 0, 0, 1)), make_ct()
    mask_zyx = np.zeros((40, 7, 8), np.uint8)
    mask_zyx[10, 3, 4] = 1
    moved = mask_on_grid(mask_zyx, Geometry.of(pet), Geometry.of(ct))
    center = np.array(pet.TransformIndexToPhysicalPoint((4, 3, 10)))
    assert moved.dtype == np.uint8
    assert moved.shape == (50, 40, 44)
    found = np.array([ct.TransformIndexToPhysicalPoint(index[::-1].tolist()) for index in np.argwhere(moved)])
    assert len(found) == 3 * 3 * 2
    assert np.abs(found - center).max() <= 1.5
    assert np.array_equal(mask_on_grid(mask_zyx, Geometry.of(pet), Geometry.of(pet)), mask_zyx)
