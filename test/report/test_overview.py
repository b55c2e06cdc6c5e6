from pathlib import Path

import numpy as np
import pytest
from conftest import body, image_from, write_case
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from lesionclick.case.case import Case
from lesionclick.case.clicks import Click
from lesionclick.report.overview import CLICK_MARKS, MASK_COLOR, Panel, draw, project

SHAPE = (18, 20, 22)
DIRECTIONS = [(1, 0, 0, 0, 1, 0, 0, 0, 1), (-1, 0, 0, 0, -1, 0, 0, 0, -1)]


def read_case(folder: Path, pet: np.ndarray, direction: tuple[int, ...] = DIRECTIONS[0]) -> Case:
    ct, _ = body(SHAPE)
    return Case.read(write_case(folder, *(image_from(each, direction=direction) for each in (ct, pet))))


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_head_is_up_and_lesions_and_clicks_lie_on_what_they_mark(direction: tuple[int, ...], tmp_path: Path) -> None:
    """A hot voxel towards the head and the patient's right is drawn there, and so are its lesion and its click."""
    z, x = (16, 2) if direction[0] > 0 else (1, 19)
    pet = np.full(SHAPE, 0.1, dtype=np.float32)
    pet[z, 5, x] = 10
    mask = (pet > 5).astype(np.uint8)
    case = read_case(tmp_path, pet, direction)
    axis = Figure().subplots()
    project(axis, case, Panel("title", mask, [Click(x, 5, z, "tumor")]))

    projection, overlay = (np.asarray(image.get_array()) for image in axis.images)
    assert np.argwhere(projection > 5).tolist() == [[1, 2]]  # row 0 is the uppermost, column 0 the leftmost
    assert np.argwhere(overlay[..., 3]).tolist() == [[1, 2]]
    np.testing.assert_allclose(overlay[1, 2, :3], to_rgb(MASK_COLOR))
    points = [collection.get_offsets() for collection in axis.collections]
    ((across, up),) = np.concatenate(points)
    assert len(points) == len(CLICK_MARKS)
    assert across == pytest.approx((2 + 0.5) * 2.0364201)
    assert up == pytest.approx((18 - 1 - 0.5) * 3)
    assert axis.get_title() == "title"


def test_a_sagittal_image_is_drawn_from_the_front_too(tmp_path: Path) -> None:
    """Its array runs from the right to the left along z, from the feet to the head along y, to the back along x."""
    pet = np.full(SHAPE, 0.1, dtype=np.float32)
    pet[2, 16, 5] = 10
    case = read_case(tmp_path, pet, (0, 0, 1, 1, 0, 0, 0, 1, 0))
    axis = Figure().subplots()
    project(axis, case, Panel("title", (pet > 5).astype(np.uint8), [Click(5, 16, 2, "tumor")]))
    projection, overlay = (np.asarray(image.get_array()) for image in axis.images)
    assert projection.shape == (20, 18)
    assert np.argwhere(projection > 5).tolist() == np.argwhere(overlay[..., 3]).tolist() == [[3, 2]]
    ((across, up),) = np.concatenate([collection.get_offsets() for collection in axis.collections])
    assert (across, up) == pytest.approx((2.5 * 3, 16.5 * 2.0364201))


def test_picture_is_written_with_and_without_lesions(tmp_path: Path) -> None:
    _, pet = body(SHAPE)
    case = read_case(tmp_path, pet)
    mask = np.zeros(SHAPE, dtype=np.uint8)
    panels = [Panel("no mask"), Panel("empty", mask), Panel("mask", np.ones_like(mask))]
    draw(case, panels, tmp_path / "new" / "overview.png")
    assert (tmp_path / "new" / "overview.png").read_bytes().startswith(b"\x89PNG")
