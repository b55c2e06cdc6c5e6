"""Validation with clicks, as the paper does it: the first k official clicks of each label, k = 0, 3, 7, 10.

Cases, scores and tables are those of `lesionclick evaluate`; what training adds are the folds.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from lesionclick.case.dataset import Dataset
from lesionclick.errors import CaseError
from lesionclick.evaluation.protocol import EvaluationProtocol
from lesionclick.evaluation.runner import evaluate_case
from lesionclick.evaluation.table import Table
from lesionclick.inference.ensemble import Ensemble
from lesionclick.inference.settings import InferenceSettings
from lesionclick_training.data.splits import read_splits

logger = logging.getLogger("lesionclick")

STEPS = (0, 3, 7, 10)  # clicks a label, arXiv 2508.21680


def validate(
    ensemble: Ensemble,
    dataset: Dataset,
    names: Sequence[str],
    clicks: Path | None = None,
    *,
    inference: InferenceSettings,
    steps: Sequence[int] = STEPS,
) -> Table:
    """Predicts cases at each number of clicks a label and compares with their truth.

    Args:
        ensemble: the networks.
        dataset: holds the cases.
        names: which of its cases.
        clicks: see `Dataset.read`.
        inference: how the networks look at a case.
        steps: numbers of clicks a label.

    Raises:
        CaseError: a file is missing, damaged or does not fit the others.
    """
    protocol = EvaluationProtocol(tuple(steps), inference=inference)
    rows = []
    for name in names:
        for step in evaluate_case(ensemble, dataset.read(name, clicks), protocol):
            logger.info("%s at %d clicks: Dice %.3f", name, step.score.step, step.score.dice)
            rows.append(step.score)
    return Table(protocol.step_name, tuple(rows))


def read_fold(splits: Path, names: Sequence[str], fold: int) -> list[str]:
    """The validation cases of a fold.

    Raises:
        CaseError: the splits are missing, broken or have no such fold.
    """
    folds = read_splits(splits, names)
    if fold >= len(folds):
        raise CaseError(f"{splits}: has no fold {fold}, it has {len(folds)}")
    return folds[fold]["val"]
