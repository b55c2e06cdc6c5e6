import numpy as np
import pytest
import torch

from lesionclick.inference.tile_sums import OUTSIDE_LOGIT, TileCache, TileSum, blend, tile_keys
from lesionclick.inference.tiles import TileGrid, TileStart

CPU = torch.device("cpu")
PATCH = (8, 8, 8)
KEY = (TileStart(0, 0, 0), b"")


def constant(grid: TileGrid, logit: float, weight: float = 1.0) -> TileSum:
    """A tile whose every voxel has one logit, after one pass."""
    found = TileSum(CPU, PATCH)
    logits = torch.stack([torch.zeros(PATCH), torch.full(PATCH, logit)])
    found.add(logits, grid.importance, torch.ones(PATCH, dtype=torch.bool), weight)
    return found


def test_tiles_are_weighted_by_importance_and_each_is_a_mean_of_its_passes() -> None:
    grid = TileGrid((12, 8, 8), PATCH)
    assert len(grid.tiles) == 2
    sums = [constant(grid, 1.0, weight=0.5), constant(grid, 4.0, weight=3.0)]
    found = blend(sums, grid.tiles, grid, CPU)
    shares = [torch.zeros(grid.padded_shape) for _ in grid.tiles]
    for share, tile in zip(shares, grid.tiles, strict=True):
        share[tile] = grid.importance
    expected = (shares[0] + 4 * shares[1]) / (shares[0] + shares[1])
    inside = grid.total_importance > 1e-3  # where rounding to float16 does not decide
    torch.testing.assert_close(found[inside], expected[inside], rtol=0, atol=2e-3)


def test_where_no_tile_stands_nothing_is_said() -> None:
    grid = TileGrid((16, 8, 8), PATCH)
    found = blend([constant(grid, 1.0)], grid.tiles[:1], grid, CPU)
    assert (found[8:] == OUTSIDE_LOGIT).all()
    assert (found[:8] > 0).all()
    assert (blend([], [], grid, CPU) == OUTSIDE_LOGIT).all()


def test_the_peak_is_the_largest_logit_of_a_pass_where_the_tile_is_dominant() -> None:
    grid = TileGrid(PATCH, PATCH)
    logits, dominant = torch.zeros((2, *PATCH)), torch.zeros(PATCH, dtype=torch.bool)
    dominant[4, 4, 4] = True
    logits[1, 4, 4, 4], logits[1, 0, 0, 0] = 3, 50
    found = TileSum(CPU, PATCH)
    found.add(logits, grid.importance, dominant, 1.0)
    found.add(-logits, grid.importance, dominant, 1.0)
    assert found.peak == 3


def test_the_least_recently_used_sums_go_first() -> None:
    grid = TileGrid(PATCH, PATCH)
    keys = [(TileStart(place, 0, 0), b"") for place in range(4)]
    cache = TileCache(3 * constant(grid, 0).nbytes)
    for place in range(3):
        cache.put(keys[place], constant(grid, place))
    assert cache.get(keys[0]) is not None
    cache.put(keys[3], constant(grid, 3))
    assert cache.get(keys[1]) is None
    assert [cache.get(keys[place]) is not None for place in (0, 2, 3)] == [True] * 3
    assert cache.nbytes == cache.max_bytes
    cache.put(keys[3], constant(grid, 5))  # in the place of itself
    assert len(cache) == 3
    assert cache.nbytes == cache.max_bytes


def test_a_sum_larger_than_the_bound_is_not_kept() -> None:
    cache = TileCache(100)
    cache.put(KEY, constant(TileGrid(PATCH, PATCH), 0))
    assert (len(cache), cache.nbytes) == (0, 0)


@pytest.mark.parametrize("channel", [0, 1])
def test_a_key_tells_every_channel_place_and_value_of_the_clicks_in_a_tile(channel: int) -> None:
    grid = TileGrid((12, 8, 8), PATCH)
    clicks = np.zeros((2, 12, 8, 8), dtype=np.float32)
    first, second = tile_keys(clicks, grid.tiles)
    assert first != second  # they stand elsewhere
    clicks[channel, 1, 2, 3] = 0.5
    clicked, untouched = tile_keys(clicks, grid.tiles)
    assert clicked != first
    assert untouched == second
    seen = {first, clicked}
    for change in ((1 - channel, 1, 2, 3), (channel, 1, 3, 3), (channel, 1, 2, 4), (channel, 2, 2, 3)):
        moved = np.zeros_like(clicks)
        moved[change] = 0.5
        seen.add(tile_keys(moved, grid.tiles)[0])
    clicks[channel, 1, 2, 3] = 0.25
    seen.add(tile_keys(clicks, grid.tiles)[0])
    assert len(seen) == 7


def test_networks_without_click_channels_have_one_key_a_tile() -> None:
    grid = TileGrid((12, 8, 8), PATCH)
    assert len(set(tile_keys(np.zeros((0, 12, 8, 8), dtype=np.float32), grid.tiles))) == 2
