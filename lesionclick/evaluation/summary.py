"""Summary of a table: estimates at each step and of each area under a curve, for all cases and for each tracer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lesionclick.evaluation.statistics import Estimate, number_format
from lesionclick.evaluation.table import SCORES, STEP_NAMES, Table

AREA = "AUC "
"""What the names of areas begin with."""


@dataclass(frozen=True)
class Group:
    """Cases that are summarized together.

    Attributes:
        cases: how many.
        lines: for each step and each area under a curve, named as in `values_by_line`, an estimate of each score.
    """

    cases: int
    lines: Mapping[str, Mapping[str, Estimate]]


@dataclass(frozen=True)
class Summary:
    """What a table says in short.

    Attributes:
        step_name: what a step counts, a key of `table.STEP_NAMES`.
        groups: all cases and, where names of cases tell tracers, those of each tracer; see `split_by_tracer`.
    """

    step_name: str
    groups: Mapping[str, Group]

    @classmethod
    def of(cls, table: Table) -> "Summary":
        """Summarizes a table of at least one case."""
        return cls(table.step_name, {name: _summarize(part) for name, part in split_by_tracer(table).items()})

    def to_json(self) -> dict[str, Any]:
        """For each group the number of cases and the estimates, ready for JSON."""
        return {
            name: {
                "cases": group.cases,
                "lines": {
                    line: {score: estimate.to_json() for score, estimate in estimates.items()}
                    for line, estimates in group.lines.items()
                },
            }
            for name, group in self.groups.items()
        }

    def to_markdown(self) -> str:
        """Markdown: for each group a table of means, 95 % intervals and medians."""
        columns = [STEP_NAMES[self.step_name], *SCORES[self.step_name].values()]
        parts = []
        for name, group in self.groups.items():
            parts += [
                f"## {name}: {group.cases} cases",
                "",
                f"| {' | '.join(columns)} |",
                "| --- " * len(columns) + "|",
            ]
            for line, estimates in group.lines.items():
                cells = [_with_median(score, estimate) for score, estimate in estimates.items()]
                parts.append(f"| {line} | {' | '.join(cells)} |")
            parts.append("")
        note = "Mean [95 % bootstrap interval over cases]; median. What an empty truth leaves undefined is left out."
        if any(line.startswith(AREA) for group in self.groups.values() for line in group.lines):
            note += " AUC: trapezoid rule with unit steps between the points."
        if self.step_name == "iteration":
            note += " Dice with an empty truth is 1 for an empty mask, else 0."
        return "\n".join([*parts, note]) + "\n"


def split_by_tracer(table: Table) -> dict[str, Table]:
    """The whole table as "all" and, where names of cases tell tracers, a table for each tracer."""
    tracers = sorted({row.tracer for row in table.rows})
    found = {"all": table}
    if tracers != ["unknown"]:
        for tracer in tracers:
            found[tracer] = table.select(row.case for row in table.rows if row.tracer == tracer)
    return found


def values_by_line(table: Table) -> dict[str, dict[str, np.ndarray]]:
    """The values of each score, float64 of shape (cases,), at each step ("3") and of each area ("AUC 0-10").

    Those of the rank have a second axis, of its two halves; `Estimate.of` knows.
    """
    lines: dict[str, dict[str, np.ndarray]] = {str(step): {} for step in table.steps}
    for score in SCORES[table.step_name]:
        for step, values in zip(table.steps, np.moveaxis(table.curves(score), 1, 0), strict=True):
            lines[str(step)][score] = values
        for name, values in table.areas(score).items():
            lines.setdefault(f"{AREA}{name}", {})[score] = values
    return lines


def _summarize(table: Table) -> Group:
    lines = values_by_line(table).items()
    estimates = {line: {score: Estimate.of(each) for score, each in values.items()} for line, values in lines}
    return Group(len(table.cases), estimates)


def _with_median(score: str, estimate: Estimate) -> str:
    median = f"; {estimate.median:{number_format(score)}}" if estimate.cases else ""
    return f"{estimate.cell(score)}{median}"
