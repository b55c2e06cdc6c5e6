import json
import math
from pathlib import Path

from helpers_case import CLICKS, GEOMETRY, make_lesions, write_labelled_case
from helpers_evaluation import make_score

from lesionclick.case.dataset import Dataset
from lesionclick.evaluation.report import worst_cases, write_report
from lesionclick.evaluation.results import open_results
from lesionclick.evaluation.table import CaseScore, Table


def scores(case: str, dice: float, false_positive_ml: float = 0.0) -> list[CaseScore]:
    """Dice at the last step; before it was 0."""
    steps = enumerate((0 * dice, dice))
    return [make_score(case, step, each, false_positive_ml=false_positive_ml) for step, each in steps]


def test_worst_cases_are_those_of_least_dice_at_the_last_step_and_without_lesions_of_most_false_volume() -> None:
    dice = {"a": 0.5, "b": 0.1, "c": 0.3, "d": 0.2}
    rows = [row for case, last in dice.items() for row in scores(case, last)]
    assert worst_cases(Table("clicks", tuple(rows))) == ("b", "d", "c")
    empty = [row for case, volume in (("x", 1.0), ("y", 3.0)) for row in scores(case, math.nan, volume)]
    assert worst_cases(Table("clicks", (*empty, *rows[:2]))) == ("a", "y", "x")


def test_tables_and_figures_are_made_from_the_complete_cases(tmp_path: Path) -> None:
    names = ("a", "b", "fails")
    mask = make_lesions()
    for name in names:
        write_labelled_case(tmp_path / "cases" / name, mask)
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
