"""The paper's table in kind (arXiv 2508.21680): every row trained and validated alike, beside the paper's figures.

Each row starts from the same network without clicks, as the paper's start from the same pretrained one, and has the
same budget.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lesionclick.case.dataset import Dataset
from lesionclick.evaluation.statistics import Estimate
from lesionclick.evaluation.table import Table
from lesionclick.files import replacing
from lesionclick.inference.ensemble import Ensemble
from lesionclick.inference.settings import InferenceSettings
from lesionclick.model.checkpoint import CHECKPOINT
from lesionclick_training.data.nnunet_layout import SPLITS_FILE
from lesionclick_training.nnunet.trainer import INITIAL_LR
from lesionclick_training.nnunet.workspace import (
    Device,
    Plan,
    find_dataset,
    find_plans,
    find_trainer,
    model_folder_name,
    set_paths,
    train_network,
)
from lesionclick_training.study.validation import read_fold, validate

SCORES = {"dice": 100.0, "false_positive_ml": 1.0, "false_negative_ml": 1.0}
"""Columns, and what they are multiplied with at the last step: the paper gives Dice in percent there."""


@dataclass(frozen=True)
class Setting:
    """A row of the table.

    Attributes:
        name: as the paper names it.
        variant: the trainer, without "LesionClickTrainer_".
        more_data: whether it is trained on the dataset with more cases.
        paper: the paper's figures for Dice, FPvol and FNvol: area under the curve (None for the model without clicks)
            and value at the last step, Dice in percent there, volumes in ml.
    """

    name: str
    variant: str
    more_data: bool
    paper: tuple[tuple[float | None, float], ...]

    @property
    def takes_clicks(self) -> bool:
        """Whether the networks see clicks."""
        return self.variant != "NoClicks"


SETTINGS = (
    Setting("autoPET III model (no clicks)", "NoClicks", False, ((None, 68.33), (None, 8.93), (None, 10.15))),
    Setting("Gaussian sigma 3", "Gaussian3", False, ((2.06, 68.70), (26.74, 8.92), (18.31, 6.14))),
    Setting("Gaussian sigma 2", "Gaussian2", False, ((2.10, 70.78), (26.31, 8.76), (18.60, 6.15))),
    Setting("Gaussian sigma 1", "Gaussian1", False, ((2.12, 71.89), (26.34, 8.75), (17.83, 5.68))),
    Setting("Gaussian sigma 0.75", "Gaussian0p75", False, ((2.14, 72.37), (26.45, 8.78), (17.70, 5.56))),
    Setting("Gaussian sigma 0.5", "Gaussian0p5", False, ((2.15, 72.94), (25.73, 8.55), (16.86, 5.23))),
    Setting("Gaussian sigma 0.25", "Gaussian0p25", False, ((2.18, 74.53), (25.33, 8.39), (15.98, 4.60))),
    Setting("Gaussian sigma 0.1", "Gaussian0p1", False, ((2.18, 74.59), (26.05, 8.64), (16.11, 4.75))),
    Setting("EDT 4", "EDT4", False, ((2.21, 75.75), (26.48, 8.73), (13.67, 3.66))),
    Setting("EDT 2", "EDT2", False, ((2.22, 76.09), (26.31, 8.62), (14.46, 3.86))),
    Setting("EDT 3", "EDT3", False, ((2.21, 75.89), (26.85, 8.81), (15.01, 4.06))),
    Setting("EDT 2, custom points", "EDT2_Custom", False, ((2.21, 76.19), (24.53, 8.05), (15.11, 4.19))),
    Setting("EDT 2, more data", "EDT2", True, ((2.21, 76.00), (24.85, 8.19), (15.45, 4.15))),
    Setting("EDT 2, more data, custom points", "EDT2_Custom", True, ((2.22, 76.35), (26.03, 8.50), (14.17, 3.76))),
)


def measured(setting: Setting, folds: Sequence[Table]) -> tuple[tuple[float | None, float], ...]:
    """A row's own figures, as `Setting.paper` has the paper's.

    Args:
        setting: the row.
        folds: validation of each fold at 0, 3, 7, 10 clicks a label; the cases of all folds are taken together.
    """
    figures = []
    for score, factor in SCORES.items():
        curves = np.concatenate([table.curves(score) for table in folds])
        areas = np.concatenate([next(iter(table.areas(score).values())) for table in folds])
        last = factor * float(np.nanmean(curves[:, -1]))
        figures.append((float(np.nanmean(areas)) if setting.takes_clicks else None, last))
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
    found = {row.name: measured(row, results[row.name]) for row in SETTINGS if row.name in results}
    head = "| setting | Dice AUC / last | paper | FPvol AUC / last | paper | FNvol AUC / last | paper |"
    lines = ["# The paper's table in kind", "", budget, "", head, "| --- " * 7 + "|"]
    for row in SETTINGS:
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


def _cell(figures: tuple[float | None, float] | None) -> str:
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
    paper = {row.name: row.paper[0][1] for row in SETTINGS}
    dice = {name: _last_dice(folds) for name, folds in results.items()}
    sentences = []
    for what, one, other in COMPARISONS:
        if one in dice and other in dice:
            common = [case for case in dice[one] if case in dice[other]]
            here = Estimate.of(np.array([dice[one][case] - dice[other][case] for case in common]))
            there = paper[one] - paper[other]
            verdict = "agrees" if (here.mean > 0) == (there > 0) else "does not agree"
            if not (here.low > 0 or here.high < 0):
                verdict = "not decided"
            sentences.append(
                f"{what} ({one}; {other}): {here.mean:+.2f} [{here.low:+.2f}, {here.high:+.2f}] points of Dice here, "
                f"{there:+.2f} in the paper: {verdict}."
            )
    widths = [row.name for row in SETTINGS if row.name.startswith("Gaussian") and row.name in dice]
    if len(widths) > 2:
        from scipy.stats import spearmanr

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


def train_row(
    setting: Setting, number: int, fold: int, root: Path, plan: Plan, start: Path, stem: int, device: Device
) -> Path:
    """The folder with a row's network of a fold, which is trained unless it is there."""
    trainer = find_trainer(setting.variant)
    name = find_dataset(root, number, "preprocessed")
    plans = find_plans(root, name, plan)
    set_paths(root, results="table")
    model = root / "table" / name / model_folder_name(trainer, plans)
    if not (model / f"fold_{fold}" / CHECKPOINT).exists():
        train_network(number, str(fold), trainer, plans, start, stem, device)
    return model


def validate_row(model: Path, fold: int, dataset: int, root: Path, device: Device, inference: InferenceSettings) -> Table:
    """Validates a fold's network on the cases that the dataset, the one without more cases, keeps for that fold."""
    raw = find_dataset(root, dataset, "raw")
    cases = Dataset.find(root / "raw" / raw)
    names = read_fold(root / "preprocessed" / raw / SPLITS_FILE, cases.names, fold)
    return validate(Ensemble.load(model, device, folds=[str(fold)]), cases, names, inference=inference)


def describe_budget(folds: str) -> str:
    """What each row was given, from the same settings as the trainer's."""
    defaults = {"EPOCHS": "1000", "ITERATIONS": "250", "OPTIMIZER": "SGD", "INITIAL_LR": str(INITIAL_LR)}
    epochs, iterations, optimizer, rate = (
        os.environ.get(f"LESIONCLICK_{name}", default) for name, default in defaults.items()
    )
    return (
        f"Each row: {epochs} epochs of {iterations} steps from the same network without clicks, {optimizer} with an "
        f"initial learning rate of {rate}, fold {folds}."
    )
