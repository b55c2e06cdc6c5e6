from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from scipy import ndimage

from lesionclick import Case, Click, Ensemble, Session
from lesionclick.case.case import TRUTH_FILE
from lesionclick.case.geometry import Geometry
from lesionclick.case.images import read_mask
from lesionclick.inference.body import find_body, region_to_see
from lesionclick.inference.settings import FieldOfView, InferenceSettings
from lesionclick.model.grid import NetworkGrid
from lesionclick.testing import make_plans, write_model

SHAPE = (90, 80, 100)
SPACING = (5.0, 5.0, 5.0)


def patient() -> tuple[np.ndarray, np.ndarray]:
    """A block of tissue in z 10 to 80, y 30 to 60, x 35 to 65, in air."""
    ct = np.full(SHAPE, -1000.0, dtype=np.float32)
    ct[10:80, 30:60, 35:65] = 40
    return ct, np.full(SHAPE, 0.2, dtype=np.float32)


def grid(shape: tuple[int, ...] = SHAPE, spacing: tuple[float, ...] = SPACING) -> NetworkGrid:
    """The network's grid where it is the image's."""
    return NetworkGrid((0, 1, 2), shape, (0, 0, 0), shape, shape, spacing, spacing)


def find(ct: np.ndarray, pet: np.ndarray) -> np.ndarray:
    body = find_body(ct, pet, SPACING, grid())
    assert body is not None
    return body


def blocks(*bounds: tuple[int, int, int, int, int, int]) -> np.ndarray:
    """First and behind last voxel along z, y and x of blocks that are true."""
    mask = np.zeros(SHAPE, dtype=bool)
    for z, to_z, y, to_y, x, to_x in bounds:
        mask[z:to_z, y:to_y, x:to_x] = True
    return mask


TRUNK = (10, 80, 30, 60, 35, 65)


def test_tissue_is_the_body() -> None:
    np.testing.assert_array_equal(find(*patient()), blocks(TRUNK))


def test_lungs_belong_to_the_body() -> None:
    ct, pet = patient()
    ct[20:40, 32:58, 37:63] = -850
    np.testing.assert_array_equal(find(ct, pet), blocks(TRUNK))


def test_air_beside_a_head_does_not() -> None:
    ct, pet = patient()
    ct[60:80] = -1000
    ct[60:80, 40:50, 40:55] = 40
    np.testing.assert_array_equal(find(ct, pet), blocks((10, 60, 30, 60, 35, 65), (60, 80, 40, 50, 40, 55)))


def test_uptake_counts_where_the_ct_shows_air() -> None:
    ct, pet = patient()
    pet[40:50, 28:34, 20:40] = 4  # an arm that moved
    np.testing.assert_array_equal(find(ct, pet), blocks(TRUNK, (40, 50, 28, 34, 20, 40)))


def test_specks_do_not_count() -> None:
    ct, pet = patient()
    ct[0, 0, 0] = 3000
    pet[89, 79, 99] = 9
    np.testing.assert_array_equal(find(ct, pet), blocks(TRUNK))


def test_arms_that_touch_nothing_count() -> None:
    ct, pet = patient()
    ct[10:80, 10:16, 5:11] = 40
    np.testing.assert_array_equal(find(ct, pet), blocks(TRUNK, (10, 80, 10, 16, 5, 11)))


def test_no_body_is_none(caplog: pytest.LogCaptureFixture) -> None:
    ct, pet = patient()
    ct[:] = -1000
    ct[10:14, 10:14, 10:14] = 40
    with caplog.at_level("INFO"):
        assert find_body(ct, pet, SPACING, grid()) is None
    assert "no body found" in caplog.text


@pytest.mark.parametrize("slices", [1, 2])
def test_an_image_thinner_than_a_step_has_a_body(slices: int) -> None:
    ct, pet = np.full((slices, 200, 200), 40, dtype=np.float32), np.ones((slices, 200, 200), dtype=np.float32)
    body = find_body(ct, pet, (1.0, 4.0, 4.0), grid(ct.shape, (1.0, 4.0, 4.0)))
    assert body is not None
    assert body.all()


def test_fine_voxels_are_looked_at_in_steps() -> None:
    ct, pet = (np.kron(image, np.ones((4, 4, 4), dtype=np.float32)) for image in patient())
    fine = find_body(ct, pet, (1.25,) * 3, grid(ct.shape, (1.25,) * 3))
    assert fine is not None
    expected = np.kron(blocks(TRUNK), np.ones((4, 4, 4), dtype=bool))
    wrong = fine != expected
    # within a step of 3 voxels of the surface
    surface = ndimage.maximum_filter(expected, 5) & ~ndimage.minimum_filter(expected, 5)
    assert not (wrong & ~surface).any()


def test_a_grid_that_is_cropped_coarser_and_turned() -> None:
    ct, pet = (image.transpose(2, 1, 0) for image in patient())  # x, y, z of the image are z, y, x of the network
    turned = NetworkGrid((2, 1, 0), ct.shape, (4, 0, 0), (86, 80, 100), (43, 40, 50), SPACING, (10.0,) * 3)
    found = find_body(ct, pet, SPACING, turned)
    assert found is not None
    expected = blocks(TRUNK)[4:].reshape(43, 2, 40, 2, 50, 2)[:, 1, :, 1, :, 1]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["fdg", "psma"])
def test_no_lesion_of_a_sample_is_outside(name: str) -> None:
    folder = ROOT / "test" / "cases" / name
    case = Case.read(folder)
    spacing, shape = case.geometry.spacing_zyx, case.ct_zyx.shape
    region = find_body(case.ct_zyx, case.pet_zyx, spacing, grid(shape, spacing))
    assert region is not None
    truth = read_mask(folder / TRUTH_FILE, case.geometry)
    assert truth.any()
    assert not truth[~region].any()


def test_networks_see_the_body_alone_and_every_click(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", make_plans(spacing=SPACING), folds=(0,), mirror_axes=())
    ct, pet = patient()
    geometry = Geometry(SHAPE[::-1], SPACING, (0.0,) * 3, (1.0, 0, 0, 0, 1, 0, 0, 0, 1))
    ensemble = Ensemble.load(model, "cpu", backend="torch", precision="float32")
    case = Case("case", ct, pet, geometry, ())
    body, full = (Session(ensemble, case, InferenceSettings(view)) for view in FieldOfView)
    found, everywhere = body.predict().logit_zyx, full.predict().logit_zyx
    near = blocks((8, 82, 28, 62, 33, 67))
    assert (found[near] > -20).all()
    assert (found[~ndimage.maximum_filter(near, 33)] == -20).all()
    assert (everywhere > -20).all()
    clicked = body.predict([Click(2, 3, 40, "tumor")]).logit_zyx
    assert (clicked[36:45, :8, :7] > -20).all()


def test_the_order_of_clicks_does_not_matter_to_what_is_seen() -> None:
    body = blocks(TRUNK)
    points = np.array([(40, 5, 5), (40, 9, 8), (50, 45, 50), (200, 0, 0)])
    first, second = (region_to_see(body, each, (16, 16, 16)) for each in (points, points[::-1]))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, blocks(TRUNK, (36, 45, 1, 10, 1, 10), (36, 45, 5, 14, 4, 13)))
