import itertools

import numpy as np
import pytest
import torch
from scipy import ndimage

from lesionclick.inference import tiles


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
    everything, placed = tiles.place_tiles(shape, patch), tiles.place_tiles(shape, patch, tiles.Region(region))
    assert [tile for tile in everything if tile in placed] == placed
    assert len(placed) < 0.6 * len(everything)
    best, found = (most_important(shape, patch, each) for each in (everything, placed))
    np.testing.assert_array_equal(found[region], best[region])
    for tile in placed:
        others = [each for each in placed if each != tile]
        assert (most_important(shape, patch, others)[region] < best[region]).any()


def test_along_a_movable_axis_tiles_stand_over_the_region_where_that_takes_fewer() -> None:
    shape, patch = (64, 64, 64), (32, 32, 32)
    mask = np.zeros(shape, dtype=bool)
    mask[24:, 20:46, 10:54] = True  # a trunk
    mask[4:24, 28:36, 28:36] = True  # a head
    everything = tiles.place_tiles(shape, patch)
    fixed, moved = (tiles.place_tiles(shape, patch, tiles.Region(mask, movable=axes)) for axes in ((), (0, 1, 2)))
    assert [tile for tile in everything if tile in fixed] == fixed
    assert len(fixed) == 19
    assert moved == [
        (slice(0, 32), slice(16, 48), slice(16, 48)),
        *((slice(z, z + 32), slice(17, 49), slice(x, x + 32)) for z in (16, 32) for x in (10, 22)),
    ]


def test_a_margin_belongs_to_the_region() -> None:
    shape, patch, margin = (60, 48, 63), (16, 16, 24), (3, 2, 5)
    mask = np.random.default_rng(0).random(shape) < 3e-4
    wider = ndimage.maximum_filter(mask, [2 * more + 1 for more in margin])
    placed, of_wider, without = (
        tiles.place_tiles(shape, patch, region)
        for region in (tiles.Region(mask, margin), tiles.Region(wider), tiles.Region(mask))
    )
    assert placed == of_wider != without


def test_a_region_of_nothing_has_no_tiles() -> None:
    assert tiles.place_tiles((40, 40, 40), (20, 20, 20), tiles.Region(np.zeros((40, 40, 40), dtype=bool))) == []


def test_a_whole_region_is_everything_padded_or_not() -> None:
    patch = (16, 16, 16)
    for shape in ((30, 16, 50), (30, 12, 50)):
        around = tiles.padding(shape, patch)
        padded = tuple(size + sum(both) for size, both in zip(shape, around, strict=True))
        whole = tiles.Region(np.ones(shape, dtype=bool), movable=(0, 1, 2)).padded(around)
        assert tiles.place_tiles(padded, patch, whole) == tiles.place_tiles(padded, patch)


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
