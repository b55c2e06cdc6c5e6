import math

import pytest
from helpers_evaluation import make_score

from lesionclick.evaluation.summary import Summary, split_by_tracer
from lesionclick.evaluation.table import Table


def make_table(*cases: tuple[str, float], steps: tuple[int, ...] = (0, 1)) -> Table:
    """Pairs of a tracer and Dice."""
    rows = [
        make_score(str(index), step, dice, tracer=tracer)
        for index, (tracer, dice) in enumerate(cases)
        for step in steps
    ]
    return Table("clicks", tuple(rows))


def test_all_cases_and_each_tracer_are_summarized() -> None:
    table = make_table(("psma", math.nan), ("fdg", 0.4), ("fdg", 0.6))
    groups = Summary.of(table).groups
    assert list(groups) == ["all", "fdg", "psma"]
    dice = groups["all"].lines["1"]["dice"]
    assert dice.cases == 2
    assert dice.mean == pytest.approx(0.5)
    assert list(groups["fdg"].lines) == ["0", "1"]
    content = Summary.of(table).to_json()
    assert [(group, part["cases"]) for group, part in content.items()] == [("all", 3), ("fdg", 2), ("psma", 1)]
    assert content["psma"]["lines"]["0"]["dice"]["mean"] is None
    assert content["fdg"]["lines"]["0"]["dice"]["mean"] == 0.5


def test_tracers_that_names_do_not_tell_make_no_groups() -> None:
    assert list(split_by_tracer(make_table(("unknown", 0.4)))) == ["all"]
    assert list(split_by_tracer(make_table(("unknown", 0.4), ("fdg", 0.4)))) == ["all", "fdg", "unknown"]


def test_iterations_of_autopetv_have_dmm_and_the_rank() -> None:
    rows = [make_score(case, step, 0.5) for case in "ab" for step in range(6)]
    summary = Summary.of(Table("iteration", tuple(rows)))
    text = summary.to_markdown()
    assert "| iteration | Dice | DMM | mean of Dice and DMM | FPvol, ml | FNvol, ml |" in text
    assert (
        "| AUC 0-5 | 2.500 [2.500, 2.500]; 2.500 | 5.000 [5.000, 5.000]; 5.000 | 3.750 [3.750, 3.750]; 3.750 |" in text
    )
    assert "Dice with an empty truth is 1 for an empty mask, else 0." in text
    assert summary.to_json()["all"]["lines"]["AUC 0-5"]["rank"]["mean"] == 3.75


def test_markdown_has_a_line_for_each_step_and_area() -> None:
    table = make_table(("fdg", 0.5), ("fdg", 0.5), steps=(0, 3, 7, 10))
    text = Summary.of(table).to_markdown()
    assert text.startswith("## all: 2 cases\n\n| clicks a label | Dice | FPvol, ml | FNvol, ml | detection F1 |\n")
    assert "| 3 | 0.500 [0.500, 0.500]; 0.500 | 2.00 [2.00, 2.00]; 2.00 | 4.00" in text
    assert "| AUC 0, 3, 7, 10 | 1.500 [1.500, 1.500]; 1.500 |" in text
    assert "AUC: trapezoid" in text
    table = make_table(("fdg", 0.5))
    assert "AUC" not in Summary.of(table).to_markdown()
