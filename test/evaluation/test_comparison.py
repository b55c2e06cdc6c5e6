import math
import re
from pathlib import Path
from typing import Any

import pytest
from helpers_evaluation import make_table

from lesionclick.errors import CaseError
from lesionclick.evaluation.comparison import compare


def write(folder: Path, *table: Any, **named: Any) -> Path:
    """A folder with the results of `make_table`."""
    make_table(*table, **named).write(folder / "cases.csv")
    return folder


def lines(text: str, title: str) -> dict[str, list[str]]:
    part = text.split(f"## {title}\n")[1].split("\n## ")[0]
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("|")
    ]
    return {first: rest for first, *rest in cells}


def test_differences_are_paired_over_common_cases(tmp_path: Path) -> None:
    first = write(tmp_path / "a", {"x": 0.1, "y": 0.5, "z": 0.9, "empty": math.nan})
    second = write(tmp_path / "b", {"other": 0.0, "empty": math.nan, "y": 0.7, "x": 0.3})
    text = compare([first, second])
    assert text.startswith("# a, b\n\n3 cases common to all.\n")
    found = lines(text, "Dice")
    assert found["clicks a label"] == ["a", "b", "b - a"]
    one, two, difference = found["3"]
    assert one.startswith("0.330 [0.130, 0.530]")
    assert two.startswith("0.530 [")
    assert difference == "+0.200 [+0.200, +0.200]"  # every case gains as much, however far apart the cases are
    area = (0.3 + 0.33) / 2 + (0.33 + 0.37) / 2 + (0.37 + 0.4) / 2
    assert float(re.split(" ", found["AUC 0, 3, 7, 10"][0])[0]) == pytest.approx(area, abs=1e-3)
    assert lines(text, "FPvol, ml")["0"] == ["2.00 [2.00, 2.00]", "2.00 [2.00, 2.00]", "+0.00 [+0.00, +0.00]"]


def test_iterations_of_autopetv_are_compared_by_the_rank_too(tmp_path: Path) -> None:
    dice = ({"x": 0.1, "y": 0.5}, {"x": 0.3, "y": 0.7})
    folders = [write(tmp_path / name, each, range(6), "iteration") for name, each in zip("ab", dice, strict=True)]
    found = lines(compare(folders), "mean of Dice and DMM")
    assert found["0"] == ["0.650 [0.550, 0.750]", "0.750 [0.650, 0.850]", "+0.100 [+0.100, +0.100]"]
    assert found["AUC 0-5"][2] == "+0.500 [+0.500, +0.500]"
    assert lines(compare(folders), "DMM")["AUC 0-5"][0] == "5.000 [5.000, 5.000]"


def test_the_first_stays_the_reference_of_many(tmp_path: Path) -> None:
    folders = [
        write(tmp_path / name / "run", {"x": start, "y": start}) for name, start in (("a", 0.5), ("b", 0.4), ("c", 0.7))
    ]
    found = lines(compare(folders), "Dice")
    assert found["clicks a label"][3:] == [f"{folder} - {folders[0]}" for folder in folders[1:]]
    assert [cell.split(" ")[0] for cell in found["0"]] == ["0.500", "0.400", "0.700", "-0.100", "+0.200"]


def test_what_cannot_be_compared_is_one_sentence(tmp_path: Path) -> None:
    first = write(tmp_path / "a", {"x": 0.1})
    with pytest.raises(CaseError, match=r"b: has clicks 0-10, expected clicks 0, 3, 7, 10 as in .*a$"):
        compare([first, write(tmp_path / "b", {"x": 0.1}, range(11))])
    with pytest.raises(CaseError, match="c: has round 0, 3, 7, 10, expected clicks 0, 3, 7, 10 as in"):
        compare([first, write(tmp_path / "c", {"x": 0.1}, step_name="round")])
    with pytest.raises(CaseError, match=r"a, .*d: have no case in common"):
        compare([first, write(tmp_path / "d", {"y": 0.1})])
    with pytest.raises(CaseError, match=r"nowhere/cases\.csv: the file is missing"):
        compare([first, tmp_path / "nowhere"])
