import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import GOLDEN, ROOT
from scipy import ndimage

from lesionclick.case.clicks import Click, read_clicks
from lesionclick.errors import ModelError
from lesionclick.model.encoding import EDTEncoding, Encoding, GaussianEncoding, encoding_from_json, to_network_grid
from lesionclick.model.preprocessing import NetworkGrid

AUTOPET_SHAPE = (1000, 400, 400)  # z, y, x; no autoPET image is larger
ENCODINGS: dict[str, Encoding] = {
    **{f"edt{radius}": EDTEncoding(radius) for radius in (2, 3, 4)},
    **{f"gaussian{sigma}": GaussianEncoding(sigma) for sigma in (0.5, 1.0, 3.0)},
}


def grid(
    image_shape: tuple[int, ...], crop_start: tuple[int, ...], cropped: tuple[int, ...], shape: tuple[int, ...]
) -> NetworkGrid:
    return NetworkGrid((0, 1, 2), image_shape, crop_start, cropped, shape, (1.0, 1.0, 1.0), (1.0, 1.0, 1.0))


@pytest.mark.parametrize("name", ENCODINGS)
def test_encodings_equal_the_published_maps(name: str) -> None:
    points = json.loads((GOLDEN / "click-encodings" / "points.json").read_text())
    with np.load(GOLDEN / "click-encodings" / "maps.npz") as maps:
        for where, indices in points["points_zyx"].items():
            encoded = ENCODINGS[name].encode(np.array(indices, dtype=int).reshape(-1, 3), points["shape_zyx"])
            np.testing.assert_allclose(encoded, maps[f"{name}/{where}"], rtol=0, atol=1e-6)


def test_edt_ball_falls_from_one_to_its_rim() -> None:
    encoded = EDTEncoding(2).encode(np.array([[5, 5, 5]]), (11, 11, 11))
    assert encoded[5, 5, 5] == 1
    assert 0 < encoded[5, 5, 7] < encoded[5, 5, 6] < 1
    assert encoded[5, 5, 8] == 0
    assert np.count_nonzero(encoded) == 33  # voxels of a ball of radius 2


def test_edt_cuts_what_leaves_the_volume() -> None:
    whole = EDTEncoding(2).encode(np.array([[4, 4, 4]]), (9, 9, 9))
    outside = EDTEncoding(2).encode(np.array([[-1, 4, 9]]), (9, 9, 9))
    np.testing.assert_array_equal(outside[:2, :, 7:], whole[5:7, :, 2:4])
    assert np.count_nonzero(outside) == np.count_nonzero(outside[:2, :, 7:])
    assert not EDTEncoding(2).encode(np.array([[-40, 4, 4], [60, 4, 4]]), (9, 9, 9)).any()


@pytest.mark.parametrize("sigma", [0.1, 0.25, 0.5, 1.0, 3.0])
def test_gaussian_equals_filtering_the_whole_volume(sigma: float) -> None:
    generator = np.random.default_rng(1)
    shape = (17, 30, 9)
    points = np.stack([generator.integers(0, size, 12) for size in shape], axis=1)
    ones = np.zeros(shape, dtype=np.float32)
    ones[tuple(points.T)] = 1
    encoded = GaussianEncoding(sigma).encode(np.concatenate([points, points[:3], [[-1, 0, 0]]]), shape)
    np.testing.assert_allclose(encoded, ndimage.gaussian_filter(ones, sigma), rtol=0, atol=1e-6)


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS)
def test_encoding_survives_its_json(encoding: Encoding) -> None:
    assert encoding_from_json(json.loads(json.dumps(encoding.to_json())), Path("prompt.json")) == encoding


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        {"encoding": "edt"},
        {"encoding": "edt", "radius": 0},
        {"encoding": "edt", "radius": True},
        {"encoding": "edt", "radius": 2.5},
        {"encoding": "gaussian", "sigma": 0},
        {"encoding": "gaussian", "sigma": float("nan")},
        {"encoding": "gaussian", "sigma": True},
        {"encoding": "scribble", "radius": 2},
    ],
)
def test_unknown_encoding_is_refused(document: Any) -> None:
    with pytest.raises(ModelError, match=r"prompt\.json: expected"):
        encoding_from_json(document, Path("prompt.json"))


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
