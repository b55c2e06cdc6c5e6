"""Validation with clicks, as the paper does it: the first k official clicks of each label, k = 0, 3, 7, 10.

Cases, scores and tables are those of `lesionclick evaluate`; what training adds are the folds.
"""

import dataclasses
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

from lesionclick.case.dataset import Dataset
from lesionclick.errors import CaseError
from lesionclick.evaluation.protocol import EvaluationProtocol
from lesionclick.evaluation.results import open_results
from lesionclick.evaluation.runner import describe_settings, evaluate_case
from lesionclick.evaluation.segmenters import NetworkSegmenter, Segmenter
from lesionclick.evaluation.table import CaseScore, Table
from lesionclick.files import require_writable
from lesionclick.inference.ensemble import Ensemble
from lesionclick.inference.settings import InferenceSettings
from lesionclick_training.data.splits import SPLITS_FILE, read_splits, require_same_splits
from lesionclick_training.nnunet.workspace import Workspace

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
    out: Path | None = None,
) -> Table:
    """Predicts cases at each number of clicks a label and compares with their truth.

    Args:
        ensemble: the networks.
        dataset: holds the cases.
        names: which of its cases.
        clicks: see `Dataset.read`.
        inference: how the networks look at a case.
        steps: numbers of clicks a label.
        out: a .csv file to write. Until it is complete the cases done so far lie in a folder beside it,
            <out>.unfinished, from which a validation that was stopped goes on.

    Raises:
        CaseError: a file is missing, damaged or does not fit the others, or cannot be written; or the unfinished
            validation beside `out` was begun with other settings.
    """
    segmenter, protocol = NetworkSegmenter(ensemble, inference), EvaluationProtocol(tuple(steps))
    if out is None:
        rows = [row for name in names for row in _score_case(segmenter, dataset, name, clicks, protocol)]
        return Table(protocol.step_name, tuple(rows))
    require_writable(out)
    folder = out.with_name(f"{out.name}.unfinished")
    settings = {
        **describe_settings(segmenter, dataclasses.replace(dataset, names=tuple(names)), protocol),
        "clicks": None if clicks is None else str(clicks.resolve()),
    }
    results = open_results(folder, settings, protocol.step_name, protocol.steps)
    done = sum(results.has_case(name) for name in names)
    if done:
        logger.info("%s: the validation goes on after %d of %d cases", folder, done, len(names))
    for name in names:
        if not results.has_case(name):
            results.write_case(_score_case(segmenter, dataset, name, clicks, protocol))
    table = results.read_table(names)
    table.write(out)
    shutil.rmtree(folder)
    return table


def _score_case(
    segmenter: Segmenter, dataset: Dataset, name: str, clicks: Path | None, protocol: EvaluationProtocol
) -> list[CaseScore]:
    scores = []
    for step in evaluate_case(segmenter, dataset.read(name, clicks), protocol):
        logger.info("%s at %d clicks: Dice %.3f", name, step.score.step, step.score.dice)
        scores.append(step.score)
    return scores


def find_fold(dataset: Dataset, fold: int, splits: Path | None = None) -> list[str]:
    """The validation cases of a fold.

    Args:
        dataset: in nnU-Net's raw folder.
        fold: its number.
        splits: file that names the cases of each fold; None for splits_final.json of the dataset. That must then be
            the same as the one of the preprocessed dataset, by which networks were trained, where it lies beside.

    Raises:
        CaseError: the splits are missing, broken, stale or have no such fold.
    """
    path = splits or dataset.folder / SPLITS_FILE
    folder = dataset.folder.resolve()
    preprocessed = Workspace(folder.parent.parent).preprocessed / folder.name / SPLITS_FILE
    if splits is None and preprocessed.exists():
        require_same_splits(path, preprocessed)
    folds = read_splits(path, dataset.names)
    if fold >= len(folds):
        raise CaseError(f"{path}: has no fold {fold}, it has {len(folds)}")
    return folds[fold]["val"]
