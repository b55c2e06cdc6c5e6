import math

import numpy as np
import pytest
from helpers_study import make_table

from lesionclick_training.study.pooling import difference, name_with_share, pool

STEPS = (0, 10)


def test_a_case_has_the_mean_of_the_networks_that_saw_it() -> None:
    tables = [
        make_table({"a": (0.2, 0.4), "b": (0.5, 0.5)}, STEPS),
        make_table({"a": (0.4, 0.8), "empty": (math.nan, math.nan)}, STEPS),
    ]
    curves = pool(tables, lambda row: row.dice)
    assert list(curves) == ["a", "b", "empty"]
    np.testing.assert_allclose(curves["a"], (0.3, 0.6))
    np.testing.assert_allclose(curves["b"], (0.5, 0.5))
    assert np.isnan(curves["empty"]).all()


def test_differences_are_case_by_case_with_an_interval_over_cases() -> None:
    before = {str(case): np.array([0.1 * case, 0.0]) for case in range(9)}
    after = {case: curve + 0.05 for case, curve in before.items()} | {"other": np.array([1.0, 1.0])}
    found = difference(after, before, 0)
    # cases differ by far more than rows do: the interval is narrow only where cases are paired
    assert (found.cases, found.mean, found.low, found.high) == pytest.approx((9, 0.05, 0.05, 0.05))
    after = {case: curve + 0.01 * (int(case) - 2) for case, curve in before.items()}
    found = difference(after, before, 0)
    assert found.mean == pytest.approx(0.02)
    assert found.low == pytest.approx(0.02 - 1.96 * 0.0258 / 3, abs=0.002)
    assert found.high == pytest.approx(0.02 + 1.96 * 0.0258 / 3, abs=0.002)


def test_a_row_that_is_not_complete_says_so() -> None:
    assert name_with_share("EDT 2", 1, 3) == "EDT 2 (1 of 3 networks)"
    assert name_with_share("EDT 2", 3, 3) == name_with_share("EDT 2", 0, 3) == "EDT 2"
