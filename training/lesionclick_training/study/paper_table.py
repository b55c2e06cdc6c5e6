"""Table of the paper in kind (arXiv 2508.21680): what was measured beside its figures, and where they agree."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from lesionclick.evaluation.statistics import Estimate
from lesionclick.evaluation.table import Table
from lesionclick.files import replacing
from lesionclick_training.study.paper_rows import PAPER_ROWS, Figures, PaperRow

SCORES = {"dice": 100.0, "false_positive_ml": 1.0, "false_negative_ml": 1.0}
"""Columns, and what they are multiplied with at the last step: the paper gives Dice in percent there."""


def measured(row: PaperRow, folds: Sequence[Table]) -> tuple[Figures, ...]:
    """A row's own figures, as `PaperRow.paper` has the paper's.

    Args:
        row: the row.
        folds: validation of each fold at 0, 3, 7, 10 clicks a label; the cases of all folds are taken together.
    """
    figures = []
    for score, factor in SCORES.items():
        curves = np.concatenate([table.curves(score) for table in folds])
        areas = np.concatenate([next(iter(table.areas(score).values())) for table in folds])
        last = factor * float(np.nanmean(curves[:, -1]))
        figures.append((float(np.nanmean(areas)) if row.takes_clicks else None, last))
    return tuple(figures)


def write_table(results: Mapping[str, Sequence[Table]], budget: str, path: Path) -> None:
    """Writes the table as Markdown: what was measured beside the paper's figures, and where the orders agree.

    Args:
        results: validations of the rows that are done, by the rows' names.
        budget: what each row was given, in a sentence.
        path: a .md file.

    Raises:
        CaseError: the file cannot be written.
    """
    found = {row.name: measured(row, results[row.name]) for row in PAPER_ROWS if row.name in results}
    head = "| setting | Dice AUC / last | paper | FPvol AUC / last | paper | FNvol AUC / last | paper |"
    lines = ["# The paper's table in kind", "", budget, "", head, "| --- " * 7 + "|"]
    for row in PAPER_ROWS:
        own = found.get(row.name)
        pairs = zip(own or [None] * len(row.paper), row.paper, strict=True)
        cells = [cell for mine, theirs in pairs for cell in (_cell(mine), _cell(theirs))]
        lines.append(f"| {row.name} | {' | '.join(cells)} |")
    lines += [
        "",
        "Dice at the last step in percent, volumes in ml; AUC over 0, 3, 7, 10 clicks a label, unit steps. "
        "Differences are case by case, with 95 % bootstrap intervals.",
        "",
    ]
    lines += [f"- {sentence}" for sentence in agreements(results)]
    with replacing(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n")


def _cell(figures: Figures | None) -> str:
    if figures is None:
        return "not run"
    area, last = figures
    return f"{'-' if area is None else f'{area:.2f}'} / {last:.2f}"


COMPARISONS = (
    ("clicks against none", "EDT 2", "autoPET III model (no clicks)"),
    ("EDT against the best Gaussian", "EDT 2", "Gaussian sigma 0.1"),
    ("narrow against wide Gaussian", "Gaussian sigma 0.25", "Gaussian sigma 3"),
    ("custom points against the challenge's", "EDT 2, custom points", "EDT 2"),
    ("more data against less", "EDT 2, more data", "EDT 2"),
    ("more data against less, custom points", "EDT 2, more data, custom points", "EDT 2, custom points"),
)
"""What the paper's table says, as pairs of rows to compare."""


def agreements(results: Mapping[str, Sequence[Table]]) -> list[str]:
    """A sentence for each comparison whose rows are there: the difference here and in the paper, Dice at the last step.

    Where the 95 % bootstrap interval of the difference over cases holds 0, it says that nothing is decided.

    Args:
        results: validations of each fold, by the rows' names.
    """
    paper = {row.name: row.paper[0][1] for row in PAPER_ROWS}
    dice = {name: _last_dice(folds) for name, folds in results.items()}
    sentences = []
    for title, first, second in COMPARISONS:
        if first in dice and second in dice:
            common = [case for case in dice[first] if case in dice[second]]
            found = Estimate.of(np.array([dice[first][case] - dice[second][case] for case in common]))
            papers = paper[first] - paper[second]
            verdict = "agrees" if (found.mean > 0) == (papers > 0) else "does not agree"
            if not (found.low > 0 or found.high < 0):  # also where one case alone has no interval
                verdict = "not decided"
            sentences.append(
                f"{title} ({first}; {second}): {found.mean:+.2f} [{found.low:+.2f}, {found.high:+.2f}] points of Dice "
                f"here, {papers:+.2f} in the paper: {verdict}."
            )
    widths = [row.name for row in PAPER_ROWS if row.name.startswith("Gaussian") and row.name in dice]
    if len(widths) > 2:
        own = [np.nanmean(list(dice[name].values())) for name in widths]
        rank = spearmanr(own, [paper[name] for name in widths]).statistic
        sentences.append(
            f"Gaussian widths: rank correlation of Dice with the paper's {rank:.2f} ({len(widths)} widths)."
        )
    return sentences


def _last_dice(folds: Sequence[Table]) -> dict[str, float]:
    """Dice of each case at the last step, in percent."""
    return {
        case: 100 * float(value)
        for table in folds
        for case, value in zip(table.cases, table.curves("dice")[:, -1], strict=True)
    }
