import numpy as np
import pytest

from lesionclick.inference.click_maps import TileClickMaps, VolumeClickMaps, make_click_maps
from lesionclick.inference.tile_cache import TileKey
from lesionclick.inference.tiles import TileGrid
from lesionclick.model.encoding import EDTEncoding, Encoding, GaussianEncoding, UptakeEncoding

GRID = TileGrid((20, 9, 16), (8, 12, 8))  # padded along y

NONE = np.zeros((0, 3), dtype=np.int64)


def uptake(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 9, size=GRID.shape).astype(np.float32)


@pytest.mark.parametrize("encoding", [EDTEncoding(2), GaussianEncoding(1.0)])
def test_published_maps_are_cut_out_of_those_of_the_volume(encoding: Encoding) -> None:
    points = np.array([[7, 4, 7], [15, 0, 3]])
    maps = make_click_maps(GRID, [points, NONE], encoding)
    assert isinstance(maps, VolumeClickMaps)
    volume = GRID.pad(encoding.encode(points, GRID.shape))
    for tile in GRID.tiles:
        tumor, background = maps.of(tile)
        np.testing.assert_array_equal(tumor, volume[tile])
        assert not background.any()


def test_maps_of_uptake_are_those_of_a_training_patch() -> None:
    encoding, suv, points = UptakeEncoding(6), uptake(), np.array([[7, 4, 7], [15, 0, 3], [6, 5, 6]])
    maps = make_click_maps(GRID, [points, points[:1]], encoding, suv)
    assert isinstance(maps, TileClickMaps)
    assert maps.channel_count == 2
    (before, _) = GRID.padding[1]
    for tile in GRID.tiles:
        start = np.array([axis.start for axis in tile])
        in_patch = points + np.array([0, before, 0]) - start
        for label, chosen in enumerate((in_patch, in_patch[:1])):
            inside = chosen[np.all((chosen >= 0) & (chosen < GRID.patch), axis=1)]
            expected = encoding.encode(inside, GRID.patch, GRID.pad(suv)[tile])
            np.testing.assert_array_equal(maps.of(tile)[label], expected)
            np.testing.assert_array_equal(maps.of(tile)[label], expected)  # the kept one


def test_keys_of_tiles_that_hold_a_click_change_and_no_others() -> None:
    encoding, suv = UptakeEncoding(6), uptake()

    def keys(tumor: np.ndarray, background: np.ndarray = NONE) -> list[TileKey]:
        return make_click_maps(GRID, [tumor, background], encoding, suv).keys(GRID.tiles)

    point = np.array([[7, 4, 7]])
    none, one = keys(NONE), keys(point)
    place = point[0] + np.array([0, GRID.padding[1][0], 0])
    for tile, empty, clicked in zip(GRID.tiles, none, one, strict=True):
        inside = all(axis.start <= at < axis.stop for axis, at in zip(tile, place, strict=True))
        assert (empty != clicked) == inside
    assert len({*none}) == len(GRID.tiles)
    other = np.array([[6, 4, 7]])
    changed = {keys(each)[0] for each in (point, other, np.concatenate([point, other]))} | {keys(NONE, point)[0]}
    assert len(changed) == 4
    assert keys(np.concatenate([other, point, point])) == keys(np.concatenate([point, other]))


def test_maps_beyond_the_bound_are_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lesionclick.inference.click_maps.KEPT_BYTES", 0)
    maps = make_click_maps(GRID, [np.array([[7, 4, 7]])], UptakeEncoding(6), uptake())
    first, second = (maps.of(GRID.tiles[0]) for _ in range(2))
    assert first is not second
    np.testing.assert_array_equal(first, second)
