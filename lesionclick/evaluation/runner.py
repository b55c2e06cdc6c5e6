"""Runner of an evaluation: case after case, step by step, with more clicks or one more correction each."""

import logging
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lesionclick.case.clicks import Click
from lesionclick.case.dataset import Dataset, LabelledCase, tracer_of
from lesionclick.errors import CaseError, LesionClickError
from lesionclick.evaluation.metrics import score_mask
from lesionclick.evaluation.protocol import EvaluationProtocol
from lesionclick.evaluation.report import write_report
from lesionclick.evaluation.results import Results, open_results
from lesionclick.evaluation.segmenters import Segmenter
from lesionclick.evaluation.table import CaseScore
from lesionclick.files import describe_error
from lesionclick.log import Progress

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class StepResult:
    """One case at one step.

    Attributes:
        score: how good the mask is.
        clicks: all that the segmenter was given.
        mask_zyx: uint8, 0 and 1, on the case's grid.
    """

    score: CaseScore
    clicks: tuple[Click, ...]
    mask_zyx: np.ndarray


def evaluate_case(
    segmenter: Segmenter, labelled_case: LabelledCase, protocol: EvaluationProtocol
) -> Iterator[StepResult]:
    """Segments a case at each step and compares with its truth; where no click is new the mask stays as it is.

    Raises:
        ModelError, DeviceError: from networks, see `Session.predict`.
        CaseError: the reader goes by files, and one of this case's cannot be used.
    """
    labelled_case = protocol.with_clicks(labelled_case)
    segment = segmenter.open(labelled_case.case)
    clicks: tuple[Click, ...] = ()
    mask_zyx: np.ndarray | None = None
    for step in protocol.steps:
        before = clicks
        clicks = protocol.next_clicks(labelled_case, step, before, mask_zyx) if segmenter.takes_clicks else ()
        if mask_zyx is None or clicks != before:
            mask_zyx = segment(clicks)
        yield StepResult(_score(labelled_case, protocol, step, clicks, mask_zyx), clicks, mask_zyx)


def _score(
    labelled_case: LabelledCase,
    protocol: EvaluationProtocol,
    step: int,
    clicks: tuple[Click, ...],
    mask_zyx: np.ndarray,
) -> CaseScore:
    case = labelled_case.case
    metrics = score_mask(mask_zyx, labelled_case.lesion_zyx, case.geometry.spacing_zyx)
    dice = metrics.autopetv_dice if protocol.step_name == "iteration" else metrics.dice
    tumor_points = sum(click.label == "tumor" for click in clicks)
    return CaseScore(
        case=case.name,
        tracer=tracer_of(case.name),
        step=step,
        source=protocol.source(labelled_case),
        tumor_points=tumor_points,
        background_points=len(clicks) - tumor_points,
        dice=round(dice, 6),
        false_positive_ml=round(metrics.false_positive_ml, 6),
        false_negative_ml=round(metrics.false_negative_ml, 6),
        true_positives=metrics.detection.true_positives,
        false_positives=metrics.detection.false_positives,
        false_negatives=metrics.detection.false_negatives,
        detection_f1=round(metrics.detection.f1, 6),
    )


def evaluate_dataset(
    segmenter: Segmenter, dataset: Dataset, protocol: EvaluationProtocol, out: Path, *, keep_masks: bool = False
) -> dict[str, str]:
    """Evaluates the cases that a folder of results lacks, then makes its tables and figures from all that it holds.

    Other processes may do the same at the same time, with the same settings: each takes what no other has completed.

    Args:
        segmenter: what is evaluated.
        dataset: the cases.
        protocol: what is asked in each.
        out: the folder of results, new or begun with the same settings.
        keep_masks: whether the mask of each step is stored, not of the last one alone.

    Returns:
        The cases that failed, with the reason.

    Raises:
        CaseError: the folder was begun with other settings or cannot be written, or no case could be evaluated.
    """
    settings = {**describe_settings(segmenter, dataset, protocol), "keep_masks": keep_masks}
    results = open_results(out, settings, protocol.step_name, protocol.steps)
    missing = [name for name in dataset.names if not results.has_case(name)]
    failures: dict[str, str] = {}
    with Progress("evaluation", len(missing), "cases") as progress:
        # in random order, so that processes that share the folder seldom work on the same case
        for name in random.sample(missing, len(missing)):
            reason = evaluate_missing(segmenter, dataset, name, protocol, results, keep_masks)
            if reason is not None:
                failures[name] = reason
            progress.update()
            logger.info(progress.describe())  # for where stderr is no terminal: predictions inside keep it quiet
    return finish(results, dataset, failures)


def evaluate_missing(
    segmenter: Segmenter, dataset: Dataset, name: str, protocol: EvaluationProtocol, results: Results, keep_masks: bool
) -> str | None:
    """Evaluates a case unless another process has completed it meanwhile; gives the reason where it cannot be."""
    if results.has_case(name):
        return None
    try:
        scores = _evaluate(segmenter, dataset, name, protocol, results, keep_masks)
    except LesionClickError as error:
        logger.error("%s is left out: %s", name, error)
        return str(error)
    except Exception as error:  # a fault of the program, which should not cost the other cases
        logger.exception("%s is left out because of an unexpected error", name)
        return f"{type(error).__name__}: {describe_error(error)}"
    results.write_case(scores)
    return None


def finish(results: Results, dataset: Dataset, failures: Mapping[str, str]) -> dict[str, str]:
    """Makes tables and figures from all that a folder of results holds.

    Args:
        results: the folder.
        dataset: the cases.
        failures: those that could not be evaluated by this process, with the reason.

    Returns:
        Those of them that no other process has completed.

    Raises:
        CaseError: no case could be evaluated, or a file cannot be written.
    """
    left = {name: failures[name] for name in dataset.names if name in failures and not results.has_case(name)}
    if len(left) == len(dataset.names):
        name, reason = next(iter(left.items()))
        raise CaseError(f"{dataset.folder}: none of its cases can be evaluated ({len(left)}); of {name}: {reason}")
    write_report(results, dataset, left)
    return left


def _evaluate(
    segmenter: Segmenter, dataset: Dataset, name: str, protocol: EvaluationProtocol, results: Results, keep_masks: bool
) -> list[CaseScore]:
    """The scores of a case at all steps; stores the mask of the last step, or of each."""
    labelled_case = dataset.read(name)
    scores = []
    for result in evaluate_case(segmenter, labelled_case, protocol):
        scores.append(result.score)
        step = result.score.step
        logger.info("%s, %s %d: Dice %.3f", name, protocol.step_name, step, result.score.dice)
        if keep_masks or step == protocol.steps[-1]:
            results.write_step(name, step, result.mask_zyx, result.clicks, labelled_case.case.geometry)
    return scores


def describe_settings(segmenter: Segmenter, dataset: Dataset, protocol: EvaluationProtocol) -> dict[str, Any]:
    """All that decides the scores in a folder of results, as it comes back from JSON."""
    return {
        "dataset": dataset.folder.resolve().name,
        "cases": list(dataset.names),
        **segmenter.describe(),
        "interaction": protocol.reader.interaction.value,
        **protocol.reader.describe(),
        "steps": list(protocol.steps),
        "seed": protocol.seed,
    }
