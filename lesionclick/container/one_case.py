"""One case: from the platform's input folder to the mask in the output folder, with all that is said on the way."""

import dataclasses
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import lesionclick
from lesionclick import log
from lesionclick.case.case import MASK_FOLDER, Case, case_files, mask_path
from lesionclick.case.images import write_mask, write_probabilities
from lesionclick.checks.plausibility import check_result, run_checks
from lesionclick.files import require_apart, require_writable, write_json
from lesionclick.inference.settings import DEFAULT_SETTINGS, InferenceSettings

if TYPE_CHECKING:
    from lesionclick.inference.ensemble import Ensemble

logger = logging.getLogger(__name__)

RESERVE_SECONDS = 10.0
"""Kept free at the end of a time limit, beside as long again as everything before the networks took, which is about
what resampling and writing the mask take."""


@dataclass(frozen=True)
class CaseTask:
    """What is to be done with a case; the same for each where one process works on several.

    Attributes:
        case_folder: the case in Grand Challenge layout.
        output: folder to write the mask to, in the same layout.
        settings: of inference.
        with_clicks: whether to go by the case's clicks.
        time_limit: seconds that a case may take; None for no limit.
        probabilities: file to write the probability of a lesion to as well.
        report: file to write warnings, model, settings and seconds to as well.
        state: folder that keeps what the next call with the same images need not compute again; None for none.
    """

    case_folder: Path
    output: Path
    settings: InferenceSettings = DEFAULT_SETTINGS
    with_clicks: bool = True
    time_limit: float | None = None
    probabilities: Path | None = None
    report: Path | None = None
    state: Path | None = None


def process_case(task: CaseTask, load: "Callable[[], Ensemble]", started: float) -> Path:
    """Segments a case; either everything that was asked for is written, or nothing.

    Args:
        task: what to do.
        load: gives the networks; called once the case has been read and there is a place for its mask.
        started: when the time limit began, on time.monotonic.

    Returns:
        The mask's path.

    Raises:
        CaseError: the case is not as it has to be, or a file cannot be written.
        ModelError, DeviceError: see `Ensemble.load` and `Ensemble.predict_logits`.
    """
    others = {"the file of probabilities": task.probabilities, "the report": task.report}
    outputs = {
        "the mask": task.output / MASK_FOLDER,
        **{name: path for name, path in others.items() if path is not None},
    }
    require_apart(outputs, case_files(task.case_folder))
    with log.stage("reading the case"):
        case = Case.read(task.case_folder)
    target = mask_path(case, task.output)
    for path in (target, *list(outputs.values())[1:]):
        require_writable(path)
    ensemble = load()
    logger.info("case: %s, %s voxels, %d clicks", case.name, case.geometry.size, len(case.clicks))
    if not task.with_clicks:
        case = dataclasses.replace(case, clicks=())
    spacing_zyx, expects_clicks = ensemble.model.preprocessing.spacing_zyx, ensemble.takes_clicks and task.with_clicks
    warnings = run_checks(case, None, spacing_zyx, model_takes_clicks=expects_clicks)
    for warning in warnings:
        logger.warning(warning.sentence)

    from lesionclick.container.state import open_session, save_session  # torch takes seconds to load, and is by now

    is_limited = task.time_limit is not None
    session = open_session(ensemble, case, task.settings, task.state, is_limited=is_limited)
    deadline = None
    if task.time_limit is not None:
        seconds_before_inference = time.monotonic() - started
        deadline = started + task.time_limit - seconds_before_inference - RESERVE_SECONDS
    prediction = session.predict(deadline=deadline)
    with _all_or_none() as written:
        with log.stage("writing"):
            if task.probabilities is not None:
                write_probabilities(prediction.probability, task.probabilities)
                written.append(task.probabilities)
            write_mask(prediction.mask, case.geometry, target)
            written.append(target)
        of_mask = check_result(case, prediction.mask, warnings)
        for warning in of_mask:
            logger.warning(warning.sentence)
        taken = time.monotonic() - started
        is_late = task.time_limit is not None and taken > task.time_limit
        if is_late:
            logger.warning("time limit: %.1f s were too short, this took %.1f s", task.time_limit, taken)
        if task.report is not None:
            settings = dataclasses.asdict(task.settings)
            model = ensemble.model
            record = {
                "version": lesionclick.__version__,
                "case": case.name,
                "mask": str(target),
                "model": {"path": str(model.path), "folds": len(model.folds), "description": model.description},
                "engine": str(ensemble.engine),
                "settings": settings | {"clicks": len(case.clicks), "time_limit": task.time_limit},
                "warnings": [warning.to_json() for warning in warnings + of_mask],
                "seconds": round(taken, 1),
            }
            write_json(record, task.report)
    if task.state is not None and not is_late:
        save_session(session, task.state)
    return target


@contextmanager
def _all_or_none() -> Iterator[list[Path]]:
    """Yields a list of files that are removed again where the block fails."""
    written: list[Path] = []
    try:
        yield written
    except BaseException:
        for path in written:
            with suppress(OSError):
                path.unlink()
        raise
