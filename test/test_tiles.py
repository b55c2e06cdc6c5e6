import itertools

import numpy as np
import pytest
import torch
from scipy import ndimage

from lesionclick import tiles


@pytest.mark.parametrize(
    ("shape", "patch"), [((32, 32, 32), (32, 32, 32)), ((110, 64, 65), (64, 64, 64)), ((30, 21, 97), (8, 16, 32))]
)
def test_tiles_cover_everything_and_overlap_by_half(shape: tuple[int, ...], patch: tuple[int, ...]) -> None:
    covered = np.zeros(shape, dtype=int)
    placed = tiles.place_tiles(shape, patch)
    for tile in placed:
        assert covered[tile].shape == patch
        covered[tile] += 1
    assert covered.min() >= 1
    for axis in range(3):
        starts = sorted({tile[axis].start for tile in placed})
        assert starts[0] == 0
        assert starts[-1] == shape[axis] - patch[axis]
        assert all(b - a <= patch[axis] / 2 for a, b in itertools.pairwise(starts))


def test_padding_is_centred_with_the_odd_voxel_behind() -> None:
    assert tiles.padding((24, 44, 31), (32, 32, 32)) == [(4, 4), (0, 0), (0, 1)]


def test_importance_is_a_gaussian_of_an_eighth_of_the_patch_and_never_zero() -> None:
    importance = tiles.importance((16, 32, 24))
    assert importance.dtype == torch.float32
    assert importance.max() == importance[8, 16, 12] == 10
    assert importance.min() > 0
    one = np.zeros((16, 32, 24))
    one[8, 16, 12] = 1
    gaussian = ndimage.gaussian_filter(one, (2, 4, 3), mode="constant")
    np.testing.assert_allclose(importance.numpy(), 10 * gaussian / gaussian.max(), rtol=1e-3, atol=1e-7)
