"""Rows of scores, and tables made from them: means with intervals, areas under curves, differences between runs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lesionclick.evaluation.statistics import Estimate, number_format
from lesionclick.evaluation.table import SCORES, STEP_NAMES, Table
from lesionclick.files import replacing

SUMMARY_JSON = Path("summary.json")

SUMMARY_MARKDOWN = Path("summary.md")

Lines = dict[str, dict[str, Estimate]]
"""What a table of results has a line for, each step and each area, with an estimate a score."""


def groups(table: Table) -> dict[str, Table]:
    """The whole table as "all" and, where names tell tracers, a table for each tracer."""
    tracers = sorted({row.tracer for row in table.rows})
    found = {"all": table}
    if tracers != ["unknown"]:
        for tracer in tracers:
            found[tracer] = table.select(row.case for row in table.rows if row.tracer == tracer)
    return found


def lines_of(table: Table) -> dict[str, dict[str, np.ndarray]]:
    """Each step and each area, with each score's values, one a case."""
    lines: dict[str, dict[str, np.ndarray]] = {str(step): {} for step in table.steps}
    for score in SCORES:
        for step, values in zip(table.steps, table.curves(score).T, strict=True):
            lines[str(step)][score] = values
        for name, values in table.areas(score).items():
            lines.setdefault(f"AUC {name}", {})[score] = values
    return lines


def summarize(table: Table) -> dict[str, Lines]:
    """Estimates for all cases and each tracer; see `groups`."""
    return {
        group: {
            line: {score: Estimate.of(values) for score, values in scores.items()}
            for line, scores in lines_of(part).items()
        }
        for group, part in groups(table).items()
    }


def to_markdown(table: Table, summary: Mapping[str, Lines]) -> str:
    """Markdown: for all cases and each tracer a table of means, 95 % intervals and medians.

    Args:
        table: the rows.
        summary: their estimates, by `summarize`.
    """
    names = [STEP_NAMES[table.step_name], *SCORES.values()]
    parts = []
    for group, part in groups(table).items():
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


def write_summary(table: Table, settings: Mapping[str, Any], failures: Mapping[str, str], out: Path) -> None:
    """Writes summary.json and summary.md into a folder.

    Args:
        table: all that was evaluated.
        settings: how; shown as they are.
        failures: cases that could not be evaluated, with the reason.
        out: the folder.

    Raises:
        CaseError: a file cannot be written.
    """
    summary = summarize(table)
    sizes = {group: len(part.cases) for group, part in groups(table).items()}
    content = {
        "settings": settings,
        "step": table.step_name,
        "failed": failures,
        "groups": {group: {"cases": sizes[group], "lines": _to_json(lines)} for group, lines in summary.items()},
    }
    with replacing(out / SUMMARY_JSON) as temporary:
        temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
    text = f"# {settings['model']} on {settings['dataset']}\n\n{to_markdown(table, summary)}"
    if failures:
        listed = "".join(f"- {name}: {reason}\n" for name, reason in failures.items())
        text += f"\n## Not evaluated: {len(failures)} cases\n\n{listed}"
    with replacing(out / SUMMARY_MARKDOWN) as temporary:
        temporary.write_text(text)


def _to_json(lines: Lines) -> dict[str, Any]:
    return {
        line: {score: estimate.to_json() for score, estimate in estimates.items()} for line, estimates in lines.items()
    }
