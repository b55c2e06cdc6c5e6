import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
import SimpleITK as sitk
from helpers_simulation import make_ball, make_box

from lesionclick.case.geometry import Geometry
from lesionclick.report.measurements import measure_lesions
from lesionclick.report.suv_peak import SPHERE_RADIUS_MM

IDENTITY = (1, 0, 0, 0, 1, 0, 0, 0, 1)

# a turn by 30 degrees about the third axis, then by 20 degrees about the first
COS, SIN, COS_2, SIN_2 = math.cos(math.pi / 6), math.sin(math.pi / 6), math.cos(math.pi / 9), math.sin(math.pi / 9)
OBLIQUE = (COS, -SIN, 0, COS_2 * SIN, COS_2 * COS, -SIN_2, SIN_2 * SIN, SIN_2 * COS, COS_2)


def geometry_of(
    shape: Sequence[int], spacing: Sequence[float] = (1, 1, 1), direction: Sequence[float] = IDENTITY
) -> Geometry:
    """Shape z, y, x; spacing and direction in SimpleITK's order, the origin somewhere."""
    return Geometry(tuple(shape[::-1]), tuple(spacing), (-100.0, 30.0, 7.0), tuple(direction))


def to_world(geometry: Geometry, index_xyz: Sequence[float]) -> tuple[float, ...]:
    """Where SimpleITK says that a voxel lies."""
    image = sitk.Image([int(size) for size in geometry.size], sitk.sitkUInt8)
    image.SetSpacing(geometry.spacing)
    image.SetOrigin(geometry.origin)
    image.SetDirection(geometry.direction)
    where: tuple[float, ...] = image.TransformContinuousIndexToPhysicalPoint([float(index) for index in index_xyz])
    return where


def ibsi_phantom() -> tuple[np.ndarray, np.ndarray]:
    """The digital phantom of IBSI 1 (2 mm voxels): intensities and region of interest, z, y, x."""
    slices = [
        ["44641", "44611", "11611", "11611"],
        ["41641", "11311", "11911", "11111"],
        ["14611", "11611", "11111", "11111"],
        ["14411", "14411", "14411", "14411"],
    ]
    image = np.array([[[float(value) for value in row] for row in each] for each in slices], dtype=np.float32)
    mask = np.ones(image.shape, dtype=np.uint8)
    mask[1, 1, 0] = mask[1, 2, 2] = 0
    mask[3, 2:, 3:] = 0
    return image, mask


def test_values_of_ibsis_digital_phantom() -> None:
    """Volume (voxel counting), mean, maximum and global intensity peak, to the digits that IBSI gives."""
    image, mask = ibsi_phantom()
    (lesion,) = measure_lesions(mask, image, geometry_of(mask.shape, (2, 2, 2))).lesions
    assert lesion.volume_ml == pytest.approx(0.592)
    assert lesion.suv_mean == pytest.approx(2.15, abs=0.005)
    assert lesion.suv_max == 6
    assert lesion.suv_peak == pytest.approx(3.1, abs=0.05)


def test_a_box_on_an_oblique_and_anisotropic_grid() -> None:
    shape, spacing = (20, 22, 24), (2.0, 3.0, 4.0)
    geometry = geometry_of(shape, spacing, OBLIQUE)
    mask = np.zeros(shape, dtype=np.uint8)
    mask[4:9, 6:10, 3:13] = 1  # 5 slices of 4 x 10 voxels
    pet = np.where(mask, 4.0, 1.0).astype(np.float32)
    pet[5, 7, 4] = 10
    (lesion,) = (table := measure_lesions(mask, pet, geometry)).lesions
    assert lesion.number == 1
    assert lesion.volume_ml == pytest.approx(200 * 24 / 1000)
    assert lesion.suv_max == 10
    assert lesion.suv_mean == pytest.approx((199 * 4 + 10) / 200)
    assert lesion.tlg == pytest.approx((199 * 4 + 10) * 24 / 1000)
    assert lesion.centroid_voxel == pytest.approx((7.5, 7.5, 6))
    assert lesion.centroid_mm == pytest.approx(to_world(geometry, (7.5, 7.5, 6)))
    # from the middle of one edge to the middle of the opposite one, whichever is longer
    assert lesion.axial_diameter_mm == pytest.approx(math.hypot(10 * 2, 3 * 3))
    assert (table.total_volume_ml, table.total_tlg) == (lesion.volume_ml, lesion.tlg)
    assert table.dmax_mm is None


@pytest.mark.parametrize("spacing", [(1, 1, 1), (2, 2, 1.5), (1, 1.25, 3)])
def test_a_ball_has_the_volume_and_the_diameter_of_a_ball(spacing: tuple[float, ...]) -> None:
    radius, shape = 12.0, tuple(int(34 / step) for step in spacing[::-1])
    axes = [np.arange(size) * step for size, step in zip(shape, spacing[::-1], strict=True)]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    mask = (z - 16.2) ** 2 + (y - 16.1) ** 2 + (x - 16) ** 2 <= radius**2
    pet = np.where(mask, 5.0, 1.0).astype(np.float32)
    (lesion,) = measure_lesions(mask, pet, geometry_of(shape, spacing)).lesions
    assert lesion.volume_ml == pytest.approx(4 / 3 * math.pi * radius**3 / 1000, rel=0.02)
    assert lesion.axial_diameter_mm == pytest.approx(2 * radius, abs=max(spacing[:2]))
    assert lesion.suv_peak == 5  # the sphere fits into the ball
    assert lesion.centroid_mm == pytest.approx((16 - 100, 16.1 + 30, 16.2 + 7), abs=0.2)


def peak_by_hand(mask: np.ndarray, pet: np.ndarray, spacing_zyx: Sequence[float]) -> float:
    """The definition itself: for every voxel of the lesion the mean of those voxels that lie within the radius."""
    everywhere = np.indices(mask.shape).reshape(3, -1).T * np.asarray(spacing_zyx)
    means = []
    for center in np.argwhere(mask) * np.asarray(spacing_zyx):
        near = ((everywhere - center) ** 2).sum(axis=1) <= SPHERE_RADIUS_MM**2
        means.append(float(pet.ravel()[near].mean(dtype=np.float64)))
    return max(means)


@pytest.mark.parametrize("spacing", [(4, 4, 4), (2, 3, 5), (7, 7, 7), (13, 13, 2)])
def test_peak_is_the_highest_mean_of_a_sphere_about_any_voxel_of_the_lesion(spacing: tuple[float, ...]) -> None:
    """Also at the image's border, and where the sphere holds a single voxel."""
    generator = np.random.default_rng(3)
    pet = generator.uniform(0, 20, (9, 10, 11)).astype(np.float32)
    mask = np.zeros(pet.shape, dtype=np.uint8)
    mask[0:4, 7:10, 0:5] = 1
    (lesion,) = measure_lesions(mask, pet, geometry_of(pet.shape, spacing)).lesions
    assert lesion.suv_peak == pytest.approx(peak_by_hand(mask, pet, spacing[::-1]), rel=1e-6)


def test_peak_is_sought_away_from_the_hottest_voxel() -> None:
    pet = np.ones((30, 30, 30), dtype=np.float32)
    pet[make_box(pet.shape, (15, 15, 8), 4)] = 8
    pet[15, 15, 25] = 20
    mask = pet > 1
    mask[15, 15, 8:26] = True
    (lesion,) = measure_lesions(mask, pet, geometry_of(pet.shape, (2, 2, 2))).lesions
    assert (lesion.suv_max, lesion.suv_peak) == (20, 8)


def test_the_sphere_is_one_milliliter() -> None:
    assert 4 / 3 * math.pi * SPHERE_RADIUS_MM**3 == pytest.approx(1000)
    assert pytest.approx(6.2, abs=0.005) == SPHERE_RADIUS_MM


@pytest.mark.parametrize("direction", [IDENTITY, OBLIQUE])
def test_lesions_are_numbered_by_volume_and_dmax_is_that_of_the_farthest_two(direction: tuple[float, ...]) -> None:
    shape, spacing = (30, 40, 50), (2.0, 2.5, 3.0)
    geometry = geometry_of(shape, spacing, direction)
    centers_zyx = [(5, 5, 5), (20, 30, 40), (12, 10, 30)]
    reaches = [1, 3, 2]
    mask = np.zeros(shape, dtype=np.uint8)
    for center, reach in zip(centers_zyx, reaches, strict=True):
        mask[make_box(shape, center, reach)] = 1
    pet = np.full(shape, 2, dtype=np.float32)
    table = measure_lesions(mask, pet, geometry)
    assert [lesion.number for lesion in table.lesions] == [1, 2, 3]
    assert [lesion.centroid_voxel for lesion in table.lesions] == [
        pytest.approx(centers_zyx[index][::-1]) for index in (1, 2, 0)
    ]
    places = [to_world(geometry, center[::-1]) for center in centers_zyx]
    assert table.dmax_mm == pytest.approx(max(math.dist(*pair) for pair in itertools.combinations(places, 2)))
    assert table.total_volume_ml == pytest.approx((27 + 343 + 125) * 15 / 1000)
    assert table.total_tlg == pytest.approx(2 * table.total_volume_ml)


def test_numbers_of_lesions_lie_on_their_voxels() -> None:
    """What other outputs, such as segments and pictures, number by."""
    mask = np.zeros((8, 8, 8), dtype=np.uint8)
    mask[0, 0, 0] = 1
    mask[4:6, 4:6, 4:6] = 1
    table = measure_lesions(mask, mask.astype(np.float32), geometry_of(mask.shape))
    assert (table.numbers_zyx[0, 0, 0], table.numbers_zyx[5, 5, 5], table.numbers_zyx.max()) == (2, 1, 2)
    np.testing.assert_array_equal(table.numbers_zyx > 0, mask > 0)


def test_slices_of_a_sagittal_image_are_not_taken_for_axial_ones() -> None:
    """Here the third axis of indices runs from right to left, and the second from head to feet."""
    direction = (0, 0, 1, 1, 0, 0, 0, -1, 0)
    mask = np.zeros((10, 20, 10), dtype=np.uint8)
    mask[3:6, 2:18, 4] = 1  # 3 voxels wide, 16 high, 1 deep
    (lesion,) = measure_lesions(mask, mask.astype(np.float32), geometry_of(mask.shape, (1, 1, 1), direction)).lesions
    assert lesion.axial_diameter_mm == pytest.approx(3)


def test_a_single_voxel_is_as_wide_as_a_voxel() -> None:
    mask = np.zeros((5, 5, 5), dtype=np.uint8)
    mask[2, 2, 2] = 1
    (lesion,) = measure_lesions(mask, mask.astype(np.float32), geometry_of(mask.shape, (2, 3, 4))).lesions
    assert lesion.axial_diameter_mm == 3
    assert lesion.volume_ml == pytest.approx(0.024)


def test_an_empty_mask_has_no_lesions() -> None:
    mask = np.zeros((5, 6, 7), dtype=np.uint8)
    table = measure_lesions(mask, mask.astype(np.float32), geometry_of(mask.shape))
    assert table.lesions == ()
    assert (table.total_volume_ml, table.total_tlg, table.dmax_mm, table.liver) == (0, 0, None, None)


def test_images_of_another_size_are_refused() -> None:
    mask = np.zeros((5, 6, 7), dtype=np.uint8)
    with pytest.raises(ValueError, match=r"PET is of shape \(5, 6, 8\), expected \(5, 6, 7\)"):
        measure_lesions(mask, np.zeros((5, 6, 8), dtype=np.float32), geometry_of(mask.shape))


def test_many_lesions_at_a_time_are_measured_as_each_alone() -> None:
    generator = np.random.default_rng(0)
    shape = (24, 26, 28)
    pet = generator.uniform(0, 10, shape).astype(np.float32)
    balls = [make_ball(shape, (6, 6, 6), 3.2), make_ball(shape, (17, 18, 19), 5.1), make_ball(shape, (5, 20, 20), 2)]
    geometry = geometry_of(shape, (3, 3, 2), OBLIQUE)
    together = measure_lesions(np.any(balls, axis=0), pet, geometry).lesions
    alone = [measure_lesions(ball, pet, geometry).lesions[0] for ball in balls]
    for lesion, other in zip(together, sorted(alone, key=lambda each: -each.volume_ml), strict=True):
        assert lesion.suv_peak == pytest.approx(other.suv_peak)
        assert lesion.axial_diameter_mm == other.axial_diameter_mm
        assert lesion.suv_max == other.suv_max
        assert lesion.suv_mean == pytest.approx(other.suv_mean)
