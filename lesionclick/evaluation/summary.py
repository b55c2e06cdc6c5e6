"""Summary of a table: estimates at each step and of each area under a curve, for all cases and for each tracer."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lesionclick.evaluation.statistics import Estimate, number_format
from lesionclick.evaluation.table import SCORES, STEP_NAMES, Table

Lines = dict[str, dict[str, Estimate]]
"""What a table of results has a line for, each step and each area, with an estimate of each score."""


def split_by_tracer(table: Table) -> dict[str, Table]:
    """The whole table as "all" and, where names of cases tell tracers, a table for each tracer."""
    tracers = sorted({row.tracer for row in table.rows})
    found = {"all": table}
    if tracers != ["unknown"]:
        for tracer in tracers:
            found[tracer] = table.select(row.case for row in table.rows if row.tracer == tracer)
    return found


def values_by_line(table: Table) -> dict[str, dict[str, np.ndarray]]:
    """Each step and each area with the values of each score, float64 of shape (cases,)."""
    lines: dict[str, dict[str, np.ndarray]] = {str(step): {} for step in table.steps}
    for score in SCORES:
        for step, values in zip(table.steps, table.curves(score).T, strict=True):
            lines[str(step)][score] = values
        for name, values in table.areas(score).items():
            lines.setdefault(f"AUC {name}", {})[score] = values
    return lines


def summarize(table: Table) -> dict[str, Lines]:
    """Estimates for all cases and for each tracer; see `split_by_tracer`."""
    return {
        group: {
            line: {score: Estimate.of(values) for score, values in scores.items()}
            for line, scores in values_by_line(part).items()
        }
        for group, part in split_by_tracer(table).items()
    }


def to_json(table: Table, summary: Mapping[str, Lines]) -> dict[str, Any]:
    """For all cases and for each tracer the number of cases and the estimates, ready for JSON.

    Args:
        table: the rows.
        summary: their estimates, by `summarize`.
    """
    return {
        group: {
            "cases": len(part.cases),
            "lines": {
                line: {score: estimate.to_json() for score, estimate in estimates.items()}
                for line, estimates in summary[group].items()
            },
        }
        for group, part in split_by_tracer(table).items()
    }


def to_markdown(table: Table, summary: Mapping[str, Lines]) -> str:
    """Markdown: for all cases and for each tracer a table of means, 95 % intervals and medians.

    Args:
        table: the rows.
        summary: their estimates, by `summarize`.
    """
    names = [STEP_NAMES[table.step_name], *SCORES.values()]
    parts = []
    for group, part in split_by_tracer(table).items():
        parts += [f"## {group}: {len(part.cases)} cases", "", f"| {' | '.join(names)} |", "| --- " * len(names) + "|"]
        for line, estimates in summary[group].items():
            cells = [_with_median(score, estimate) for score, estimate in estimates.items()]
            parts.append(f"| {line} | {' | '.join(cells)} |")
        parts.append("")
    note = "Mean [95 % bootstrap interval over cases]; median. What an empty truth leaves undefined is left out."
    if table.areas("dice"):
        note += " AUC: trapezoid rule with unit steps between the points."
    return "\n".join([*parts, note]) + "\n"


def _with_median(score: str, estimate: Estimate) -> str:
    median = f"; {estimate.median:{number_format(score)}}" if estimate.cases else ""
    return f"{estimate.cell(score)}{median}"
