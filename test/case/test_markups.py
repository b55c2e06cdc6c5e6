import json
from pathlib import Path
from typing import Any

import pytest
from conftest import click_file

from lesionclick.case.clicks import Click
from lesionclick.case.geometry import Geometry
from lesionclick.case.markups import read_click_files, read_markups
from lesionclick.errors import CaseError

GEOMETRY = Geometry((10, 20, 30), (2.0, 3.0, 4.0), (-5.0, 6.0, 100.0), (0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, -1.0))


def place_of(click: Click) -> list[float]:
    """Where a voxel of `GEOMETRY` lies, LPS, mm."""
    return [-5.0 + 3.0 * click.y, 6.0 + 2.0 * click.x, 100.0 - 4.0 * click.z]


def write_markups(path: Path, points: list[dict[str, Any]], **entries: Any) -> Path:
    markup = {
        "type": "Fiducial",
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "controlPoints": points,
        **entries,
    }
    schema = "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    path.write_text(json.dumps({"@schema": f"{schema}markups-schema-v1.0.3.json#", "markups": [markup]}))
    return path


def point_at(click: Click, label: str, **entries: Any) -> dict[str, Any]:
    return {"id": "1", "label": label, "position": place_of(click), "positionStatus": "defined", **entries}


def refusal_of(path: Path) -> str:
    with pytest.raises(CaseError) as refusal:
        read_markups(path, GEOMETRY)
    return str(refusal.value)


def test_points_become_clicks_of_the_voxels_that_they_lie_in(tmp_path: Path) -> None:
    first, second = Click(9, 19, 29, "tumor"), Click(0, 0, 0, "background")
    near = [value + shift for value, shift in zip(place_of(second), (1.4, -0.9, 1.9), strict=True)]
    points = [point_at(first, "Tumor-1"), point_at(second, "BACKGROUND_2", position=near)]
    assert read_markups(write_markups(tmp_path / "a.mrk.json", points), GEOMETRY) == (first, second)


def test_ras_is_turned(tmp_path: Path) -> None:
    click = Click(3, 4, 5, "tumor")
    left, back, head = place_of(click)
    points = [point_at(click, "tumor", position=[-left, -back, head])]
    path = write_markups(tmp_path / "a.mrk.json", points, coordinateSystem="RAS")
    assert read_markups(path, GEOMETRY) == (click,)


@pytest.mark.parametrize(
    ("file_name", "entries"),
    [("a.mrk.json", {"name": "Tumor points"}), ("tumour.mrk.json", {}), ("a.json", {"name": "tumor"})],
)
def test_the_name_of_the_list_or_the_file_counts_where_the_label_says_nothing(
    tmp_path: Path, file_name: str, entries: dict[str, str]
) -> None:
    path = write_markups(tmp_path / file_name, [point_at(Click(1, 2, 3, "tumor"), "F-1")], **entries)
    assert read_click_files([path], GEOMETRY) == (Click(1, 2, 3, "tumor"),)


def test_points_that_were_not_placed_are_left_out(tmp_path: Path) -> None:
    points = [
        point_at(Click(1, 2, 3, "tumor"), "tumor", positionStatus="undefined"),
        {"label": "tumor", "positionStatus": "preview"},
    ]
    assert read_markups(write_markups(tmp_path / "a.mrk.json", points), GEOMETRY) == ()


@pytest.mark.parametrize(
    ("point", "entries", "sentence"),
    [
        (
            point_at(Click(10, 4, 5, "tumor"), "tumor-7"),
            {},
            'point 1 ("tumor-7") lies outside the image: [7.0, 26.0, 80.0] mm is voxel (10, 4, 5) of (10, 20, 30)',
        ),
        (point_at(Click(1, 1, 1, "tumor"), "F-1"), {}, "says neither tumor nor background"),
        (
            point_at(Click(1, 1, 1, "tumor"), "tumor", position=[1, 2]),
            {},
            "has the position [1, 2], expected three numbers",
        ),
        (point_at(Click(1, 1, 1, "tumor"), "tumor"), {"coordinateSystem": "IJK"}, 'has the coordinate system "IJK"'),
        (point_at(Click(1, 1, 1, "tumor"), "tumor"), {"coordinateUnits": "um"}, 'has coordinates in "um", expected mm'),
        (
            point_at(Click(1, 1, 1, "tumor"), "tumor"),
            {"type": "Curve"},
            'has the type "Curve", expected a list of points',
        ),
    ],
)
def test_what_cannot_be_a_click_is_one_sentence(
    tmp_path: Path, point: dict[str, Any], entries: dict[str, str], sentence: str
) -> None:
    path = write_markups(tmp_path / "a.mrk.json", [point], **entries)
    refusal = refusal_of(path)
    assert refusal.startswith(f"{path}: ")
    assert sentence in refusal


def test_a_file_without_markups_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mrk.json"
    path.write_text('{"markups": 3}')
    assert refusal_of(path) == f"{path}: 'markups' is 3, expected a list of 3D Slicer's markups"


def test_several_files_of_any_format_follow_each_other(tmp_path: Path) -> None:
    lists, challenge = tmp_path / "lists.json", tmp_path / "challenge.json"
    lists.write_text('{"background": [[1, 2, 3]]}')
    challenge.write_text(json.dumps(click_file(([3, 2, 1], "tumor"))))
    markups = write_markups(tmp_path / "tumor.mrk.json", [point_at(Click(4, 5, 6, "tumor"), "")])
    clicks = read_click_files([lists, challenge, markups], GEOMETRY)
    assert clicks == (Click(1, 2, 3, "background"), Click(3, 2, 1, "tumor"), Click(4, 5, 6, "tumor"))
    with pytest.raises(CaseError, match="the clicks file is missing"):
        read_click_files([tmp_path / "nowhere.json"], GEOMETRY)
