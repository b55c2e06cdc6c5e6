import copy
from typing import Any

import numpy as np
import pytest
from conftest import body
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from lesionclick.case.clicks import Click
from lesionclick.model.encoding import EDTEncoding
from lesionclick.model.grid import to_network_grid
from lesionclick.model.preprocessing import Preprocessing
from lesionclick.testing import make_plans

SPACINGS = {
    "equal": (3.0, 2.0364201, 2.0364201),
    "finer": (1.5, 1.2, 1.3),
    "coarser": (5.0, 4.0, 3.7),
    "thick slices": (9.0, 1.5, 1.5),
}


def read(plans: dict[str, Any]) -> Preprocessing:
    return Preprocessing.from_plans(plans, plans["configurations"]["3d_fullres"])


def bordered() -> np.ndarray:
    """CT and PET within a border of zeros, thinner on one side than on the other."""
    image = np.zeros((2, 25, 26, 27), dtype=np.float32)
    image[:, 3:21, 1:21, 4:26] = np.stack(body())
    return image


@pytest.mark.parametrize("transpose", [(0, 1, 2), (2, 0, 1)])
@pytest.mark.parametrize("spacing", SPACINGS.values(), ids=SPACINGS)
def test_equals_nnunet(spacing: tuple[float, ...], transpose: tuple[int, ...]) -> None:
    plans = make_plans(transpose=transpose)
    image = bordered()
    given = image.copy()
    ours, grid = read(plans).to_network(image, spacing)
    manager = PlansManager(copy.deepcopy(plans))
    theirs, _, properties = DefaultPreprocessor(verbose=False).run_case_npy(
        image, None, {"spacing": spacing}, manager, manager.get_configuration("3d_fullres"), {}
    )
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=5e-6)
    np.testing.assert_array_equal(image, given)  # the caller's image is left as it was
    assert grid.crop_start == tuple(start for start, _ in properties["bbox_used_for_cropping"])
    assert grid.shape == theirs.shape[1:]


@pytest.mark.parametrize("transpose", [(0, 1, 2), (2, 0, 1)])
@pytest.mark.parametrize("spacing", SPACINGS.values(), ids=SPACINGS)
def test_way_back_leads_to_where_it_came_from(spacing: tuple[float, ...], transpose: tuple[int, ...]) -> None:
    preprocessing = read(make_plans(transpose=transpose))
    z, y, x = np.indices((20, 22, 24), dtype=np.float32)
    image = np.zeros((2, 27, 25, 26), dtype=np.float32)
    image[:, 2:22, 1:23, 2:26] = 100 + 4 * z - 3 * y + 2 * x
    _, grid = preprocessing.to_network(image, spacing)
    # a linear field on the network's grid, in mm from the crop's corner, survives linear resampling inside
    axes = [
        (np.arange(size) + 0.5) * spacing / size * cropped
        for size, spacing, cropped in zip(grid.shape, grid.image_spacing, grid.cropped_shape, strict=True)
    ]
    coordinates = np.meshgrid(*axes, indexing="ij")
    field = np.tensordot((1.0, -2.0, 3.0), np.stack(coordinates), axes=1).astype(np.float32)
    back = preprocessing.to_image(field, grid)
    assert back.shape == image.shape[1:]
    assert np.isneginf(back[0]).all()
    assert np.isfinite(back).sum() == 20 * 22 * 24
    weights = np.empty(3)
    weights[list(transpose)] = (1, -2, 3)
    in_mm = (np.indices((20, 22, 24)) + 0.5) * np.reshape(spacing, (3, 1, 1, 1))
    expected = np.tensordot(weights, in_mm, axes=1)
    inside = tuple(slice(4, -4) for _ in range(3))
    found = back[2:22, 1:23, 2:26][inside]
    # across thick slices nnU-Net takes the nearest one, half a voxel off at most
    tolerance = 0.51 * abs(weights[0]) * max(spacing[0], 3.0) if spacing == SPACINGS["thick slices"] else 1e-3
    np.testing.assert_allclose(found, expected[inside], rtol=0, atol=tolerance)


@pytest.mark.parametrize("model_spacing", [(3.0, 2.0364201, 2.0364201), (1.5, 1.0182, 1.0182), (6.0, 4.0728, 4.0728)])
def test_click_in_a_cropped_case_lands_on_the_voxel_that_was_meant(model_spacing: tuple[float, ...]) -> None:
    image = bordered()
    image[0, 3:21, 1:21, 4:26] = -500
    image[1, 3:21, 1:21, 4:26] = 1.1
    x, y, z = 18, 9, 13
    image[0, z - 1 : z + 2, y - 1 : y + 2, x - 1 : x + 2] = 900  # the clicked voxel is the middle of a bright cube
    (ct, _), grid = read(make_plans(spacing=model_spacing)).to_network(image, SPACINGS["equal"])
    clicks = EDTEncoding(2).encode(to_network_grid([Click(x, y, z, "tumor")], grid), grid.shape)
    clicked = np.unravel_index(clicks.argmax(), clicks.shape)
    bright = np.argwhere(ct > ct.max() * 0.5)
    assert clicks.max() == 1
    assert ct[clicked] > ct.max() * 0.5
    np.testing.assert_allclose(clicked, bright.mean(axis=0), atol=0.76)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"transpose_forward": [0, 1, 1]}, "transpose_forward"),
        ({"configurations": {"3d_fullres": {"spacing": [1.0, 0.0, 1.0]}}}, "spacing"),
        ({"configurations": {"3d_fullres": {"normalization_schemes": ["CTNormalization", "os"]}}}, "'os' is not one"),
        ({"configurations": {"3d_fullres": {"normalization_schemes": ["CTNormalization"] * 4}}}, "expected one for CT"),
        ({"configurations": {"3d_fullres": {"resampling_fn_data": "no_resampling"}}}, "'no_resampling'"),
    ],
)
def test_unsupported_plans_are_refused(change: dict[str, Any], message: str) -> None:
    plans = make_plans()
    for key, value in change.items():
        if key == "configurations":
            plans[key]["3d_fullres"].update(value["3d_fullres"])
        else:
            plans[key] = value
    with pytest.raises(ValueError, match=message):
        read(plans)
