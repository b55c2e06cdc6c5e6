"""Comparison of evaluations: side by side, with paired differences."""

from collections.abc import Sequence
from pathlib import Path

from lesionclick.errors import CaseError
from lesionclick.evaluation.statistics import Estimate
from lesionclick.evaluation.summary import values_by_line
from lesionclick.evaluation.table import SCORES, STEP_NAMES, TABLE_FILE, Table, step_span


def compare(folders: Sequence[Path]) -> str:
    """Markdown: evaluations side by side over the cases common to all, with paired differences from the first.

    Args:
        folders: two or more that `lesionclick evaluate` wrote.

    Raises:
        CaseError: a folder holds no evaluation, the steps differ, or no case is common to all.
    """
    tables = [Table.read(folder / TABLE_FILE) for folder in folders]
    first = tables[0]
    for folder, table in zip(folders, tables, strict=True):
        if (table.step_name, table.steps) != (first.step_name, first.steps):
            found, expected = (f"{each.step_name} {step_span(each.steps)}" for each in (table, first))
            raise CaseError(f"{folder}: has {found}, expected {expected} as in {folders[0]}")
    common = [case for case in first.cases if all(case in table.cases for table in tables)]
    if not common:
        raise CaseError(f"{', '.join(map(str, folders))}: have no case in common, expected evaluations of one dataset")
    return _comparison(_labels(folders), [table.select(common) for table in tables])


def _labels(folders: Sequence[Path]) -> list[str]:
    names = [folder.resolve().name for folder in folders]
    return names if len(set(names)) == len(names) else [str(folder) for folder in folders]


def _comparison(labels: Sequence[str], runs: Sequence[Table]) -> str:
    parts = [f"# {', '.join(labels)}", "", f"{len(runs[0].cases)} cases common to all.", ""]
    lines = [values_by_line(run) for run in runs]
    columns = [STEP_NAMES[runs[0].step_name], *labels, *(f"{label} - {labels[0]}" for label in labels[1:])]
    for score, title in SCORES[runs[0].step_name].items():
        parts += [f"## {title}", "", f"| {' | '.join(columns)} |", "| --- " * len(columns) + "|"]
        for line in lines[0]:
            values = [each[line][score] for each in lines]
            cells = [Estimate.of(each).cell(score) for each in values]
            cells += [Estimate.of(each - values[0]).cell(score, sign="+") for each in values[1:]]
            parts.append(f"| {line} | {' | '.join(cells)} |")
        parts.append("")
    parts.append("Mean [95 % bootstrap interval over cases]; differences are case by case.")
    return "\n".join(parts) + "\n"
