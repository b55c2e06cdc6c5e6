import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from helpers_evaluation import make_table

from lesionclick.errors import CaseError
from lesionclick.evaluation.table import Table, step_span


def test_cases_steps_and_curves() -> None:
    table = make_table({"b": 0.5, "a": math.nan})
    assert (table.cases, table.steps) == (("b", "a"), (0, 3, 7, 10))
    np.testing.assert_allclose(table.curves("dice"), [[0.5, 0.53, 0.57, 0.6], [math.nan] * 4])
    assert table.curves("true_positives").tolist() == [[1.0] * 4] * 2


def test_selected_cases_come_in_the_order_asked_for() -> None:
    table = make_table({"a": 0.1, "b": 0.2, "c": 0.3})
    assert table.select(["c", "x", "a"]) == make_table({"c": 0.3, "a": 0.1})


def test_areas_are_those_of_the_challenge_and_of_the_paper_as_far_as_evaluated() -> None:
    areas = make_table({"a": 0.1, "b": math.nan}, range(12)).areas("dice")
    assert list(areas) == ["0-10", "0, 3, 7, 10"]
    assert areas["0-10"][0] == pytest.approx(np.trapezoid(0.1 + np.arange(11) / 100))
    assert areas["0, 3, 7, 10"][0] == pytest.approx(np.trapezoid([0.1, 0.13, 0.17, 0.2]))
    assert all(math.isnan(each[1]) for each in areas.values())
    assert list(make_table({"a": 0.1}).areas("dice")) == ["0, 3, 7, 10"]
    assert make_table({"a": 0.1}, (0, 1, 3)).areas("dice") == {}


def test_area_of_rounds_is_that_of_all_rounds() -> None:
    assert list(make_table({"a": 0.1}, range(4), "round").areas("dice")) == ["0-3"]
    assert make_table({"a": 0.1}, (0,), "round").areas("dice") == {}


def test_the_rank_has_two_halves() -> None:
    table = make_table({"a": 0.1, "b": math.nan}, range(6), "iteration")
    assert table.curves("rank").shape == (2, 6, 2)
    np.testing.assert_allclose(table.curves("rank")[0, :, 0], table.curves("dice")[0])
    np.testing.assert_allclose(table.curves("rank")[1, :, 1], table.curves("detection_f1")[1])
    area = table.areas("rank")["0-5"]
    np.testing.assert_allclose(area[0], [5 * 0.125, 5])  # Dice from 0.1 to 0.15, F1 is 1
    assert make_table({"a": 0.1}, (0,), "iteration").areas("rank") == {}


@pytest.mark.parametrize(("steps", "text"), [(range(11), "0-10"), ((0, 3, 7), "0, 3, 7"), ((5,), "5")])
def test_steps_in_words(steps: Sequence[int], text: str) -> None:
    assert step_span(steps) == text


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: "a,b\n1,2\n",
        lambda text: text.replace("0.13", "high"),
        lambda text: text.rsplit("\n", 2)[0] + "\n",  # the last step of the last case
        lambda text: text.replace(",clicks,", ",lesions,"),
        lambda text: text.replace("fdg", '"fdg', 1),
        lambda text: "\x00",
        lambda text: text.replace("false_positive_ml,false_negative_ml", "false_negative_ml,false_positive_ml"),
    ],
)
def test_damaged_table_is_refused(change: Callable[[str], str], tmp_path: Path) -> None:
    path = tmp_path / "cases.csv"
    make_table({"x": 0.1, "y": 0.2}).write(path)
    path.write_text(change(path.read_text()))
    with pytest.raises(CaseError, match=r"cases\.csv: is not what `lesionclick evaluate` writes"):
        Table.read(path)


def test_missing_table_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match=r"nowhere\.csv: the file is missing, expected what `lesionclick evaluate` wr"):
        Table.read(tmp_path / "nowhere.csv")


def test_scores_come_back_as_they_were(tmp_path: Path) -> None:
    table = make_table({"x": 1 / 3, "a, b": 0.1})
    table.write(tmp_path / "new" / "cases.csv")
    assert Table.read(tmp_path / "new" / "cases.csv") == table
    empty = make_table({"empty": math.nan})
    empty.write(tmp_path / "empty.csv")
    assert math.isnan(Table.read(tmp_path / "empty.csv").rows[0].dice)
