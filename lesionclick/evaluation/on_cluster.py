"""On a cluster: an evaluation whose cases are spread over many machines, into one folder on shared storage."""

import contextlib
import dataclasses
import logging
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lesionclick.case.dataset import Dataset
from lesionclick.cluster.connection import Share, require_answer
from lesionclick.cluster.spread import Lost, spread
from lesionclick.errors import CaseError
from lesionclick.evaluation.protocol import EvaluationProtocol
from lesionclick.evaluation.results import SETTINGS_FILE, Results, open_results
from lesionclick.evaluation.runner import describe_settings, evaluate_missing, finish
from lesionclick.evaluation.segmenters import Segmenter
from lesionclick.files import read_json_object, replacing
from lesionclick.log import Progress

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluationTask:
    """What is to be done with each case; paths are those of every machine.

    Attributes:
        make_segmenter: loads what is evaluated; pickled.
        dataset: the cases.
        protocol: what is asked in each.
        out: the folder of results.
        keep_masks: whether the mask of each step is stored.
        marker: a file in `out`, by which a worker knows that it sees this folder.
    """

    make_segmenter: Callable[[], Segmenter]
    dataset: Dataset
    protocol: EvaluationProtocol
    out: Path
    keep_masks: bool
    marker: Path


class EvaluationWorker:
    """Evaluates cases; see `cluster.spread.Worker`."""

    def __init__(self, task: EvaluationTask) -> None:
        """A worker that has loaded nothing yet."""
        self._task = task

    def prepare(self) -> None:
        """Loads what is evaluated, and opens the folder of results.

        Raises:
            CaseError: this machine does not see the folder, or would compute in another way than those before it.
            ModelError, DeviceError: the model cannot be used here.
        """
        task = self._task
        if not task.marker.exists():
            raise CaseError(f"{task.out}: is not the folder of results, expected shared storage at one path")
        self._segmenter = task.make_segmenter()
        settings = {**describe_settings(self._segmenter, task.dataset, task.protocol), "keep_masks": task.keep_masks}
        self._results = open_results(task.out, settings, task.protocol.step_name, task.protocol.steps)

    def run(self, name: str) -> str | None:
        """Evaluates a case that is not complete yet; gives the reason where it cannot be."""
        task = self._task
        return evaluate_missing(self._segmenter, task.dataset, name, task.protocol, self._results, task.keep_masks)


def evaluate_on_cluster(
    make_segmenter: Callable[[], Segmenter],
    dataset: Dataset,
    protocol: EvaluationProtocol,
    out: Path,
    share: Share,
    *,
    keep_masks: bool = False,
) -> dict[str, str]:
    """Does what `evaluate_dataset` does, on a cluster; its tables are the same byte for byte.

    Args:
        make_segmenter: loads what is evaluated, on each worker.
        dataset: the cases.
        protocol: what is asked in each.
        out: the folder of results, on storage that all workers share.
        share: where to work.
        keep_masks: whether the mask of each step is stored.

    Returns:
        The cases that failed, with the reason.

    Raises:
        CaseError: see `evaluate_dataset`.
        ClusterError: see `cluster.spread.spread`.
    """
    require_answer(share.address)
    given, dataset = dataset.folder, dataclasses.replace(dataset, folder=dataset.folder.absolute())
    # the settings are the workers', since they decide how networks compute; one looks at them even if nothing is left
    seen = Results(out, {}, protocol.step_name, protocol.steps)
    names = [name for name in dataset.names if not seen.has_case(name)] or dataset.names[:1]
    failures: dict[str, str] = {}
    with _marked(out.absolute()) as marker:
        task = EvaluationTask(make_segmenter, dataset, protocol, marker.parent, keep_masks, marker)
        outcomes = spread(partial(EvaluationWorker, task), names, share)
        with Progress("evaluation", len(names), "cases") as progress, contextlib.closing(outcomes):
            for name, outcome in outcomes:
                reason = outcome.reason if isinstance(outcome, Lost) else outcome
                if reason is not None:
                    failures[name] = reason.replace(str(dataset.folder), str(given))
                    logger.error("%s is left out: %s", name, failures[name])
                progress.update()
                logger.info(progress.describe())
    results = dataclasses.replace(seen, settings=read_json_object(out / SETTINGS_FILE, CaseError))
    return finish(results, dataset, failures)


@contextlib.contextmanager
def _marked(folder: Path) -> Iterator[Path]:
    """A file in a folder for as long as the block runs."""
    marker = folder / f".evaluation-{secrets.token_hex(8)}"
    with replacing(marker) as temporary:
        temporary.touch()
    try:
        yield marker
    finally:
        marker.unlink(missing_ok=True)
