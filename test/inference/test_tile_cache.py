import numpy as np
import pytest
import torch

from lesionclick.inference.tile_cache import TileCache, tile_keys
from lesionclick.inference.tile_sums import TileSum
from lesionclick.inference.tiles import TileGrid, TileStart

PATCH = (8, 8, 8)
KEY = (TileStart(0, 0, 0), b"")


def some_sum() -> TileSum:
    return TileSum(torch.device("cpu"), PATCH)


def test_the_least_recently_used_sums_go_first() -> None:
    keys = [(TileStart(place, 0, 0), b"") for place in range(4)]
    cache = TileCache(3 * some_sum().nbytes)
    for place in range(3):
        cache.put(keys[place], some_sum())
    assert cache.get(keys[0]) is not None
    cache.put(keys[3], some_sum())
    assert cache.get(keys[1]) is None
    assert [cache.get(keys[place]) is not None for place in (0, 2, 3)] == [True] * 3
    assert cache.nbytes == cache.max_bytes
    cache.put(keys[3], some_sum())  # in the place of itself
    assert len(cache) == 3
    assert cache.nbytes == cache.max_bytes


def test_a_sum_larger_than_the_bound_is_not_kept() -> None:
    cache = TileCache(100)
    cache.put(KEY, some_sum())
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
