import itertools

import numpy as np
import pytest
import torch
from scipy import ndimage

from lesionclick.inference.tiles import NEGLIGIBLE_SHARE, TileGrid


@pytest.mark.parametrize(
    ("shape", "patch"), [((32, 32, 32), (32, 32, 32)), ((110, 64, 65), (64, 64, 64)), ((30, 21, 97), (8, 16, 32))]
)
def test_tiles_cover_everything_and_overlap_by_half(shape: tuple[int, ...], patch: tuple[int, ...]) -> None:
    covered = np.zeros(shape, dtype=int)
    placed = TileGrid(shape, patch).tiles_covering()
    for tile in placed:
        assert covered[tile].shape == patch
        covered[tile] += 1
    assert covered.min() >= 1
    for axis in range(3):
        starts = sorted({tile[axis].start for tile in placed})
        assert starts[0] == 0
        assert starts[-1] == shape[axis] - patch[axis]
        assert all(b - a <= patch[axis] / 2 for a, b in itertools.pairwise(starts))


def test_a_region_has_those_tiles_that_count_somewhere_in_it() -> None:
    shape, patch = (60, 48, 63), (16, 16, 24)
    region = np.zeros(shape, dtype=bool)
    region[3:30, 8:40, 4:55] = True  # a trunk
    region[30:58, 20:24, 30:34] = True  # a neck
    grid = TileGrid(shape, patch)
    placed = grid.tiles_covering(region)
    assert tuple(tile for tile in grid.tiles if tile in placed) == placed
    assert len(placed) < 0.75 * len(grid.tiles)
    for tile in grid.tiles:
        share = (grid.importance / grid.total_importance[tile]).numpy()
        most = share[region[tile]].max(initial=0)
        if not 0.99 * NEGLIGIBLE_SHARE < most < 1.01 * NEGLIGIBLE_SHARE:  # the importance is rounded to float16
            assert (tile in placed) == (most >= NEGLIGIBLE_SHARE)


def test_a_region_of_nothing_has_no_tiles() -> None:
    grid = TileGrid((40, 40, 40), (20, 20, 20))
    assert grid.tiles_covering(np.zeros((40, 40, 40), dtype=bool)) == ()


@pytest.mark.parametrize("shape", [(30, 16, 50), (30, 12, 50)])
def test_a_whole_region_is_everything_padded_or_not(shape: tuple[int, ...]) -> None:
    grid = TileGrid(shape, (16, 16, 16))
    assert grid.tiles_covering(np.ones(shape, dtype=bool)) == grid.tiles == grid.tiles_covering()


def test_padding_is_centered_with_the_odd_voxel_behind() -> None:
    grid = TileGrid((24, 44, 31), (32, 32, 32))
    assert grid.padding == [(4, 4), (0, 0), (0, 1)]
    assert grid.padded_shape == (32, 44, 32)
    volume = np.random.default_rng(0).random((2, 24, 44, 31))
    padded = grid.pad(volume)
    assert padded.shape == (2, 32, 44, 32)
    assert padded.sum() == pytest.approx(volume.sum())
    np.testing.assert_array_equal(grid.crop(torch.from_numpy(padded[1])).numpy(), volume[1])


def test_a_tile_is_dominant_near_its_center_and_at_the_rim_of_the_volume() -> None:
    grid = TileGrid((32, 16, 16), (16, 16, 16))
    first, middle, last = (grid.dominant(tile).numpy() for tile in grid.tiles)
    assert first[8, 8, 8]
    assert first[0].all()  # no other tile is there
    assert not first[15, 8, 8]  # the tile in the middle counts far more there
    assert middle[8, 8, 8]
    assert not middle[0, 8, 8]
    assert last[15, 8, 8]


def test_importance_is_a_gaussian_of_an_eighth_of_the_patch_and_never_zero() -> None:
    importance = TileGrid((16, 32, 24), (16, 32, 24)).importance
    assert importance.dtype == torch.float32
    assert importance.max() == importance[8, 16, 12] == 10
    assert importance.min() > 0
    one = np.zeros((16, 32, 24))
    one[8, 16, 12] = 1
    gaussian = ndimage.gaussian_filter(one, (2, 4, 3), mode="constant")
    np.testing.assert_allclose(importance.numpy(), 10 * gaussian / gaussian.max(), rtol=1e-3, atol=1e-7)
