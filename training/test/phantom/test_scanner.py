import dataclasses

import numpy as np
from scipy import ndimage

from lesionclick_training.data import nnunet_layout
from lesionclick_training.phantom.foci import Focus
from lesionclick_training.phantom.phantom import make_phantom
from lesionclick_training.phantom.population import LogNormal
from lesionclick_training.phantom.populations import BASE
from lesionclick_training.phantom.scanner import move_planes, paint_focus
from lesionclick_training.phantom.shapes import Grid, Waves, ellipsoid

COARSE = (8.0, 8.0, 8.0)
ORGAN = {name: number for number, name in enumerate(nnunet_layout.ORGANS, start=1)}


def test_breathing_moves_the_liver_of_the_pet_against_the_ct() -> None:
    def dome(shift: float) -> float:
        """Mean level of the liver's uptake, mm."""
        population = dataclasses.replace(
            BASE, breathing_shift_mm=(shift, shift), lesion_free_probability=1.0, decoy_count=LogNormal(0, 0, 0, 0)
        )
        phantom = make_phantom(4, "PSMA", COARSE, population=population)
        right = phantom.pet_zyx[:, :, : phantom.pet_zyx.shape[2] // 2] > 3
        above = np.argwhere(phantom.organ_zyx == ORGAN["liver"])[:, 0].mean()
        return float(np.argwhere(right[int(above) :])[:, 0].mean() * 8)

    assert 2 < dome(24.0) - dome(0.0) < 24


def test_planes_move_up_and_blend() -> None:
    volume = np.zeros((6, 1, 1), dtype=np.float32)
    volume[2] = 4
    np.testing.assert_allclose(move_planes(volume, [np.full(6, 1.0)]).ravel(), [0, 0, 0, 4, 0, 0])
    np.testing.assert_allclose(move_planes(volume, [np.full(6, 0.5)]).ravel(), [0, 0, 2, 2, 0, 0])
    mean = move_planes(volume, [np.full(6, -1.0), np.full(6, 1.0)])
    np.testing.assert_allclose(mean.ravel(), [0, 2, 0, 2, 0, 0])


def test_a_lesion_smaller_than_a_voxel_keeps_one_and_a_decoy_none() -> None:
    grid = Grid((9, 9, 9), (10.0, 10.0, 10.0), (0.0, 0.0, 0.0))
    center = np.array((43.0, 36.0, 55.0))
    for lesion in (True, False):
        focus = Focus(
            lesion, center, 2.0, ellipsoid(center, (2, 2, 2)), None, 8.0, 1.8, Waves(np.random.default_rng(0), 9, 0.1)
        )
        label, suv = np.zeros(grid.shape_zyx, dtype=np.uint8), np.ones(grid.shape_zyx, dtype=np.float32)
        paint_focus(suv, label, focus, 0.0, grid)
        assert list(map(tuple, np.argwhere(label))) == ([(4, 4, 6)] if lesion else [])


def test_more_noise_is_more_noise() -> None:
    def roughness(noise: float) -> float:
        population = dataclasses.replace(BASE, pet_noise=LogNormal(noise, 0, 0, 1), lesion_free_probability=1.0)
        phantom = make_phantom(4, "PSMA", population=population)
        core = ndimage.binary_erosion(phantom.organ_zyx == ORGAN["liver"], iterations=4)
        values = phantom.pet_zyx[core]
        return float(values.std() / values.mean())

    assert 1.6 < roughness(0.2) / roughness(0.08) < 2.6
