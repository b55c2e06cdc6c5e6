import json
import math
from pathlib import Path

import numpy as np
from conftest import body

from lesionclick.case.case import Case
from lesionclick.case.clicks import Click
from lesionclick.case.dataset import Dataset
from lesionclick.case.geometry import Geometry
from lesionclick.evaluation.report import worst_cases, write_report
from lesionclick.evaluation.results import open_results
from lesionclick.evaluation.table import CaseScore, Table

SHAPE = (8, 9, 10)
GEOMETRY = Geometry(SHAPE[::-1], (1.0, 1.0, 2.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
CLICKS = (Click(5, 4, 3, "tumor"), Click(0, 0, 0, "background"))


def scores(case: str, dice: float, false_positive_ml: float = 0.0, step_name: str = "clicks") -> list[CaseScore]:
    return [
        CaseScore(case, "fdg", step, "official", step, step, last, false_positive_ml, 0.0, 1, 0, 0, last)
        for step, last in ((0, 0.0 if dice == dice else dice), (1, dice))
    ]


def test_worst_cases_are_those_of_least_dice_at_the_last_step_and_without_lesions_of_most_false_volume() -> None:
    dice = {"a": 0.5, "b": 0.1, "c": 0.3, "d": 0.2}
    rows = [row for case, last in dice.items() for row in scores(case, last)]
    assert worst_cases(Table("clicks", tuple(rows))) == ("b", "d", "c")
    empty = [row for case, volume in (("x", 1.0), ("y", 3.0)) for row in scores(case, math.nan, volume)]
    assert worst_cases(Table("clicks", (*empty, *rows[:2]))) == ("a", "y", "x")


def test_tables_and_figures_are_made_from_the_complete_cases(tmp_path: Path) -> None:
    names = ("a", "b", "fails")
    mask = np.zeros(SHAPE, dtype=np.uint8)
    mask[2:4, 3:5, 4:6] = 1
    for name in names:
        Case("uuid", *body(SHAPE), GEOMETRY).write(tmp_path / "cases" / name, lesion_zyx=mask)
    settings = {"model": "tiny", "dataset": "cases"}
    results = open_results(tmp_path / "out", settings, "clicks", (0, 1))
    for name, dice in (("b", 0.5), ("a", 0.25)):
        results.write_step(name, 1, mask, CLICKS, GEOMETRY)
        results.write_case(scores(name, dice))
    write_report(results, Dataset.find(tmp_path / "cases"), {"fails": "a reason"})

    assert Table.read(tmp_path / "out" / "cases.csv").rows == (*scores("a", 0.25), *scores("b", 0.5))
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["settings"], summary["step"], summary["failed"]) == (settings, "clicks", {"fails": "a reason"})
    assert summary["groups"]["all"]["lines"]["1"]["dice"]["mean"] == 0.375
    text = (tmp_path / "out" / "summary.md").read_text()
    assert text.startswith("# tiny on cases\n\n## all: 2 cases\n")
    assert text.endswith("\n## Not evaluated: 1 cases\n\n- fails: a reason\n")
    for name in ("curve.png", "worst.png"):
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG")
