import math

import numpy as np
import pytest

from lesionclick.evaluation.statistics import Estimate, number_format


def test_undefined_values_are_left_out() -> None:
    values = np.array([0.2, 0.4, math.nan, 0.9])
    found = Estimate.of(values)
    assert found.cases == 3
    assert (found.mean, found.median) == pytest.approx((0.5, 0.4))
    assert 0.2 <= found.low < 0.5 < found.high <= 0.9
    assert Estimate.of(values) == found


def test_too_few_values_leave_undefined_what_needs_more() -> None:
    single = Estimate.of(np.array([0.3]))
    assert (single.cases, single.mean, math.isnan(single.low)) == (1, 0.3, True)
    assert single.cell("dice") == "0.300"
    nothing = Estimate.of(np.array([math.nan]))
    assert nothing.cell("dice") == "-"
    assert nothing.to_json() == {"cases": 0, "mean": None, "median": None, "low": None, "high": None}


def test_the_mean_of_two_parts_takes_each_over_the_cases_that_define_it() -> None:
    values = np.array([[0.2, 0.6], [0.4, 1.0], [0.9, math.nan], [math.nan, math.nan]])
    found = Estimate.of(values)
    assert found.cases == 3
    assert found.mean == pytest.approx((0.5 + 0.8) / 2)
    assert found.median == pytest.approx((0.4 + 0.8) / 2)
    assert 0.4 <= found.low < found.mean < found.high <= 0.95
    assert Estimate.of(np.full((4, 2), math.nan)).cell("rank") == "-"
    assert Estimate.of(np.array([[0.5, math.nan], [0.7, math.nan]])).cell("rank") == "-"
    both = np.random.default_rng(0).random((30, 2))
    whole, of_mean = Estimate.of(both), Estimate.of(both.mean(axis=1))
    assert (whole.low, whole.mean, whole.high) == pytest.approx((of_mean.low, of_mean.mean, of_mean.high))


def test_numbers_are_shown_to_as_many_digits_as_their_score_has() -> None:
    assert Estimate.of(np.full(5, 2.0)).cell("false_positive_ml") == "2.00 [2.00, 2.00]"
    assert Estimate.of(np.full(5, 0.25)).cell("dice", sign="+") == "+0.250 [+0.250, +0.250]"
    assert f"{1 / 3:{number_format('detection_f1')}}" == "0.333"
