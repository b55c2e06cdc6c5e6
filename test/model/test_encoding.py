import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import GOLDEN
from scipy import ndimage

from lesionclick.errors import ModelError
from lesionclick.model.encoding import EDTEncoding, Encoding, GaussianEncoding, encoding_from_json

ENCODINGS: dict[str, Encoding] = {
    **{f"edt{radius}": EDTEncoding(radius) for radius in (2, 3, 4)},
    **{f"gaussian{sigma}": GaussianEncoding(sigma) for sigma in (0.5, 1.0, 3.0)},
}


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
