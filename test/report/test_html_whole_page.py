"""A whole page of a small case: what is drawn, written beside it and listed in the table is one and the same."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import body
from helpers_report import read_page
from PIL import Image, ImageDraw, ImageFont

from lesionclick.case.case import Case
from lesionclick.case.geometry import Geometry
from lesionclick.report.html import page_of, write_html
from lesionclick.report.measurements import measure_lesions
from lesionclick.report.mip import OPACITY, PIXEL_MM, color_of

SHAPE = (30, 24, 28)
MM = 6.0
IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)

# first voxels and sides of cubes, z, y, x; in another order than that of their sizes
CUBES = {(4, 4, 4): 2, (12, 10, 12): 4, (22, 17, 20): 3}


def digit_at(picture: np.ndarray, row: float, column: float) -> int:
    """The digit that looks most like what is written to the right of a place, over white."""
    part = 255.0 - picture[round(row) - 12 : round(row) + 12, round(column) : round(column) + 16].mean(axis=2)
    likeness = {}
    for digit in range(1, 10):
        drawn = Image.new("L", (12, 20))
        ImageDraw.Draw(drawn).text((1, 1), str(digit), font=ImageFont.load_default(size=13), fill=255)
        glyph = np.asarray(drawn).astype(float)
        glyph = glyph[glyph.any(axis=1)][:, glyph.any(axis=0)]
        rows, columns = (whole - own for whole, own in zip(part.shape, glyph.shape, strict=True))
        windows = np.lib.stride_tricks.sliding_window_view(part, glyph.shape)[: rows + 1, : columns + 1]
        likeness[digit] = max(
            np.corrcoef(each.ravel(), glyph.ravel())[0, 1] for row in windows for each in row if each.any()
        )
    return max(likeness, key=lambda digit: likeness[digit])


def test_lesions_in_pictures_have_the_numbers_and_colors_of_their_rows(tmp_path: Path) -> None:
    mask = np.zeros(SHAPE, np.uint8)
    for start, side in CUBES.items():
        mask[tuple(slice(first, first + side) for first in start)] = 1
    pet = mask * np.float32(1e-3)  # white like everything else, but for the lesions' colors
    case = replace(Case("a", *body(SHAPE), Geometry(SHAPE[::-1], (MM,) * 3, (0.0,) * 3, IDENTITY)), pet_zyx=pet)
    table = measure_lesions(mask, pet, case.geometry)
    write_html(page_of("a", table, {}, []), case, table.numbers_zyx, tmp_path / "report.html")
    page = read_page(tmp_path / "report.html")
    rows = page.rows()
    assert [row["Lesion"] for row in rows] == ["1", "2", "3"]
    spots = [element["style"] for element in page.all("span")]
    by_size = sorted(CUBES.items(), key=lambda cube: -cube[1])
    for row, spot, ((z, y, x), side) in zip(rows, spots, by_size, strict=True):
        number = int(row["Lesion"])
        assert float(row["Volume (ml)"]) == pytest.approx((side * MM) ** 3 / 1000, rel=1e-3)
        assert spot == f"background: rgb{color_of(number)}"
        expected = np.multiply(OPACITY, color_of(number)) + (1 - OPACITY) * 255
        for picture, across in zip(page.pictures(), (x, y), strict=True):
            row_pixel = (SHAPE[0] - z - side / 2) * MM / PIXEL_MM  # head up
            pixel = picture[int(row_pixel), int((across + side / 2) * MM / PIXEL_MM)]
            assert pixel == pytest.approx(expected, abs=2)
            assert digit_at(picture, row_pixel, (across + side) * MM / PIXEL_MM) == number
