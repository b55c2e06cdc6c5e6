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


def test_a_region_has_tiles_of_its_own_in_each_row() -> None:
    shape, patch = (100, 60, 60), (20, 20, 20)
    starts, stops = np.zeros((2, 100, 2), dtype=int)
    starts[30:50], stops[30:50] = (10, 5), (50, 55)  # a trunk
    starts[50:70], stops[50:70] = (20, 25), (40, 33)  # a head
    region = tiles.Region(starts, stops)
    placed = tiles.place_tiles(shape, patch, region)
    assert sorted({tile[0].start for tile in placed}) == [30, 40, 50]
    assert [tile[1:] for tile in placed if tile[0].start == 50] == [(slice(20, 40), slice(19, 39))]
    covered = np.zeros(shape, dtype=bool)
    for tile in placed:
        assert covered[tile].shape == patch
        covered[tile] = True
    wanted = np.zeros(shape, dtype=bool)
    wanted[30:50, 10:50, 5:55] = wanted[50:70, 20:40, 25:33] = True
    assert covered[wanted].all()
    assert not covered[:30].any()


def test_a_region_of_nothing_has_no_tiles() -> None:
    nothing = np.zeros((40, 2), dtype=int)
    assert tiles.place_tiles((40, 40, 40), (20, 20, 20), tiles.Region(nothing, nothing)) == []


def test_a_whole_region_is_everything_padded_or_not() -> None:
    shape, patch = (30, 12, 50), (16, 16, 16)
    around = tiles.padding(shape, patch)
    padded = tuple(size + sum(both) for size, both in zip(shape, around, strict=True))
    whole = tiles.Region.whole(shape).padded(around)
    assert tiles.place_tiles(padded, patch, whole) == tiles.place_tiles(padded, patch)


def test_a_region_grows_round_points_that_it_lacks() -> None:
    shape, margins = (100, 100, 10), (4, 4, 4)
    starts, stops = np.zeros((2, 100, 2), dtype=int)
    starts[40:60], stops[40:60] = (20, 4), (30, 6)
    region = tiles.Region(starts, stops)
    same = region.with_points(np.array([[45, 25, 5], [-5, 0, 0], [0, 0, 10]]), margins, shape)
    np.testing.assert_array_equal(same.starts, starts)
    np.testing.assert_array_equal(same.stops, stops)
    grown = region.with_points(np.array([[61, 50, 5], [1, 2, 3]]), margins, shape)
    assert np.flatnonzero(grown.slices).tolist() == [*range(6), *range(40, 66)]
    assert (grown.starts[5].tolist(), grown.stops[5].tolist()) == ([0, 0], [7, 8])
    assert (grown.starts[56].tolist(), grown.stops[56].tolist()) == ([20, 4], [30, 6])
    assert (grown.starts[57].tolist(), grown.stops[57].tolist()) == ([20, 1], [55, 10])
    assert (grown.starts[65].tolist(), grown.stops[65].tolist()) == ([46, 1], [55, 10])


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
