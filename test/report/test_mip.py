from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from lesionclick.case.case import Case
from lesionclick.case.geometry import Geometry
from lesionclick.errors import CaseError
from lesionclick.report.mip import COLORS, PIXEL_MM, color_of, project_front, project_side
from lesionclick.report.mip_rotating import FRAMES, write_rotating_mip

SHAPE = (30, 24, 28)
IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
TURNED = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, -1.0)
SAGITTAL = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0)  # x of the array to the back, y to the head, z to the left


def make_case(direction: tuple[float, ...] = IDENTITY) -> tuple[Case, np.ndarray]:
    """A patient with one lesion near the head, at the patient's left and front, and a hot spot near the right foot."""
    pet = np.full(SHAPE, 0.5, np.float32)
    numbers = np.zeros(SHAPE, np.uint32)
    numbers[24:27, 3:6, 22:25] = 1
    pet[numbers > 0] = 7
    pet[2:5, 18:21, 3:6] = 20
    spacing = (4.0, 4.0, 4.0)
    if direction == TURNED:
        pet, numbers = pet[::-1, ::-1, ::-1], numbers[::-1, ::-1, ::-1]
    if direction == SAGITTAL:
        pet, numbers = pet.transpose(2, 0, 1), numbers.transpose(2, 0, 1)
    geometry = Geometry(pet.shape[::-1], spacing, (0.0, 0.0, 0.0), direction)
    return Case("a", np.zeros_like(pet), pet, geometry), numbers


def colored_share(image: Image.Image) -> np.ndarray:
    """Where a picture is not gray."""
    array = np.asarray(image.convert("RGB")).astype(int)
    colored: np.ndarray = np.ptp(array, axis=2) > 30
    return colored


@pytest.mark.parametrize("direction", [IDENTITY, TURNED, SAGITTAL])
def test_head_is_up_and_lesions_lie_where_they_are_seen(direction: tuple[float, ...]) -> None:
    case, numbers = make_case(direction)
    for picture, middle in (
        (project_front(case, numbers), (4 * 4.5, 23.5 * 4)),
        (project_side(case, numbers), (4 * 4.5, 18)),
    ):
        assert picture.size[1] == SHAPE[0] * 4 / PIXEL_MM
        row, column = (round(mm / PIXEL_MM) for mm in middle)
        assert colored_share(picture)[row - 1 : row + 1, column - 1 : column + 1].all()
        assert not colored_share(picture)[picture.size[1] // 2 :].any()
    front = np.asarray(project_front(case, numbers).convert("L"))
    assert np.argwhere(front[40:] == front[40:].min()).mean(axis=0) == pytest.approx((54 - 40 - 1.5, 8.5), abs=2)
    side = np.asarray(project_side(case, numbers).convert("L"))
    assert np.argwhere(side[40:] == side[40:].min()).mean(axis=0) == pytest.approx((54 - 40 - 1.5, 38.5), abs=2)


def test_pixels_are_square_whatever_the_voxels_are() -> None:
    case, numbers = make_case()
    geometry = Geometry(case.geometry.size, (3.0, 2.0, 10.0), (0.0, 0.0, 0.0), IDENTITY)
    stretched = Case("a", case.ct_zyx, case.pet_zyx, geometry)
    assert project_front(stretched, numbers).size == (28 * 3 / 2, 30 * 10 / 2)
    assert project_side(stretched, numbers).size == (24 * 2 / 2, 30 * 10 / 2)


def test_lesions_near_each_other_have_colors_of_their_own() -> None:
    assert len({color_of(number) for number in range(1, len(COLORS) + 1)}) == len(COLORS)
    assert color_of(len(COLORS) + 1) == color_of(1)


@pytest.mark.parametrize("ending", [".gif", ".webp"])
def test_rotating_picture_turns_all_around(ending: str, tmp_path: Path) -> None:
    path = tmp_path / "new" / f"mip{ending}"
    write_rotating_mip(*make_case(), path)
    columns = []
    with Image.open(path) as picture:
        assert picture.n_frames == FRAMES  # type: ignore[attr-defined]
        for frame in (0, FRAMES // 2):
            picture.seek(frame)
            rows, across = np.nonzero(colored_share(picture))
            assert rows.max() < picture.height / 3  # the lesion stays near the head
            columns.append(across.mean())
        middle = (picture.width - 1) / 2
    assert columns[0] > middle + 5
    assert columns[0] + columns[1] == pytest.approx(2 * middle, abs=2)


@pytest.mark.parametrize("shape", [(8, 12, 15), (8, 15, 12), (8, 13, 15), (8, 12, 14)])
def test_rotating_picture_has_no_gaps(shape: tuple[int, int, int], tmp_path: Path) -> None:
    """A solid lesion is a solid patch from every side, whether the picture's width is odd or even."""
    numbers = np.zeros(shape, np.uint32)
    numbers[2:6, 3:9, 2:10] = 1
    pet = np.where(numbers > 0, 7, 0.5).astype(np.float32)
    case = Case("a", np.zeros_like(pet), pet, Geometry(shape[::-1], (4.0, 4.0, 4.0), (0.0, 0.0, 0.0), IDENTITY))
    write_rotating_mip(case, numbers, tmp_path / "lesion.gif")
    write_rotating_mip(case, np.zeros_like(numbers), tmp_path / "uptake.gif")
    for name in ("lesion", "uptake"):
        with Image.open(tmp_path / f"{name}.gif") as picture:
            for frame, view in enumerate(ImageSequence.Iterator(picture)):
                seen = colored_share(view) if name == "lesion" else np.asarray(view.convert("L")) < 128
                columns = np.flatnonzero(seen.any(axis=0))
                assert np.ptp(columns) + 1 == len(columns), (name, frame)


def test_rotating_picture_without_lesions_is_gray(tmp_path: Path) -> None:
    case, numbers = make_case()
    write_rotating_mip(case, np.zeros_like(numbers), tmp_path / "mip.gif")
    with Image.open(tmp_path / "mip.gif") as picture:
        assert not colored_share(picture).any()


def test_other_endings_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match=r"has the ending \.gif or \.webp, not '\.png'"):
        write_rotating_mip(*make_case(), tmp_path / "mip.png")
    assert list(tmp_path.iterdir()) == []
