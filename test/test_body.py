from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from scipy import ndimage

from benchmarks.random_model import make_plans, write_model
from lesionclick import Case, Click, Ensemble, Session
from lesionclick.body import body_region
from lesionclick.case import TRUTH_FILE, Geometry, read_mask
from lesionclick.preprocessing import NetworkGrid
from lesionclick.tiles import Region

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


def find(ct: np.ndarray, pet: np.ndarray) -> Region:
    return body_region(ct, pet, SPACING, grid())


def rectangles(region: Region) -> set[tuple[int, ...]]:
    """First and last slice of each stretch of equal rectangles, and their ranges along y and x."""
    rows = np.concatenate(
        [region.starts[:, :1], region.stops[:, :1], region.starts[:, 1:], region.stops[:, 1:]], axis=1
    )
    found = np.flatnonzero(region.slices)
    cuts = np.flatnonzero(np.any(np.diff(rows[found], axis=0), axis=1)) + 1
    return {(part[0], part[-1], *rows[part[0]]) for part in np.split(found, cuts)}


def test_the_region_holds_the_body_and_a_margin() -> None:
    assert rectangles(find(*patient())) == {(8, 81, 28, 62, 33, 67)}


def test_each_slice_has_its_own_rectangle() -> None:
    ct, pet = patient()
    ct[60:80] = -1000
    ct[60:80, 40:50, 40:55] = 40  # a head
    assert rectangles(find(ct, pet)) == {(8, 61, 28, 62, 33, 67), (62, 81, 38, 52, 38, 57)}


def test_lungs_do_not_cut_the_body() -> None:
    ct, pet = patient()
    ct[20:40, 32:58, 37:63] = -850
    assert rectangles(find(ct, pet)) == {(8, 81, 28, 62, 33, 67)}


def test_uptake_counts_where_the_ct_shows_air() -> None:
    ct, pet = patient()
    pet[40:50, 28:34, 20:40] = 4  # an arm that moved
    assert rectangles(find(ct, pet)) == {(8, 37, 28, 62, 33, 67), (38, 51, 26, 62, 18, 67), (52, 81, 28, 62, 33, 67)}


def test_specks_do_not_count() -> None:
    ct, pet = patient()
    ct[0, 0, 0] = 3000
    pet[89, 79, 99] = 9
    assert rectangles(find(ct, pet)) == {(8, 81, 28, 62, 33, 67)}


def test_arms_that_touch_nothing_count() -> None:
    ct, pet = patient()
    ct[10:80, 40:46, 5:11] = 40
    assert rectangles(find(ct, pet)) == {(8, 81, 28, 62, 3, 67)}


def test_no_body_is_the_whole_volume(caplog: pytest.LogCaptureFixture) -> None:
    ct, pet = patient()
    ct[:] = -1000
    ct[10:14, 10:14, 10:14] = 40
    with caplog.at_level("INFO"):
        assert rectangles(find(ct, pet)) == {(0, 89, 0, 80, 0, 100)}
    assert "no body found" in caplog.text


def test_fine_voxels_are_looked_at_in_steps() -> None:
    ct, pet = (np.kron(image, np.ones((4, 4, 4), dtype=np.float32)) for image in patient())
    ct[36:40] = ct[40]  # 4 slices of 1.25 mm more, of which a step of 3 may see one
    fine = body_region(ct, pet, (1.25,) * 3, grid(ct.shape, (1.25,) * 3))
    occupied = np.flatnonzero(fine.slices)
    for low, high, start, stop in [
        (occupied[0], occupied[-1] + 1, 36, 320),
        (*(fine.starts[:, 0].min(), fine.stops[:, 0].max()), 120, 240),
        (*(fine.starts[:, 1].min(), fine.stops[:, 1].max()), 140, 260),
    ]:
        assert 8 <= start - low <= 8 + 2
        assert 8 <= high - stop <= 8 + 2


def test_a_grid_that_is_cropped_coarser_and_turned() -> None:
    ct, pet = (image.transpose(2, 1, 0) for image in patient())  # x, y, z of the image are z, y, x of the network
    turned = NetworkGrid((2, 1, 0), ct.shape, (4, 0, 0), (86, 80, 100), (43, 40, 50), SPACING, (10.0,) * 3)
    # z 10 to 80 less 4, y 30 to 60, x 35 to 65, with 2 voxels of margin, halved
    assert rectangles(body_region(ct, pet, SPACING, turned)) == {(2, 38, 14, 31, 16, 34)}


@pytest.mark.parametrize("name", ["fdg", "psma"])
def test_no_lesion_of_a_sample_is_outside(name: str) -> None:
    folder = ROOT / "test" / "cases" / name
    case = Case.read(folder)
    spacing, shape = case.geometry.spacing_zyx, case.ct_zyx.shape
    region = body_region(case.ct_zyx, case.pet_zyx, spacing, grid(shape, spacing))
    for z, *place in np.argwhere(read_mask(folder / TRUTH_FILE, case.geometry)):
        assert (region.starts[z] <= place).all()
        assert (place < region.stops[z]).all()


def test_networks_see_the_body_alone_and_every_click(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", make_plans(spacing=SPACING), folds=(0,), mirror_axes=())
    ct, pet = patient()
    geometry = Geometry(SHAPE[::-1], SPACING, (0.0,) * 3, (1.0, 0, 0, 0, 1, 0, 0, 0, 1))
    ensemble = Ensemble.load(model, "cpu", backend="torch", precision="float32")
    case = Case("case", ct, pet, geometry, ())
    body, full = (Session(ensemble, case, view) for view in ("body", "full"))
    found, everywhere = body.predict().logit_zyx, full.predict().logit_zyx
    near = np.zeros(SHAPE, dtype=bool)
    near[8:82, 28:62, 33:67] = True
    assert (found[near] > -20).all()
    assert (found[~ndimage.maximum_filter(near, 33)] == -20).all()
    assert (everywhere > -20).all()
    clicked = body.predict([Click(2, 3, 40, "tumor")]).logit_zyx
    assert (clicked[36:45, :8, :7] > -20).all()
