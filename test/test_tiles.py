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


def most_important(shape: tuple[int, ...], patch: tuple[int, ...], placed: list[tiles.Tile]) -> np.ndarray:
    """The importance at each voxel of the tile that counts most there."""
    result = np.zeros(shape, dtype=np.float32)
    for tile in placed:
        np.maximum(result[tile], tiles.importance(patch).numpy(), out=result[tile])
    return result


def test_a_region_has_those_tiles_that_count_most_somewhere_in_it() -> None:
    shape, patch = (60, 48, 63), (16, 16, 24)
    region = np.zeros(shape, dtype=bool)
    region[3:30, 8:40, 4:55] = True  # a trunk
    region[30:58, 20:24, 30:34] = True  # a neck
    everything, placed = tiles.place_tiles(shape, patch), tiles.place_tiles(shape, patch, region)
    assert [tile for tile in everything if tile in placed] == placed
    assert len(placed) < 0.6 * len(everything)
    best, found = (most_important(shape, patch, each) for each in (everything, placed))
    np.testing.assert_array_equal(found[region], best[region])
    for tile in placed:
        others = [each for each in placed if each != tile]
        assert (most_important(shape, patch, others)[region] < best[region]).any()


def test_a_region_that_fits_into_half_as_many_tiles_has_its_own_along_that_axis() -> None:
    shape, patch = (60, 64, 64), (16, 32, 32)
    region = np.zeros(shape, dtype=bool)
    region[:, 20:46, 5:59] = True
    placed = tiles.place_tiles(shape, patch, region)
    assert {(tile[1].start, tile[1].stop) for tile in placed} == {(17, 49)}  # in the middle of one
    everything = tiles.place_tiles(shape, patch)
    assert [{tile[axis].start for tile in placed} for axis in (0, 2)] == [
        {tile[axis].start for tile in everything} for axis in (0, 2)
    ]


def test_a_margin_belongs_to_the_region() -> None:
    shape, patch, margin = (60, 48, 63), (16, 16, 24), (3, 2, 5)
    region = np.random.default_rng(0).random(shape) < 3e-4
    wider = ndimage.maximum_filter(region, [2 * more + 1 for more in margin])
    placed = tiles.place_tiles(shape, patch, region, margin)
    assert placed == tiles.place_tiles(shape, patch, wider) != tiles.place_tiles(shape, patch, region)


def test_a_region_of_nothing_has_no_tiles() -> None:
    assert tiles.place_tiles((40, 40, 40), (20, 20, 20), np.zeros((40, 40, 40), dtype=bool)) == []


def test_a_whole_region_is_everything() -> None:
    shape, patch = (30, 16, 50), (16, 16, 16)
    assert tiles.place_tiles(shape, patch, np.ones(shape, dtype=bool)) == tiles.place_tiles(shape, patch)


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
