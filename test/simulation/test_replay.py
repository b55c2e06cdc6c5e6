import json
import shutil
from pathlib import Path

import pytest
from conftest import ROOT

from lesionclick.case.clicks import Click, write_clicks
from lesionclick.errors import CaseError
from lesionclick.simulation.replay import PointsFolder

SHAPE = (200, 200, 200)

FIRST = (Click(1, 2, 3, "tumor"), Click(2, 2, 3, "tumor"))
SECOND = (Click(7, 7, 7, "background"),)


def read(folder: Path, name: str = "a") -> list[tuple[Click, ...]]:
    return PointsFolder.find(folder, (name,)).read(name, SHAPE)


def test_one_file_holds_the_scribbles_one_after_the_other(tmp_path: Path) -> None:
    shutil.copy(ROOT / "test" / "clicks" / "autopetv-scribbles.json", tmp_path / "a.json")
    scribbles = read(tmp_path)
    assert [(scribble[0].label, scribble[0].z, len(scribble)) for scribble in scribbles] == [
        ("tumor", 123, 7),
        ("tumor", 112, 3),
        ("tumor", 115, 7),
        ("background", 126, 5),
    ]


def test_one_file_may_hold_lists_by_label_or_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"background": [[7, 7, 7]], "tumor": [[1, 2, 3], [2, 2, 3]]}))
    assert read(tmp_path) == [FIRST, SECOND]
    write_clicks((), tmp_path / "b.json")
    assert read(tmp_path, "b") == []


def test_a_file_for_each_iteration(tmp_path: Path) -> None:
    for number, clicks in ((1, FIRST), (2, FIRST + SECOND), (4, FIRST)):  # with a gap, after which nothing counts
        write_clicks(clicks, tmp_path / "a" / f"iter_{number}_scribbles.json")
    write_clicks((), tmp_path / "a" / "iter_0_scribbles.json")
    assert read(tmp_path) == [FIRST, FIRST + SECOND]


def test_what_is_missing_is_one_sentence_that_says_which_names_are_expected(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match=r"nowhere: the folder is missing, expected one with points for each case"):
        PointsFolder.find(tmp_path / "nowhere", ("a",))
    write_clicks(FIRST, tmp_path / "a.json")
    text = r"holds no points of the case b, expected b\.json or b/iter_1_scribbles\.json and so on$"
    with pytest.raises(CaseError, match=text):
        PointsFolder.find(tmp_path, ("a", "b"))


@pytest.mark.parametrize("name", ["a.json", "a/iter_1_scribbles.json", "a/iter_2_scribbles.json"])
def test_a_damaged_file_is_named_before_anything_is_computed(name: str, tmp_path: Path) -> None:
    if name.startswith("a/"):
        write_clicks(FIRST, tmp_path / "a" / "iter_1_scribbles.json")
    (tmp_path / name).write_text('{"type": "Multiple points", "version": {"major": 1}, "points": [{"point": [1, 2]}]}')
    with pytest.raises(CaseError, match=f"{tmp_path / name}: point 0 has the name"):
        PointsFolder.find(tmp_path, ("a",))


def test_points_outside_of_the_image_are_refused(tmp_path: Path) -> None:
    write_clicks(FIRST, tmp_path / "a.json")
    points = PointsFolder.find(tmp_path, ("a",))
    with pytest.raises(CaseError, match=r"a\.json: point 0 has z = 3, outside the image \(0 to 2\)"):
        points.read("a", (3, 9, 9))


def test_the_digest_tells_what_the_files_hold(tmp_path: Path) -> None:
    for folder, clicks in (("same", FIRST), ("again", FIRST), ("other", SECOND)):
        write_clicks(clicks, tmp_path / folder / "a.json")
    digests = {name: PointsFolder.find(tmp_path / name, ("a",)).sha256 for name in ("same", "again", "other")}
    assert digests["same"] == digests["again"] != digests["other"]
