import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import GOLDEN
from scipy import ndimage

from lesionclick.errors import ModelError
from lesionclick.model.encoding import EDTEncoding, Encoding, GaussianEncoding, UptakeEncoding, encoding_from_json

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


SHAPE = (21, 18, 24)

SUV = np.random.default_rng(5).gamma(1.0, 3.0, SHAPE).astype(np.float32)


def uptake_by_definition(points: np.ndarray, radius: int) -> np.ndarray:
    """The map of `UptakeEncoding`, voxel by voxel on whole volumes."""
    log_uptake = np.log2(ndimage.gaussian_filter(SUV, 1.0) + 0.3)
    near = np.stack(
        [np.clip(1 - np.linalg.norm(np.indices(SHAPE).T - point, axis=-1).T / radius, 0, None) for point in points]
    )
    levels = log_uptake[tuple(points.T)]
    mean = np.tensordot(levels, near**2, 1) / np.maximum((near**2).sum(axis=0), 1e-12)
    relative = np.clip(log_uptake - mean, -2, 2) / 2
    encoded: np.ndarray = EDTEncoding(2).encode(points, SHAPE) + near.max(axis=0) * relative
    return encoded


@pytest.mark.parametrize("radius", [3, 6, 12])
def test_uptake_shows_how_voxels_compare_with_the_clicks_around(radius: int) -> None:
    points = np.array([[3, 4, 5], [10, 9, 12], [12, 9, 12], [20, 17, 0]])
    encoded = UptakeEncoding(radius).encode(points, SHAPE, SUV)
    np.testing.assert_allclose(encoded, uptake_by_definition(points, radius), rtol=0, atol=1e-5)


def test_uptake_higher_than_at_a_click_is_positive_and_lower_negative() -> None:
    suv = np.full(SHAPE, 2.0, dtype=np.float32)
    suv[:, :, :9], suv[:, :, 15:] = 8.0, 0.5
    encoded = UptakeEncoding(10).encode(np.array([[10, 9, 12]]), SHAPE, suv)
    assert encoded[10, 9, 12] == pytest.approx(1, abs=0.05)
    assert encoded[10, 9, 6] > 0.3
    assert encoded[10, 9, 18] < -0.3
    assert encoded[10, 9, 23] == 0  # farther than the radius


def test_uptake_depends_on_no_order_and_on_no_click_outside() -> None:
    encoding = UptakeEncoding(6)
    points = np.array([[3, 4, 5], [10, 9, 12], [11, 10, 12]])
    whole = encoding.encode(points, SHAPE, SUV)
    np.testing.assert_array_equal(encoding.encode(points[[2, 0, 1, 0]], SHAPE, SUV), whole)
    assert not encoding.encode(np.zeros((0, 3), dtype=np.int64), SHAPE, SUV).any()
    outside = np.array([[-1, 4, 5], [40, 4, 5]])
    np.testing.assert_array_equal(
        encoding.encode(outside, SHAPE, SUV), EDTEncoding(2).encode(outside, SHAPE)
    )  # as much as its ball reaches in


def test_uptake_far_from_a_click_does_not_count() -> None:
    """What a session computes again after a click is what the click's map reaches."""
    encoding, changed = UptakeEncoding(5), SUV.copy()
    changed[15:] = 50
    points = np.array([[4, 9, 12]])
    np.testing.assert_array_equal(encoding.encode(points, SHAPE, changed), encoding.encode(points, SHAPE, SUV))


def test_uptake_is_not_encoded_without_a_pet() -> None:
    with pytest.raises(ValueError, match="needs the PET"):
        UptakeEncoding(5).encode(np.array([[4, 4, 4]]), SHAPE)


@pytest.mark.parametrize("encoding", [*ENCODINGS.values(), UptakeEncoding(12)], ids=[*ENCODINGS, "uptake"])
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
