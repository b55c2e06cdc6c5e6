from pathlib import Path

import numpy as np
import pytest

from benchmarks.random_model import make_plans, write_model
from lesionclick import Case, Click, Ensemble, Session
from lesionclick.body import body_box, include, to_network_box
from lesionclick.case import Geometry
from lesionclick.preprocessing import NetworkGrid

SHAPE = (90, 80, 100)
SPACING = (5.0, 5.0, 5.0)


def patient() -> tuple[np.ndarray, np.ndarray]:
    """A block of tissue in z 10 to 80, y 30 to 60, x 35 to 65, in air."""
    ct = np.full(SHAPE, -1000.0, dtype=np.float32)
    ct[10:80, 30:60, 35:65] = 40
    return ct, np.full(SHAPE, 0.2, dtype=np.float32)


def test_the_box_holds_the_body_and_a_margin() -> None:
    assert body_box(*patient(), SPACING) == (slice(6, 84), slice(26, 64), slice(31, 69))


def test_lungs_do_not_cut_the_body() -> None:
    ct, pet = patient()
    ct[20:40, 32:58, 37:63] = -850
    assert body_box(ct, pet, SPACING) == (slice(6, 84), slice(26, 64), slice(31, 69))


def test_uptake_counts_where_the_ct_shows_air() -> None:
    ct, pet = patient()
    pet[40:50, 28:34, 20:40] = 4  # an arm that moved
    assert body_box(ct, pet, SPACING)[2] == slice(16, 69)


def test_specks_do_not_count() -> None:
    ct, pet = patient()
    ct[0, 0, 0] = 3000
    pet[89, 79, 99] = 9
    assert body_box(ct, pet, SPACING) == (slice(6, 84), slice(26, 64), slice(31, 69))


def test_arms_that_touch_nothing_count() -> None:
    ct, pet = patient()
    ct[15:60, 40:46, 5:11] = 40
    assert body_box(ct, pet, SPACING)[2] == slice(1, 69)


def test_no_body_is_the_whole_volume() -> None:
    ct, pet = patient()
    ct[:] = -1000
    ct[10:14, 10:14, 10:14] = 40
    assert body_box(ct, pet, SPACING) == tuple(slice(0, size) for size in SHAPE)


def test_fine_voxels_are_looked_at_in_steps() -> None:
    ct, pet = (np.kron(image, np.ones((4, 4, 4), dtype=np.float32)) for image in patient())
    coarse = body_box(*patient(), SPACING)
    fine = body_box(ct, pet, (1.25, 1.25, 1.25))
    for one, other in zip(coarse, fine, strict=True):
        assert 0 <= 4 * one.start - other.start <= 3
        assert 0 <= other.stop - 4 * one.stop <= 3


@pytest.fixture
def grid() -> NetworkGrid:
    """Cropped by 2 along z, half the voxels, x and z exchanged."""
    return NetworkGrid((2, 1, 0), (20, 30, 40), (0, 0, 2), (40, 30, 18), (20, 15, 9), (1, 1, 1), (2, 2, 2))


def test_the_box_on_the_networks_grid_covers_that_of_the_image(grid: NetworkGrid) -> None:
    assert to_network_box((slice(5, 15), slice(0, 30), slice(7, 9)), grid) == (slice(3, 5), slice(0, 15), slice(1, 7))
    assert to_network_box((slice(0, 1), slice(29, 30), slice(39, 40)), grid) == (
        *(slice(19, 20), slice(14, 15), slice(0, 1)),
    )


def test_a_box_grows_to_a_patch_and_round_points() -> None:
    shape, patch = (100, 100, 10), (16, 16, 16)
    box = (slice(40, 60), slice(2, 6), slice(4, 6))
    nothing = np.empty((0, 3), dtype=np.int64)
    assert include(box, nothing, patch, shape) == (slice(40, 60), slice(0, 16), slice(0, 10))
    points = np.array([[90, 50, 5], [1, 3, 3], [-5, 0, 0], [0, 0, 10]])
    assert include(box, points, patch, shape) == (slice(0, 95), slice(0, 55), slice(0, 10))


def test_networks_see_the_body_alone_and_every_click(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", make_plans(spacing=SPACING), folds=(0,), mirror_axes=())
    ct, pet = patient()
    geometry = Geometry(SHAPE[::-1], SPACING, (0.0,) * 3, (1.0, 0, 0, 0, 1, 0, 0, 0, 1))
    ensemble = Ensemble.load(model, "cpu", backend="torch", precision="float32")
    case = Case("case", ct, pet, geometry, ())
    body, full = (Session(ensemble, case, view) for view in ("body", "full"))
    found, everywhere = body.predict().logit_zyx, full.predict().logit_zyx
    inside = (slice(6, 84), slice(26, 64), slice(31, 69))
    outside = np.ones(SHAPE, dtype=bool)
    outside[inside] = False
    assert (found[outside] == -20).all()
    assert (everywhere > -20).all()
    assert (found[inside] > -20).all()
    clicked = body.predict([Click(2, 3, 40, "tumor")]).logit_zyx
    assert (clicked[40, :6, :6] > -20).all()
