import base64
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import body
from helpers_report import read_page
from PIL import Image

import lesionclick
from lesionclick.case.case import Case
from lesionclick.case.geometry import Geometry
from lesionclick.errors import CaseError
from lesionclick.report.html import Page, page_of, write_html
from lesionclick.report.measurements import measure_lesions
from lesionclick.report.mip import color_of

SHAPE = (18, 20, 22)


def make_case() -> tuple[Case, np.ndarray]:
    identity = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    geometry = Geometry(SHAPE[::-1], (4.0, 4.0, 5.0), (0.0, 0.0, 0.0), identity)
    numbers = np.zeros(SHAPE, np.uint32)
    numbers[2:4, 3:5, 4:6], numbers[12, 12, 12] = 1, 2
    return Case("a case", *body(SHAPE), geometry), numbers


ROWS: Sequence[Mapping[str, Any]] = [
    {"number": 1, "volume_ml": 0.64, "suv_max": 12.345678, "organ": "liver", "centroid_x_mm": 987.6},
    {"number": 2, "volume_ml": 0.08, "suv_max": 3.0, "organ": None},
]


def test_page_holds_pictures_table_facts_and_warnings_and_asks_for_no_network(tmp_path: Path) -> None:
    page = Page(
        "a case",
        ROWS,
        {"lesion_count": 2, "dmax_mm": None},
        {"model": {"folds": "ten", "parts": [1, "two"]}, "settings": {"obey_clicks": True}, "clicks": "left out"},
        ["PET < 0 & odd: is it?"],
    )
    write_html(page, *make_case(), tmp_path / "new" / "report.html")
    text = (tmp_path / "new" / "report.html").read_text(encoding="utf-8")
    outline = read_page(tmp_path / "new" / "report.html")
    for attributes in (each for _, each in outline.elements):
        assert not {"href", "srcset", "onload"} & attributes.keys()
        assert (attributes.get("src") or "data:").startswith("data:image/png;base64,") or "src" not in attributes
    assert "url(" not in text
    assert "@import" not in text
    assert not outline.all("script")
    said = [said for _, said in outline.texts]
    for expected in (
        "a case",
        "12.35",
        "liver",
        "unknown",
        "Model",
        "folds: ten",
        "parts: 1",
        "two",
        "obey clicks: yes",
        f"lesionclick {lesionclick.__version__}",
        "PET < 0 & odd: is it?",
    ):
        assert expected in said
    assert not {"987.6", "left out"} & set(said)
    assert said.count("unknown") == 2  # the second lesion's organ and the distance


def test_page_can_be_heard_and_read_on_a_phone(tmp_path: Path) -> None:
    write_html(Page("a case", ROWS), *make_case(), tmp_path / "report.html")
    outline = read_page(tmp_path / "report.html")
    assert outline.all("html") == [{"lang": "en"}]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in outline.all("meta")
    alternatives = [image["alt"] for image in outline.all("img")]
    assert len(alternatives) == 2
    assert all("2 lesions in color" in (text or "") for text in alternatives)
    assert [header["scope"] for header in outline.all("th")].count("row") == len(ROWS)
    assert outline.all("caption")
    ids = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in outline.elements:
        if "aria-labelledby" in attributes:
            assert attributes["aria-labelledby"] in ids


def test_pictures_in_the_page_show_each_lesion_in_its_color(tmp_path: Path) -> None:
    case, numbers = make_case()
    cold = replace(case, pet_zyx=np.zeros_like(case.pet_zyx))
    write_html(Page("a case", ROWS), cold, numbers, tmp_path / "report.html")
    over_white = {tuple(round(0.3 * 255 + 0.7 * part) for part in color_of(number)) for number in (1, 2)}
    images = read_page(tmp_path / "report.html").all("img")
    for image in images:
        encoded = (image["src"] or "").partition("base64,")[2]
        with Image.open(io.BytesIO(base64.b64decode(encoded))) as picture:
            assert picture.size == (int(image["width"] or 0), int(image["height"] or 0))
            colors = {color for _, color in picture.convert("RGB").getcolors(1 << 20) or []}
        assert over_white <= colors


def test_what_a_case_says_of_itself_is_text_and_no_markup(tmp_path: Path) -> None:
    evil = "<script>alert('x')</script>"
    page = Page(evil, [{"number": 1, "organ": evil}], {}, {"found": evil, "settings": {evil: 1}}, [evil])
    write_html(page, *make_case(), tmp_path / "report.html")
    outline = read_page(tmp_path / "report.html")
    assert not outline.all("script")
    assert [text for _, text in outline.texts].count(evil) == 4
    assert f"{evil}: 1" in [text for _, text in outline.texts]


def test_page_without_lesions_says_so(tmp_path: Path) -> None:
    case, numbers = make_case()
    write_html(Page("a case"), case, np.zeros_like(numbers), tmp_path / "report.html")
    outline = read_page(tmp_path / "report.html")
    assert "No lesions." in [text for _, text in outline.texts]
    assert not outline.all("table")
    assert re.match("PET from the front.*: 0 lesions", outline.all("img")[0]["alt"] or "")


def test_page_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CaseError, match="cannot be written"):
        write_html(Page("a case"), *make_case(), tmp_path / "file" / "report.html")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_page_of_a_measured_case_has_its_lesions_in_order(tmp_path: Path) -> None:
    case, numbers = make_case()
    table = measure_lesions(numbers > 0, case.pet_zyx, case.geometry)
    page = page_of(case.name, table, {"model": None}, ["a warning"])
    write_html(page, case, table.numbers_zyx, tmp_path / "report.html")
    texts = read_page(tmp_path / "report.html").texts
    assert [text for element, text in texts if element == "th" and text.isdigit()] == ["1", "2"]
    assert "0.64" in [text for _, text in texts]  # ml: 8 voxels of 80 cubic millimeters
