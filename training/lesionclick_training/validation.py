"""Validation with clicks, as the paper does it: the first k official clicks of each label, k = 0, 3, 7, 10.

Predictions come from `lesionclick`'s engine, metrics from `lesionclick.metrics`, on the case's own grid.
"""

import csv
import logging
import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from lesionclick.case import Case, Geometry, replacing
from lesionclick.clicks import Click, read_clicks
from lesionclick.ensemble import Ensemble
from lesionclick.errors import CaseError
from lesionclick.metrics import Metrics, auc, evaluate
from lesionclick.session import Session
from lesionclick_training.click_simulation import simulate_official
from lesionclick_training.images import read_image
from lesionclick_training.nnunet_layout import (
    CLICKS_ENDING,
    CT_SUFFIX,
    FILE_ENDING,
    PET_SUFFIX,
    read_lesions,
    read_splits,
)
from lesionclick_training.phantom import Phantom

logger = logging.getLogger("lesionclick")

STEPS = (0, 3, 7, 10)  # clicks a label, arXiv 2508.21680


@dataclass(frozen=True)
class Truth:
    """A case with its truth.

    Attributes:
        case: with its official clicks, tumour and background.
        lesion_zyx: 0 and 1, on the case's grid.
    """

    case: Case
    lesion_zyx: np.ndarray


@dataclass(frozen=True)
class Row:
    """What one case scored at one number of clicks a label."""

    case: str
    clicks: int
    metrics: Metrics


def first_clicks(clicks: Sequence[Click], count: int) -> tuple[Click, ...]:
    """The first `count` tumour clicks and the first `count` background clicks."""
    tumor = [click for click in clicks if click.label == "tumor"]
    background = [click for click in clicks if click.label == "background"]
    return (*tumor[:count], *background[:count])


def validate(
    ensemble: Ensemble, truths: Iterable[Truth], steps: Sequence[int] = STEPS, *, mirroring: bool = True
) -> Iterator[Row]:
    """Predicts each case at each number of clicks a label and compares with its truth, a row at a time."""
    for truth in truths:
        session = Session(ensemble, truth.case)
        for count in steps:
            prediction = session.predict(first_clicks(truth.case.clicks, count), mirroring=mirroring)
            metrics = evaluate(prediction.mask, truth.lesion_zyx, truth.case.geometry.spacing_zyx)
            logger.info("%s at %d clicks: Dice %.3f", truth.case.name, count, metrics.dice)
            yield Row(truth.case.name, count, metrics)


def read_dataset(dataset: Path, names: Iterable[str], clicks: Path | None = None) -> Iterator[Truth]:
    """Cases of a dataset in nnU-Net's raw layout, with two-channel or plain labels.

    Args:
        dataset: the folder DatasetXXX_Name.
        names: which of its cases.
        clicks: a folder with <case>_clicks.json, the official ones; without it, clicks are simulated by the challenge's
            scheme (seed 42).

    Raises:
        CaseError: a file is missing, cannot be read or does not fit the others.
    """
    for name in names:
        ct = read_image(dataset / "imagesTr" / f"{name}{CT_SUFFIX}{FILE_ENDING}")
        pet = sitk.GetArrayFromImage(read_image(dataset / "imagesTr" / f"{name}{PET_SUFFIX}{FILE_ENDING}"))
        label_path = dataset / "labelsTr" / f"{name}{FILE_ENDING}"
        lesion = read_lesions(label_path)
        geometry = Geometry.of(ct)
        if not lesion.shape == pet.shape == geometry.shape_zyx:
            raise CaseError(f"{label_path}: label, CT and PET of the case differ in size")
        if clicks is None:
            chosen = simulate_official(pet, lesion)
        else:
            chosen = read_clicks(clicks / f"{name}{CLICKS_ENDING}", geometry.shape_zyx)
        arrays = sitk.GetArrayFromImage(ct).astype(np.float32), pet.astype(np.float32)
        yield Truth(Case(name, *arrays, geometry, chosen), lesion)


def read_fold(splits: Path, names: Sequence[str], fold: int) -> list[str]:
    """The validation cases of a fold.

    Raises:
        CaseError: the splits are missing, broken or have no such fold.
    """
    folds = read_splits(splits, names)
    if fold >= len(folds):
        raise CaseError(f"{splits}: has no fold {fold}, it has {len(folds)}")
    return folds[fold]["val"]


def truth_of_phantom(phantom: Phantom) -> Truth:
    """A phantom as a case, with clicks simulated by the challenge's scheme (seed 42)."""
    spacing = phantom.spacing_zyx[::-1]
    geometry = Geometry(phantom.ct_zyx.shape[::-1], spacing, (0.0,) * 3, (1.0, 0, 0, 0, 1, 0, 0, 0, 1))
    clicks = simulate_official(phantom.pet_zyx, phantom.lesion_zyx)
    case = Case(f"{phantom.tracer}_{phantom.seed}", phantom.ct_zyx, phantom.pet_zyx, geometry, clicks)
    return Truth(case, phantom.lesion_zyx)


def mean(values: Iterable[float]) -> float:
    """Mean of what is defined; NaN where nothing is."""
    defined = [value for value in values if not math.isnan(value)]
    return statistics.fmean(defined) if defined else math.nan


def summarize(rows: Sequence[Row]) -> str:
    """Markdown: a row for each number of clicks with means over cases, and the areas under these curves."""
    steps = sorted({row.clicks for row in rows})
    cases = len({row.case for row in rows})
    columns = {
        "Dice": lambda metrics: metrics.dice,
        "FPvol, ml": lambda metrics: metrics.false_positive_volume,
        "FNvol, ml": lambda metrics: metrics.false_negative_volume,
        "detection F1": lambda metrics: metrics.detection.f1,
    }
    lines = [f"| clicks a label ({cases} cases) | {' | '.join(columns)} |", "| --- " * (len(columns) + 1) + "|"]
    curves: dict[str, list[float]] = {name: [] for name in columns}
    for step in steps:
        for name, pick in columns.items():
            curves[name].append(mean(pick(row.metrics) for row in rows if row.clicks == step))
        lines.append(f"| {step} | " + " | ".join(_cell(name, curves[name][-1]) for name in columns) + " |")
    lines.append("| AUC, unit steps | " + " | ".join(_cell(name, auc(curves[name])) for name in columns) + " |")
    return "\n".join(lines)


def _cell(column: str, value: float) -> str:
    return f"{value:.2f}" if column.endswith("ml") else f"{value:.3f}"


def write_rows(rows: Iterable[Row], path: Path) -> list[Row]:
    """Writes a .csv, a line a row, whole or not at all; returns the rows."""
    kept = []
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["case", "clicks", "dice", "false_positive_ml", "false_negative_ml", "detection_f1"])
        for row in rows:
            metrics = row.metrics
            scores = (metrics.dice, metrics.false_positive_volume, metrics.false_negative_volume, metrics.detection.f1)
            writer.writerow([row.case, row.clicks, *(f"{score:.6f}" for score in scores)])
            kept.append(row)
    return kept
