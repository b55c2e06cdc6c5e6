import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_evaluation import make_table

from lesionclick.case.clicks import Click
from lesionclick.case.geometry import Geometry
from lesionclick.errors import CaseError
from lesionclick.evaluation.results import Results, open_results
from lesionclick.evaluation.table import CaseScore

SETTINGS = {"model": "tiny", "steps": [0, 3], "points": None}
GEOMETRY = Geometry((4, 3, 2), (1.0, 1.0, 2.0), (0.0, 5.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
CLICKS = (Click(3, 2, 1, "tumor"), Click(0, 0, 0, "background"))


def scores(case: str, steps: Sequence[int] = (0, 3)) -> list[CaseScore]:
    return list(make_table({case: 0.5}, steps).rows)


def begin(folder: Path, **other: Any) -> Results:
    return open_results(folder, {**SETTINGS, **other}, "clicks", (0, 3))


def test_complete_cases_make_one_table_in_the_order_asked_for(tmp_path: Path) -> None:
    first, second = begin(tmp_path), begin(tmp_path)
    assert first.read_table("ab").rows == ()
    first.write_case(scores("b"))
    second.write_case(scores("c"))
    second.write_case(scores("a"))
    for results in (first, second, begin(tmp_path)):
        assert [results.has_case(name) for name in "abcd"] == [True, True, True, False]
        assert results.read_table("acdb").rows == (*scores("a"), *scores("c"), *scores("b"))


def test_masks_and_clicks_of_steps_come_back(tmp_path: Path) -> None:
    results = begin(tmp_path)
    mask = np.zeros(GEOMETRY.shape_zyx, dtype=np.uint8)
    mask[1, 2, 3] = 1
    results.write_step("a", 0, np.zeros_like(mask), (), GEOMETRY)
    results.write_step("a", 3, mask, CLICKS, GEOMETRY)
    assert not results.has_case("a")  # before its scores are there
    found, clicks = results.read_last_step("a", GEOMETRY)
    np.testing.assert_array_equal(found, mask)
    assert clicks == CLICKS
    stored = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("masks/*/*"))
    assert stored == [f"masks/a/clicks-0{step}.{ending}" for step in (0, 3) for ending in ("json", "mha")]


@pytest.mark.parametrize(("name", "value"), [("model", "other"), ("steps", [0, 3, 7]), ("points", "other"), ("new", 1)])
def test_other_settings_are_refused(name: str, value: object, tmp_path: Path) -> None:
    begin(tmp_path)
    text = f"{tmp_path / 'settings.json'}: the evaluation there was begun with another '{name}', expected the same"
    with pytest.raises(CaseError, match=text):
        begin(tmp_path, **{name: value})
    begin(tmp_path)  # still as it was


def test_folder_whose_settings_another_process_has_replaced_takes_no_more_cases(tmp_path: Path) -> None:
    results = begin(tmp_path)
    results.write_case(scores("a"))
    (tmp_path / "settings.json").write_text(json.dumps({**SETTINGS, "model": "other"}))
    with pytest.raises(CaseError, match="was begun with another 'model'"):
        results.write_case(scores("b"))
    assert not results.has_case("b")


def test_damaged_or_missing_settings_are_refused(tmp_path: Path) -> None:
    settings = tmp_path / "settings.json"
    begin(tmp_path).write_case(scores("a"))
    settings.write_text("{")
    with pytest.raises(CaseError, match=rf"^{settings}: not a JSON file"):
        begin(tmp_path)
    settings.unlink()
    with pytest.raises(CaseError, match=rf"^{settings}: the file is missing beside scores/, expected both or neither$"):
        begin(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (scores("b"), "a.csv: holds another case or other steps than it should"),
        (scores("a", (0, 7)), "a.csv: holds another case or other steps than it should"),
        (scores("a", (0,)), "a.csv: holds another case or other steps than it should"),
        (None, "a.csv: is not what `lesionclick evaluate` writes"),
    ],
)
def test_file_of_a_case_that_does_not_belong_there_is_refused(
    content: list[CaseScore] | None, message: str, tmp_path: Path
) -> None:
    results = begin(tmp_path)
    path = tmp_path / "scores" / "a.csv"
    results.write_case(content or scores("b"))
    written = tmp_path / "scores" / f"{content[0].case if content else 'b'}.csv"
    if content is None:
        written.write_text("a,b\n1,2\n")
    written.rename(path)
    with pytest.raises(CaseError, match=message):
        results.read_table("a")


def test_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CaseError, match="cannot be written"):
        begin(tmp_path / "file" / "out")
