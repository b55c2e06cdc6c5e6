"""Figures of an evaluation: scores against clicks, and the worst cases."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from lesionclick.case.clicks import Click
from lesionclick.case.dataset import LabelledCase
from lesionclick.evaluation.table import STEP_NAMES, Table
from lesionclick.files import replacing
from lesionclick.report.overview import CLICK_MARKS, Panel, project

LINE_COLOR = "#1f77b4"

PANEL_INCHES = 1.8  # width of a projection

VOLUMES = {"false_positive_ml": "false positive volume, ml", "false_negative_ml": "false negative volume, ml"}

PANELS = {
    "clicks": {"dice": "Dice", **VOLUMES},
    "round": {"dice": "Dice", "detection_f1": "detection F1", **VOLUMES},
    "iteration": {"dice": "Dice", "detection_f1": "DMM", **VOLUMES},
}
"""Which scores are drawn and their titles, for each thing that a step may count."""


@dataclass(frozen=True, eq=False)
class DrawnCase:
    """A case to draw, with what came of the last step.

    Attributes:
        labelled_case: the images and the truth.
        mask_zyx: the predicted lesions, 0 and 1, on the case's grid.
        clicks: all that they were predicted with.
        dice: NaN where there is no true lesion.
    """

    labelled_case: LabelledCase
    mask_zyx: np.ndarray
    clicks: Sequence[Click]
    dice: float


def draw_curves(table: Table, path: Path) -> None:
    """Draws, in a panel for each score, the mean over cases against clicks or rounds and the middle half of the cases.

    Args:
        table: at least one case.
        path: a .png.

    Raises:
        CaseError: the file cannot be written.
    """
    scores = PANELS[table.step_name]
    figure = Figure(figsize=(3.1 * len(scores), 3.3), layout="constrained")
    legend: dict[str, Artist] = {}
    for axis, (score, title) in zip(figure.subplots(1, len(scores), squeeze=False)[0], scores.items(), strict=True):
        axis.set_title(title, fontsize=10)
        _draw_curve(axis, table, score)
        handles, labels = axis.get_legend_handles_labels()
        legend.update(zip(labels, handles, strict=True))
    figure.legend(legend.values(), legend, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)


def _draw_curve(axis: Axes, table: Table, score: str) -> None:
    curves = table.curves(score)
    defined = curves[~np.isnan(curves).any(axis=1)]  # the truth decides, so a case is defined at all steps or at none
    if len(defined):
        low, high = np.percentile(defined, (25, 75), axis=0)
        axis.fill_between(
            table.steps, low, high, color=LINE_COLOR, alpha=0.2, linewidth=0, label="middle half of the cases"
        )
        axis.plot(table.steps, defined.mean(axis=0), "o-", color=LINE_COLOR, markersize=4, label="mean over cases")
    axis.set_xlabel(STEP_NAMES[table.step_name], fontsize=9)
    axis.set_ylim(0, None if score.endswith("_ml") else 1)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.tick_params(labelsize=9)
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)


def draw_worst(cases: Sequence[DrawnCase], path: Path) -> None:
    """Draws cases side by side: PET projections with the true lesions, and with the predicted ones and all clicks.

    Args:
        cases: at least one.
        path: a .png.

    Raises:
        CaseError: the file cannot be written.
    """
    grids = [drawn.labelled_case.case.geometry for drawn in cases]
    tallest = max(grid.size[2] * grid.spacing[2] / (grid.size[0] * grid.spacing[0]) for grid in grids)
    figure = Figure(figsize=(2 * PANEL_INCHES * len(cases), PANEL_INCHES * tallest + 1.1), layout="constrained")
    for part, drawn in zip(figure.subfigures(1, len(cases), squeeze=False)[0], cases, strict=True):
        case = drawn.labelled_case.case
        name = case.name if len(case.name) <= 32 else f"{case.name[:29]}..."
        dice = "no true lesion" if math.isnan(drawn.dice) else f"Dice {drawn.dice:.3f}"
        part.suptitle(f"{name}\n{dice}", fontsize=11)
        left, right = part.subplots(1, 2)
        for axis in (left, right):
            axis.set_anchor("N")
        project(left, case, Panel("truth", drawn.labelled_case.lesion_zyx))
        project(right, case, Panel("prediction", drawn.mask_zyx, drawn.clicks))
    marks = [
        Line2D([], [], linestyle="", marker=marker, color=color, label=f"{label} click")
        for label, (marker, color) in CLICK_MARKS.items()
    ]
    figure.legend(handles=marks, loc="outside lower center", ncols=2, frameon=False, fontsize=10)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
