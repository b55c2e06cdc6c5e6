"""Pooling of validations: what a case scores is the mean over the networks, of several seeds and folds, that saw it."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from lesionclick.evaluation.statistics import Estimate
from lesionclick.evaluation.table import CaseScore, Table

Curves = Mapping[str, np.ndarray]
"""A value of each case, by its name: float64 of shape (steps,), NaN where not defined."""


def pool(tables: Sequence[Table], value: Callable[[CaseScore], float]) -> Curves:
    """The mean value of each case at each step over the tables that hold it, cases in the order of the tables.

    Args:
        tables: validations of a network each, at the same steps.
        value: what is taken of a case at a step.
    """
    found: dict[str, list[np.ndarray]] = {}
    for table in tables:
        values = np.array([value(row) for row in table.rows], dtype=np.float64).reshape(len(table.cases), -1)
        for case, curve in zip(table.cases, values, strict=True):
            found.setdefault(case, []).append(curve)
    return {case: np.mean(curves, axis=0) for case, curves in found.items()}


def difference(first: Curves, second: Curves, step: int) -> Estimate:
    """The mean difference of two values case by case, with its interval, over the cases that both have.

    Args:
        first: the value from which the second is subtracted.
        second: the other value.
        step: place of the step in the curves, negative from their end.
    """
    common = [case for case in first if case in second]
    return Estimate.of(np.array([first[case][step] - second[case][step] for case in common], dtype=np.float64))


def name_with_share(name: str, done: int, networks: int) -> str:
    """The name of a row in a table, which says how many of its networks are validated where some are not yet."""
    return name if done in (0, networks) else f"{name} ({done} of {networks} networks)"
