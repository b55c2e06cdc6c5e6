import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import GOLDEN, ROOT, click_file
from scipy import ndimage

from lesionclick.case.clicks import Click, read_clicks, write_clicks
from lesionclick.errors import CaseError, ModelError
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


def test_official_clicks_are_read_and_land_on_the_grid() -> None:
    paths = sorted((ROOT / "test" / "clicks").glob("*_clicks.json"))
    assert len(paths) == 20
    assert {path.name[:4] for path in paths} == {"fdg_", "psma"}
    # as autoPET's own spacing is cropped by nothing, halved along z and kept along y and x
    half = grid(AUTOPET_SHAPE, (0, 0, 0), AUTOPET_SHAPE, (500, 400, 400))
    for path in paths:
        clicks = read_clicks(path, AUTOPET_SHAPE)
        raw = json.loads(path.read_text())["points"]
        assert [[click.x, click.y, click.z] for click in clicks] == [entry["point"] for entry in raw]
        assert [click.label for click in clicks] == [entry["name"] for entry in raw]
        points = to_network_grid(clicks, half)
        np.testing.assert_array_equal(points[:, 1:], [entry["point"][1::-1] for entry in raw])
        np.testing.assert_array_equal(points[:, 0], np.round([entry["point"][2] / 2 for entry in raw]))
        assert EDTEncoding(2).encode(points, half.shape)[tuple(points.T)].min() == 1


def test_scribbles_are_read_as_their_voxels() -> None:
    clicks = read_clicks(ROOT / "test" / "clicks" / "autopetv-scribbles.json", AUTOPET_SHAPE)
    assert len(clicks) == 22
    assert clicks[0] == Click(163, 118, 123, "tumor")
    assert clicks[-1] == Click(166, 118, 126, "background")


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


def test_written_clicks_are_read_back(tmp_path: Path) -> None:
    clicks = (Click(1, 2, 3, "tumor"), Click(1, 2, 3, "tumor"), Click(0, 0, 0, "background"))
    write_clicks(clicks, tmp_path / "clicks.json")
    assert read_clicks(tmp_path / "clicks.json", (4, 4, 4)) == clicks


def test_whole_floats_unknown_keys_and_repeats_are_fine(tmp_path: Path) -> None:
    document = click_file(([1.0, 2, 3], "tumor"), ([1, 2, 3], "tumor"))
    document["points"][0]["note"] = document["extra"] = {"more": None}
    path = tmp_path / "clicks.json"
    path.write_text(json.dumps(document))
    assert read_clicks(path, (4, 4, 4)) == (Click(1, 2, 3, "tumor"),) * 2


BAD_POINTS: dict[str, tuple[Any, str]] = {
    "outside x": ({"point": [4, 0, 0], "name": "tumor"}, "x = 4, outside the image (0 to 3)"),
    "outside z": ({"point": [0, 0, 6], "name": "tumor"}, "z = 6, outside the image (0 to 5)"),
    "negative": ({"point": [0, -1, 0], "name": "tumor"}, "y = -1, outside the image (0 to 4)"),
    "huge": ({"point": [0, 1e300, 0], "name": "tumor"}, "outside the image"),
    "wrong name": ({"point": [0, 0, 0], "name": "lesion"}, '"lesion", expected "tumor" or "background"'),
    "no name": ({"point": [0, 0, 0]}, 'name null, expected "tumor"'),
    "name a list": ({"point": [0, 0, 0], "name": ["tumor"]}, 'name ["tumor"]'),
    "two coordinates": ({"point": [0, 0], "name": "tumor"}, "coordinates [0, 0], expected three"),
    "four coordinates": ({"point": [0, 0, 0, 0], "name": "tumor"}, "expected three"),
    "no coordinates": ({"name": "tumor"}, "coordinates null, expected three"),
    "fraction": ({"point": [0, 0.5, 0], "name": "tumor"}, "y = 0.5, expected a whole number"),
    "NaN": ({"point": [0, float("nan"), 0], "name": "tumor"}, "y = NaN, expected a whole number"),
    "infinite": ({"point": [0, float("inf"), 0], "name": "tumor"}, "y = Infinity, expected a whole number"),
    "string": ({"point": ["0", 0, 0], "name": "tumor"}, 'x = "0", expected a whole number'),
    "boolean": ({"point": [True, 0, 0], "name": "tumor"}, "x = true, expected a whole number"),
    "null": ({"point": [None, 0, 0], "name": "tumor"}, "x = null, expected a whole number"),
    "not an object": ([0, 0, 0], "is [0, 0, 0], expected an object"),
}


@pytest.mark.parametrize(("point", "message"), BAD_POINTS.values(), ids=BAD_POINTS)
def test_bad_point_is_named_by_its_index(point: Any, message: str, tmp_path: Path) -> None:
    document = click_file(([0, 0, 0], "tumor"))
    document["points"].append(point)
    path = tmp_path / "clicks.json"
    path.write_text(json.dumps(document))
    with pytest.raises(CaseError) as error:
        read_clicks(path, (6, 5, 4))
    assert str(error.value).startswith(f"{path}: point 1 ")
    assert message in str(error.value)


BAD_FILES: dict[str, tuple[str, str]] = {
    "not JSON": ("points: 3", "not a JSON file"),
    "cut short": ('{"points": [', "not a JSON file"),
    "too deep": ("[" * 100_000, "not a JSON file"),
    "a list": ("[]", "expected a JSON object"),
    "wrong type": (json.dumps({**click_file(), "type": "Point"}), "'type' is \"Point\""),
    "no type": ('{"version": {"major": 1, "minor": 0}, "points": []}', "'type' is null"),
    "version 2": (json.dumps({**click_file(), "version": {"major": 2, "minor": 0}}), "expected major version 1"),
    "version true": (json.dumps({**click_file(), "version": {"major": True, "minor": 0}}), "expected major version 1"),
    "no version": ('{"type": "Multiple points", "points": []}', "'version' is null"),
    "no points": ('{"version": {"major": 1, "minor": 0}, "type": "Multiple points"}', "'points' is null"),
    "points an object": (json.dumps({**click_file(), "points": {}}), "'points' is {}, expected a list"),
}


@pytest.mark.parametrize(("text", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_click_file_is_one_sentence(
    text: str, message: str, case_folder: Path, model_folder: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    path = case_folder / "lesion-clicks.json"
    path.write_text(text)
    output = tmp_path / "output"
    sentence = refused("predict", "--input", case_folder, "--output", output, "--model", model_folder)
    assert sentence.startswith(f"{path}: ")
    assert message in sentence
    assert not output.exists()
