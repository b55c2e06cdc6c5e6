import json

import numpy as np
from conftest import ROOT

from lesionclick.case.clicks import Click, read_clicks
from lesionclick.model.encoding import EDTEncoding
from lesionclick.model.grid import NetworkGrid, to_network_grid

AUTOPET_SHAPE = (1000, 400, 400)  # z, y, x; no autoPET image is larger


def grid(
    image_shape: tuple[int, ...], crop_start: tuple[int, ...], cropped: tuple[int, ...], shape: tuple[int, ...]
) -> NetworkGrid:
    return NetworkGrid((0, 1, 2), image_shape, crop_start, cropped, shape, (1.0, 1.0, 1.0), (1.0, 1.0, 1.0))


def test_official_clicks_land_on_the_grid() -> None:
    # a grid as autoPET's own spacing has it: cropped by nothing, halved along z and kept along y and x
    half = grid(AUTOPET_SHAPE, (0, 0, 0), AUTOPET_SHAPE, (500, 400, 400))
    for path in sorted((ROOT / "test" / "clicks").glob("*_clicks.json")):
        raw = json.loads(path.read_text())["points"]
        points = to_network_grid(read_clicks(path, AUTOPET_SHAPE), half)
        np.testing.assert_array_equal(points[:, 1:], [entry["point"][1::-1] for entry in raw])
        np.testing.assert_array_equal(points[:, 0], np.round([entry["point"][2] / 2 for entry in raw]))
        assert EDTEncoding(2).encode(points, half.shape)[tuple(points.T)].min() == 1


def test_click_mapping_subtracts_the_crop_once_scales_and_rounds_half_to_even() -> None:
    mapped = to_network_grid(
        [Click(12, 7, 5, "tumor"), Click(13, 7, 5, "tumor"), Click(0, 0, 0, "tumor")],
        grid((20, 20, 20), (2, 3, 9), (10, 8, 6), (20, 8, 3)),
    )
    np.testing.assert_array_equal(mapped, [[6, 4, 2], [6, 4, 2], [-4, -3, -4]])  # 3 * 0.5 = 1.5 and 4 * 0.5 = 2


def test_click_mapping_transposes() -> None:
    transposed = NetworkGrid((2, 0, 1), (20, 30, 40), (4, 0, 0), (36, 20, 30), (36, 20, 30), (1,) * 3, (1,) * 3)
    np.testing.assert_array_equal(to_network_grid([Click(11, 22, 13, "tumor")], transposed), [[7, 13, 22]])
    assert to_network_grid([], transposed).shape == (0, 3)
