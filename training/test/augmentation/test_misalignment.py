import numpy as np
import pytest
import torch
from helpers_patch import PATCH_SHAPE, make_patch
from scipy import ndimage, stats

from lesionclick_training.augmentation.misalignment import PETCTMisalignment

SIGNIFICANCE = 0.001  # the seeds are fixed, so a test that passes once passes always


def draw_misalignments(transform: PETCTMisalignment, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Angles in degrees of each draw (NaN for none), and shifts in voxels."""
    image = torch.zeros(2, *PATCH_SHAPE)
    angles, shifts = [], []
    for _ in range(count):
        parameters = transform.get_parameters(image=image)
        rotation = parameters["affine"]
        angles.append(np.full(3, np.nan) if rotation is None else _plane_angles(rotation))
        shifts.append(np.array(parameters["center_location_in_pixels"]) - np.array(PATCH_SHAPE) / 2)
    return np.array(angles), np.array(shifts)


def _plane_angles(rotation: np.ndarray) -> np.ndarray:
    """Angles about the axes z, y, x of a matrix that turns about z first, then y, then x."""
    about_y = np.arcsin(-rotation[2, 0])
    about_z = np.arctan2(rotation[2, 1], rotation[2, 2])
    about_x = np.arctan2(rotation[1, 0], rotation[0, 0])
    return np.rad2deg([about_z, about_y, about_x])


def test_misalignment_is_as_rare_and_as_small_as_described() -> None:
    np.random.seed(0)
    angles, shifts = draw_misalignments(PETCTMisalignment(), 6000)
    rotated = ~np.isnan(angles[:, 0])
    shifted = shifts.any(axis=1)
    assert stats.binomtest(int(rotated.sum()), 6000, 0.1).pvalue > SIGNIFICANCE
    assert stats.binomtest(int(shifted.sum()), 6000, 0.1 * 24 / 25).pvalue > SIGNIFICANCE  # one shift of 25 is none
    assert stats.binomtest(int((rotated & shifted).sum()), 6000, 0.01 * 24 / 25).pvalue > SIGNIFICANCE
    for plane in range(3):
        assert stats.kstest(angles[rotated, plane], stats.uniform(-5, 10).cdf).pvalue > SIGNIFICANCE
    assert not shifts[:, 0].any()
    _, shifts = draw_misalignments(PETCTMisalignment(p_shift=1), 2000)
    for axis in (1, 2):
        values, counts = np.unique(shifts[:, axis], return_counts=True)
        assert values.tolist() == [-2, -1, 0, 1, 2]
        assert stats.chisquare(counts).pvalue > SIGNIFICANCE


def apply_misalignment(image: torch.Tensor, shift: tuple[int, int, int], rotation: np.ndarray | None) -> torch.Tensor:
    center = [size / 2 + step for size, step in zip(image.shape[1:], shift, strict=True)]
    data = {"image": image}
    PETCTMisalignment().apply(data, affine=rotation, elastic_offsets=None, center_location_in_pixels=center)
    return data["image"]


def test_a_known_shift_moves_a_known_voxel() -> None:
    image = torch.zeros(2, *PATCH_SHAPE)
    image[:, 5, 6, 7] = 1
    moved = apply_misalignment(image, (0, 2, -1), None)
    assert torch.argwhere(moved[0]).tolist() == [[5, 4, 8]]
    assert torch.argwhere(moved[1]).tolist() == [[5, 6, 7]]
    assert torch.argwhere(image[0]).tolist() == [[5, 6, 7]]  # the input stays


def test_a_known_rotation_moves_a_known_place() -> None:
    angle = np.deg2rad(5)
    rotation = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    image = torch.zeros(2, 9, 61, 61)
    image[0, 4, 30, 55] = 1  # 25 voxels from the center along x
    image[0, 4, 30, 30] = 1  # the center itself
    for shift in (0, 2):
        turned = apply_misalignment(image, (0, shift, 0), rotation)[0].numpy().astype(np.float64)
        assert turned[4, 30 - shift, 30] == pytest.approx(1)
        turned[4, :, 25:36] = 0
        expected = (4, 30 + 25 * np.sin(angle) - shift, 30 + 25 * np.cos(angle))
        assert ndimage.center_of_mass(turned) == pytest.approx(expected, abs=0.3)


def test_misalignment_brings_no_edge() -> None:
    for seed in range(5):
        np.random.seed(seed)
        flat = PETCTMisalignment(p_rotation=1, p_shift=1)(image=torch.full((2, *PATCH_SHAPE), -2.5))["image"]
        assert torch.allclose(flat, torch.tensor(-2.5))
    slope = torch.arange(24.0).expand(2, *PATCH_SHAPE)
    assert apply_misalignment(slope, (0, 0, 2), None)[0, 3, 3, -4:].tolist() == [22, 23, 23, 23]
    assert apply_misalignment(slope, (0, 0, -2), None)[0, 3, 3, :4].tolist() == [0, 0, 0, 1]


def test_only_the_ct_is_misaligned() -> None:
    image, segmentation = make_patch()
    np.random.seed(0)
    done = PETCTMisalignment(p_rotation=1, p_shift=1)(image=image, segmentation=segmentation)
    assert not torch.allclose(done["image"][0], image[0])
    assert torch.equal(done["image"][1], image[1])
    assert torch.equal(done["segmentation"], segmentation)
    assert torch.equal(image, make_patch()[0])


def test_misalignment_can_be_replayed() -> None:
    image, _ = make_patch()
    transform = PETCTMisalignment(p_rotation=1, p_shift=1)
    np.random.seed(0)
    parameters = transform.get_parameters(image=image)
    first, second = (transform.apply({"image": image}, **parameters)["image"] for _ in range(2))
    np.random.seed(0)
    assert torch.equal(first, second)
    assert torch.equal(first, transform(image=image)["image"])


def test_no_misalignment_gives_back_the_image() -> None:
    image, _ = make_patch()
    assert PETCTMisalignment(p_rotation=0, p_shift=0)(image=image)["image"] is image
