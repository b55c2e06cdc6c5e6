"""Scores made up for tests."""

from collections.abc import Mapping, Sequence

from lesionclick.evaluation.table import CaseScore, Table


def make_score(case: str, step: int, dice: float, *, tracer: str = "fdg", false_positive_ml: float = 2.0) -> CaseScore:
    """A case's score at a step, with so many official clicks of each label; all else is alike for every case."""
    return CaseScore(case, tracer, step, "official", step, step, dice, false_positive_ml, 4.0, 1, 0, 0, 1.0)


def make_table(dice: Mapping[str, float], steps: Sequence[int] = (0, 3, 7, 10), step_name: str = "clicks") -> Table:
    """Scores by the Dice that each case starts with; every click or round brings 0.01 more."""
    rows = [make_score(case, step, start + step / 100) for case, start in dice.items() for step in steps]
    return Table(step_name, tuple(rows))
