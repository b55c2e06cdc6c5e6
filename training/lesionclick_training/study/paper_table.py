"""Table of the paper in kind (arXiv 2508.21680): what was measured beside its figures, and where they agree."""

from collections.abc import Mapping, Sequence
from operator import attrgetter
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

from lesionclick.evaluation.metrics import auc
from lesionclick.evaluation.statistics import RESAMPLES, SEED, Estimate
from lesionclick.evaluation.table import Table
from lesionclick.files import replacing
from lesionclick_training.study.paper_rows import PAPER_ROWS, Figures, PaperRow
from lesionclick_training.study.pooling import Curves, difference, name_with_share, pool

SCORES = {"dice": 100.0, "false_positive_ml": 1.0, "false_negative_ml": 1.0}
"""Columns, and what they are multiplied with at the last step: the paper gives Dice in percent there."""


def measured(row: PaperRow, folds: Sequence[Table]) -> tuple[Figures, ...]:
    """A row's own figures, as `PaperRow.paper` has the paper's.

    Args:
        row: the row.
        folds: validation of each seed and fold at 0, 3, 7, 10 clicks a label; the cases of all folds are taken
            together, each with its mean over the seeds.
    """
    figures = []
    for score, factor in SCORES.items():
        curves = _curves(folds, score)
        areas = [auc(curve) for curve in curves]
        last = factor * float(np.nanmean(curves[:, -1]))
        figures.append((float(np.nanmean(areas)) if row.takes_clicks else None, last))
    return tuple(figures)


def missed_as_published(row: PaperRow, folds: Sequence[Table]) -> Figures:
    """A row's own FNvol as the paper's script takes it: 0 in cases without lesions, which `measured` leaves out.

    Args:
        row: the row.
        folds: see `measured`.
    """
    curves = np.nan_to_num(_curves(folds, "false_negative_ml"))
    areas = [auc(curve) for curve in curves]
    return float(np.mean(areas)) if row.takes_clicks else None, float(curves[:, -1].mean())


def _curves(folds: Sequence[Table], score: str) -> np.ndarray:
    """A score of each case at each step, shape (cases, steps), NaN where not defined."""
    return np.array(list(pool(folds, attrgetter(score)).values()))


USED_POINTS = 2
"""Points of Dice, from 0 clicks to the last step, from which on networks are said to use their clicks."""

LEFT_OPEN = (
    "FNvol as published: the script that the paper's authors published counts cases without lesions as 0; the official "
    "figure, FNvol, leaves them out.",
    "Numbers of clicks in training: in the published code the Gaussian and the EDT rows draw 0 to 5 clicks a label, "
    "each number as likely as the others; the paper says 0 to 10, k with a probability proportional to log(12 - k), as "
    "it is here.",
    "Epochs: the published trainer of the autoPET III model has 1500 epochs, the others have 1000; here every row has "
    "the same.",
)
"""What the paper leaves open, and what was made of it here."""


def write_table(results: Mapping[str, Sequence[Table]], budget: str, networks: int, path: Path) -> None:
    """Writes the table as Markdown: what was measured beside the paper's figures, and where the orders agree.

    Args:
        results: validations, one a seed and fold, of the rows that are done, by the rows' names.
        budget: what each row was given, in a sentence.
        networks: how many networks a finished row has.
        path: a .md file.

    Raises:
        CaseError: the file cannot be written.
    """
    found = {row.name: measured(row, results[row.name]) for row in PAPER_ROWS if row.name in results}
    columns = (
        "Dice AUC / last",
        "paper",
        "FPvol AUC / last",
        "paper",
        "FNvol AUC / last",
        "FNvol as published",
        "paper",
    )
    head = f"| setting | {' | '.join(columns)} |"
    lines = ["# The paper's table in kind", "", budget, "", head, "| --- " * (len(columns) + 1) + "|"]
    for row in PAPER_ROWS:
        own = found.get(row.name)
        pairs = zip(own or [None] * len(row.paper), row.paper, strict=True)
        cells = [cell for mine, theirs in pairs for cell in (_cell(mine), _cell(theirs))]
        cells.insert(-1, _cell(missed_as_published(row, results[row.name]) if own else None))
        name = name_with_share(row.name, len(results.get(row.name, ())), networks)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += [
        "",
        "Dice at the last step in percent, volumes in ml; AUC over 0, 3, 7, 10 clicks a label, unit steps. "
        "A case's scores are the mean over the seeds. Differences are case by case, with 95 % bootstrap intervals over "
        "cases.",
        "",
    ]
    lines += [f"- {sentence}" for sentence in agreements(results)]
    lines += [
        "",
        f"Whether a row's networks use their clicks: Dice at the last step less that at 0 clicks, at least "
        f"{USED_POINTS} points.",
        "",
    ]
    lines += [f"- {sentence}" for sentence in uses_of_clicks(results)]
    lines += ["", "What the paper leaves open:", "", *(f"- {sentence}" for sentence in LEFT_OPEN)]
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

    Each has its 95 % bootstrap interval over cases, and where that holds 0 it says that nothing is decided.

    Args:
        results: validations of each seed and fold, by the rows' names.
    """
    paper = {row.name: row.paper[0][1] for row in PAPER_ROWS}
    dice = {name: _dice(folds) for name, folds in results.items()}
    sentences = []
    for title, first, second in COMPARISONS:
        if first in dice and second in dice:
            found = difference(dice[first], dice[second], -1)
            papers = paper[first] - paper[second]
            sentences.append(
                f"{title} ({first}; {second}): {_points(found)} points of Dice here, "
                f"{papers:+.2f} in the paper: {_verdict(found.low, found.high, papers > 0)}."
            )
    widths = [row.name for row in PAPER_ROWS if row.name.startswith("Gaussian") and row.name in dice]
    if len(widths) > 2:
        common = [case for case in dice[widths[0]] if all(case in dice[name] for name in widths)]
        own = np.array([[dice[name][case][-1] for name in widths] for case in common])
        rank, low, high = _rank_correlation(own, [paper[name] for name in widths])
        sentences.append(
            f"Gaussian widths: rank correlation of Dice with the paper's {rank:.2f} [{low:+.2f}, {high:+.2f}] "
            f"({len(widths)} widths): {_verdict(low, high, True)}."
        )
    return sentences


def uses_of_clicks(results: Mapping[str, Sequence[Table]]) -> list[str]:
    """A sentence for each row with clicks that is there: what they are worth, and whether its networks use them.

    Args:
        results: validations of each seed and fold, by the rows' names.
    """
    sentences = []
    for row in PAPER_ROWS:
        if row.takes_clicks and row.name in results:
            curves = _dice(results[row.name]).values()
            worth = Estimate.of(np.array([curve[-1] - curve[0] for curve in curves]))
            verdict = "uses its clicks" if worth.mean >= USED_POINTS else "does not use its clicks"
            sentences.append(f"{row.name}: {_points(worth)}: {verdict}.")
    return sentences


def _points(found: Estimate) -> str:
    return f"{found.mean:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


def _verdict(low: float, high: float, positive_in_paper: bool) -> str:
    """Whether an interval lies on the paper's side of 0; one that holds 0, or is not defined, decides nothing."""
    if not (low > 0 or high < 0):
        return "not decided"
    return "agrees" if (low > 0) == positive_in_paper else "does not agree"


def _rank_correlation(dice: np.ndarray, paper: Sequence[float]) -> tuple[float, float, float]:
    """Spearman's correlation of mean Dice with the paper's, and its 95 % interval (percentile bootstrap over cases).

    Args:
        dice: of each case with each row, shape (cases, rows); cases without lesions, where it is NaN, are left out.
        paper: the paper's, one a row.
    """
    dice = dice[~np.isnan(dice).any(axis=1)]
    cases = len(dice)
    if not cases:
        return np.nan, np.nan, np.nan
    # how often each case is drawn, rather than which is: a table of all cases and draws need not hold every row
    drawn = np.random.default_rng(SEED).multinomial(cases, np.full(cases, 1 / cases), size=RESAMPLES)
    own = rankdata(np.concatenate([dice.mean(axis=0)[None], drawn @ dice / cases]), axis=1)
    own -= own.mean(axis=1, keepdims=True)
    theirs = rankdata(paper) - (len(paper) + 1) / 2
    with np.errstate(invalid="ignore"):  # where all rows have the same Dice there is no correlation
        found = own @ theirs / np.sqrt((own**2).sum(axis=1) * (theirs**2).sum())
    defined = found[1:][~np.isnan(found[1:])]
    low, high = np.percentile(defined, [2.5, 97.5]) if cases > 1 and len(defined) else (np.nan, np.nan)
    return float(found[0]), float(low), float(high)


def _dice(folds: Sequence[Table]) -> Curves:
    """Dice of each case at each step, in percent."""
    return pool(folds, lambda row: 100 * row.dice)
