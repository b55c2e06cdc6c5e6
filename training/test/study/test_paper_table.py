import math
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers_study import make_table

from lesionclick.evaluation.table import CaseScore, Table
from lesionclick_training.study.paper_rows import PAPER_ROWS
from lesionclick_training.study.paper_table import (
    agreements,
    measured,
    missed_as_published,
    uses_of_clicks,
    write_table,
)

STEPS = (0, 3, 7, 10)


def table(*dice: float, fp: float = 1.0, fn: float = 2.0, case: str = "a") -> Table:
    rows = (
        CaseScore(case, "fdg", step, "simulated", step, step, value, fp, fn, 1, 0, 0, 1.0)
        for step, value in zip(STEPS, dice, strict=True)
    )
    return Table("clicks", tuple(rows))


def test_every_row_has_the_papers_figures() -> None:
    assert len(PAPER_ROWS) == 14
    assert len({row.name for row in PAPER_ROWS}) == 14
    for row in PAPER_ROWS:
        assert [area is None for area, _ in row.paper] == [not row.takes_clicks] * 3
        assert 68 < row.paper[0][1] < 77


def test_figures_are_those_of_all_folds_cases() -> None:
    edt = next(row for row in PAPER_ROWS if row.name == "EDT 2")
    (dice, fp, fn) = measured(edt, [table(0.2, 0.4, 0.6, 0.8), table(0.4, 0.4, 0.4, 0.4, fp=3, case="b")])
    assert dice == pytest.approx(((1.5 + 1.2) / 2, 60))
    assert fp == pytest.approx((6.0, 2.0))
    assert fn == pytest.approx((6.0, 2.0))
    area, last = measured(PAPER_ROWS[0], [table(0.2, 0.2, 0.2, 0.2)])[0]
    assert area is None
    assert last == pytest.approx(20)


def test_a_case_scores_the_mean_of_its_seeds() -> None:
    edt = next(row for row in PAPER_ROWS if row.name == "EDT 2")
    seeds = [table(0.2, 0.4, 0.6, 0.8), table(0.4, 0.4, 0.4, 0.4, fp=3), table(0.1, 0.1, 0.1, 0.1, fp=2, case="b")]
    dice, fp, _ = measured(edt, seeds)
    assert dice == pytest.approx(((1.35 + 0.3) / 2, 35))  # not 43.3, the mean of three networks' cases
    assert fp == pytest.approx((6.0, 2.0))


def test_it_is_said_whether_the_networks_of_a_row_use_their_clicks() -> None:
    results = {
        "autoPET III model (no clicks)": [make_table({"a": (0.5,) * 4, "b": (0.5,) * 4}, STEPS)],
        "EDT 2": [
            make_table({"a": (0.50, 0.5, 0.5, 0.51), "b": (0.50, 0.5, 0.5, 0.55)}, STEPS),
            make_table({"a": (0.50, 0.5, 0.5, 0.53), "b": (0.50, 0.5, 0.5, 0.51)}, STEPS),
        ],
        "Gaussian sigma 3": [make_table({"a": (0.50, 0.5, 0.5, 0.52), "b": (0.50, 0.5, 0.5, 0.519)}, STEPS)],
    }
    assert uses_of_clicks(results) == [
        "Gaussian sigma 3: +1.95 [+1.90, +2.00]: does not use its clicks.",
        "EDT 2: +2.50 [+2.00, +3.00]: uses its clicks.",
    ]


def test_cases_without_lesions_count_as_0_in_fnvol_as_published_alone() -> None:
    nan = math.nan
    edt = next(row for row in PAPER_ROWS if row.name == "EDT 2")
    folds = [table(0.2, 0.4, 0.6, 0.8), table(nan, nan, nan, nan, fp=3, fn=nan, case="b")]
    assert measured(edt, folds)[2] == pytest.approx((6.0, 2.0))
    assert missed_as_published(edt, folds) == pytest.approx((3.0, 1.0))
    assert missed_as_published(PAPER_ROWS[0], folds)[0] is None
    assert missed_as_published(PAPER_ROWS[0], folds)[1] == pytest.approx(1.0)


def test_the_table_says_what_agrees_and_what_was_not_run(tmp_path: Path) -> None:
    results = {
        "autoPET III model (no clicks)": [table(0.5, 0.5, 0.5, 0.5), table(0.5, 0.5, 0.5, 0.5, case="b")],
        "EDT 2": [make_table({"a": (0.5, 0.6, 0.7, 0.8), "b": (0.5, 0.6, 0.7, 0.8)}, STEPS, (1,) * 4, fn=2)],
        "EDT 2, custom points": [table(0.5, 0.6, 0.7, 0.75), table(0.5, 0.6, 0.7, 0.75, case="b")],
    }
    path = tmp_path / "docs" / "table.md"
    write_table(results, "Each row: little.", 2, path)
    text = path.read_text()
    assert "Each row: little." in text
    assert (
        "| EDT 2 (1 of 2 networks) | 1.95 / 80.00 | 2.22 / 76.09 | 3.00 / 1.00 | 26.31 / 8.62 | 6.00 / 2.00 |" in text
    )
    assert "| autoPET III model (no clicks) | - / 50.00 | - / 68.33 |" in text
    assert "at least 2 points.\n\n- EDT 2: +30.00 [+30.00, +30.00]: uses its clicks.\n" in text
    assert text.count("not run") == 4 * 11
    for left_open in ("0 to 5", "log(12 - k)", "1500 epochs", "counts cases without lesions as 0"):
        assert left_open in text
    assert "+30.00 [+30.00, +30.00] points of Dice here, +7.76 in the paper: agrees" in text
    assert "-5.00 [-5.00, -5.00] points of Dice here, +0.10 in the paper: does not agree" in text


def test_a_difference_that_chance_explains_decides_nothing() -> None:
    before, after = [0.5, 0.6, 0.7, 0.6], [0.8, 0.5, 0.9, 0.4]
    results = {
        name: [table(0.1, 0.1, 0.1, value, case=str(index)) for index, value in enumerate(values)]
        for name, values in {"autoPET III model (no clicks)": before, "EDT 2": after}.items()
    }
    assert "+5.00 [" in agreements(results)[0]
    assert "not decided" in agreements(results)[0]
    one_case = {name: folds[:1] for name, folds in results.items()}
    assert "+30.00 [+nan, +nan] points of Dice here, +7.76 in the paper: not decided" in agreements(one_case)[0]


def test_the_order_of_widths_is_compared_by_rank() -> None:
    names = [row.name for row in PAPER_ROWS if row.name.startswith("Gaussian")]
    results = {name: [table(0, 0, 0, index / 10)] for index, name in enumerate(names)}
    assert (
        "rank correlation of Dice with the paper's 1.00 [+nan, +nan] (7 widths): not decided" in agreements(results)[-1]
    )


def widths(*cases: Callable[[int], float]) -> dict[str, list[Table]]:
    """Validations of the Gaussian widths on cases, each with its Dice as a function of the width's place."""
    names = [row.name for row in PAPER_ROWS if row.name.startswith("Gaussian")]
    return {
        name: [table(0, 0, 0, dice(index), case=str(case)) for case, dice in enumerate(cases)]
        for index, name in enumerate(names)
    }


def test_the_order_of_widths_has_an_interval_over_cases() -> None:
    steep, falling, empty = (lambda i: i / 10), (lambda i: 0.9 - i / 10), (lambda _: math.nan)
    alike = widths(steep, steep, empty)  # a case without lesions has no Dice, whatever the width
    assert "1.00 [+1.00, +1.00] (7 widths): agrees." in agreements(alike)[-1]
    assert "-1.00 [-1.00, -1.00] (7 widths): does not agree." in agreements(widths(falling, falling))[-1]
    mixed = agreements(widths(steep, lambda i: 0.9 - i / 11, steep, lambda i: 0.8 - i / 9))[-1]
    assert "-1.00, +1.00] (7 widths): not decided." in mixed
    assert mixed == agreements(widths(steep, lambda i: 0.9 - i / 11, steep, lambda i: 0.8 - i / 9))[-1]
