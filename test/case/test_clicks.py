import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, click_file

from lesionclick.case.clicks import Click, read_clicks, write_clicks
from lesionclick.errors import CaseError

AUTOPET_SHAPE = (1000, 400, 400)  # z, y, x; no autoPET image is larger


def test_official_clicks_are_read() -> None:
    paths = sorted((ROOT / "test" / "clicks").glob("*_clicks.json"))
    assert len(paths) == 20
    assert {path.name[:4] for path in paths} == {"fdg_", "psma"}
    for path in paths:
        clicks = read_clicks(path, AUTOPET_SHAPE)
        raw = json.loads(path.read_text())["points"]
        assert [[click.x, click.y, click.z] for click in clicks] == [entry["point"] for entry in raw]
        assert [click.label for click in clicks] == [entry["name"] for entry in raw]


def test_scribbles_are_read_as_their_voxels() -> None:
    clicks = read_clicks(ROOT / "test" / "clicks" / "autopetv-scribbles.json", AUTOPET_SHAPE)
    assert len(clicks) == 22
    assert clicks[0] == Click(163, 118, 123, "tumor")
    assert clicks[-1] == Click(166, 118, 126, "background")


def test_written_clicks_are_read_back(tmp_path: Path) -> None:
    clicks = (Click(1, 2, 3, "tumor"), Click(1, 2, 3, "tumor"), Click(0, 0, 0, "background"))
    write_clicks(clicks, tmp_path / "clicks.json")
    assert read_clicks(tmp_path / "clicks.json", (4, 4, 4)) == clicks


def test_whole_floats_unknown_keys_and_repeats_are_fine(tmp_path: Path) -> None:
    document = click_file(([1.0, 2, 3], "tumor"), ([1, 2, 3], "tumor"))
    document["points"][0]["note"] = document["extra"] = {"more": None}
    path = tmp_path / "clicks.json"
    path.write_text(json.dumps(document))
    assert read_clicks(path, (4, 4, 4)) == (Click(1, 2, 3, "tumor"),) * 2


def test_lists_by_label_are_read_tumor_first(tmp_path: Path) -> None:
    path = tmp_path / "clicks.json"
    path.write_text('{"note": 3, "background": [[0, 1, 2]], "tumor": [[3.0, 2, 1], [3, 2, 1]]}')
    tumor = Click(3, 2, 1, "tumor")
    assert read_clicks(path, (6, 5, 4)) == (tumor, tumor, Click(0, 1, 2, "background"))
    path.write_text('{"background": [], "tumor": []}')
    assert read_clicks(path, (6, 5, 4)) == ()
    path.write_text('{"background": [[0, 1, 2]]}')
    assert read_clicks(path, (6, 5, 4)) == (Click(0, 1, 2, "background"),)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"tumor": [[0, 0, 0]], "background": [[1, 1, 1], [4, 0, 0]]}, "point 1 of 'background' has x = 4, outside"),
        ({"tumor": [[0, 0]]}, "point 0 of 'tumor' has the coordinates [0, 0], expected three: [x, y, z]"),
        ({"tumor": [{"point": [0, 0, 0]}]}, "point 0 of 'tumor' has the coordinates {\"point\": [0, 0, 0]}, expected"),
        ({"tumor": {"x": 1}, "background": []}, "'tumor' is {\"x\": 1}, expected a list"),
        ({"tumor": [], "background": None}, "'background' is null, expected a list"),
        ({"tumor": [], **click_file()}, "holds both 'points' and 'tumor', expected clicks in one format"),
        ({"lesions": []}, "holds no clicks, expected 'type' and 'points', or 'tumor' and 'background'"),
    ],
)
def test_bad_lists_by_label_are_one_sentence(document: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "clicks.json"
    path.write_text(json.dumps(document))
    with pytest.raises(CaseError) as error:
        read_clicks(path, (6, 5, 4))
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)


BAD_POINTS: dict[str, tuple[Any, str]] = {
    "outside x": ({"point": [4, 0, 0], "name": "tumor"}, "x = 4, outside the image (0 to 3)"),
    "outside z": ({"point": [0, 0, 6], "name": "tumor"}, "z = 6, outside the image (0 to 5)"),
    "negative": ({"point": [0, -1, 0], "name": "tumor"}, "y = -1, outside the image (0 to 4)"),
    "huge": ({"point": [0, 1e300, 0], "name": "tumor"}, "outside the image"),
    "wrong name": ({"point": [0, 0, 0], "name": "lesion"}, '"lesion", expected "tumor" or "background"'),
    "no name": ({"point": [0, 0, 0]}, 'name null, expected "tumor"'),
    "name a list": ({"point": [0, 0, 0], "name": ["tumor"]}, 'name ["tumor"]'),
    "two coordinates": ({"point": [0, 0], "name": "tumor"}, "coordinates [0, 0], expected three"),
    "four coordinates": ({"point": [0, 0, 0, 0], "name": "tumor"}, "expected three"),
    "no coordinates": ({"name": "tumor"}, "coordinates null, expected three"),
    "fraction": ({"point": [0, 0.5, 0], "name": "tumor"}, "y = 0.5, expected a whole number"),
    "NaN": ({"point": [0, float("nan"), 0], "name": "tumor"}, "y = NaN, expected a whole number"),
    "infinite": ({"point": [0, float("inf"), 0], "name": "tumor"}, "y = Infinity, expected a whole number"),
    "string": ({"point": ["0", 0, 0], "name": "tumor"}, 'x = "0", expected a whole number'),
    "boolean": ({"point": [True, 0, 0], "name": "tumor"}, "x = true, expected a whole number"),
    "null": ({"point": [None, 0, 0], "name": "tumor"}, "x = null, expected a whole number"),
    "not an object": ([0, 0, 0], "is [0, 0, 0], expected an object"),
}


@pytest.mark.parametrize(("point", "message"), BAD_POINTS.values(), ids=BAD_POINTS)
def test_bad_point_is_named_by_its_index(point: Any, message: str, tmp_path: Path) -> None:
    document = click_file(([0, 0, 0], "tumor"))
    document["points"].append(point)
    path = tmp_path / "clicks.json"
    path.write_text(json.dumps(document))
    with pytest.raises(CaseError) as error:
        read_clicks(path, (6, 5, 4))
    assert str(error.value).startswith(f"{path}: point 1 ")
    assert message in str(error.value)


BAD_FILES: dict[str, tuple[str, str]] = {
    "not JSON": ("points: 3", "not a JSON file"),
    "cut short": ('{"points": [', "not a JSON file"),
    "too deep": ("[" * 100_000, "not a JSON file"),
    "a list": ("[]", "expected a JSON object"),
    "wrong type": (json.dumps({**click_file(), "type": "Point"}), "'type' is \"Point\""),
    "no type": ('{"version": {"major": 1, "minor": 0}, "points": []}', "'type' is null"),
    "version 2": (json.dumps({**click_file(), "version": {"major": 2, "minor": 0}}), "expected major version 1"),
    "version true": (json.dumps({**click_file(), "version": {"major": True, "minor": 0}}), "expected major version 1"),
    "no version": ('{"type": "Multiple points", "points": []}', "'version' is null"),
    "no points": ('{"version": {"major": 1, "minor": 0}, "type": "Multiple points"}', "'points' is null"),
    "points an object": (json.dumps({**click_file(), "points": {}}), "'points' is {}, expected a list"),
}


@pytest.mark.parametrize(("text", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_click_file_is_one_sentence(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "clicks.json"
    path.write_text(text)
    with pytest.raises(CaseError) as error:
        read_clicks(path, (6, 5, 4))
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_bad_clicks_stop_a_prediction_before_it_writes(
    case_folder: Path, model_folder: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    path = case_folder / "lesion-clicks.json"
    path.write_text(json.dumps(click_file(([22, 0, 0], "tumor"))))
    output = tmp_path / "output"
    sentence = refused("predict", "--input", case_folder, "--output", output, "--model", model_folder)
    assert sentence == f"{path}: point 0 has x = 22, outside the image (0 to 21)"
    assert not output.exists()
