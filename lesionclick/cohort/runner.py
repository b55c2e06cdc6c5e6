"""Runner of a cohort: each case that is not done yet, here or on a cluster, and tables of all at the end."""

import contextlib
import logging
import re
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lesionclick.cluster.connection import Share, require_answer
from lesionclick.cluster.spread import Lost, spread
from lesionclick.cohort.case_list import read_case_list
from lesionclick.cohort.cases import CohortCase, cases_in
from lesionclick.cohort.manifest import Recipe, is_done
from lesionclick.cohort.out_folder import locked, require_replaceable
from lesionclick.cohort.tables import FAILED_TABLE, TABLES, write_failures, write_tables
from lesionclick.cohort.worker import CaseWorker, CohortTask, Outcome
from lesionclick.errors import CaseError
from lesionclick.files import require_apart
from lesionclick.log import Progress

logger = logging.getLogger(__name__)

THREADS = 16
"""That look for finished cases: shared storage answers many questions at a time as fast as one."""


@dataclass(frozen=True)
class CohortResult:
    """What became of a cohort.

    Attributes:
        cases: how many there are.
        done: how many of them were segmented now.
        failures: those without results, with the reason.
    """

    cases: int
    done: int
    failures: dict[str, str]

    @property
    def kept(self) -> int:
        """How many were done before."""
        return self.cases - self.done - len(self.failures)


def find_cases(inputs: Path) -> list[CohortCase]:
    """The cases of a folder or a list (.csv); none of their images is looked at.

    Raises:
        CaseError: there is none, or one has a name that is not fit for a folder or taken by another one.
    """
    inputs = inputs.absolute()
    is_list = inputs.is_file() and inputs.suffix.lower() == ".csv"
    cases = read_case_list(inputs) if is_list else cases_in(inputs)
    seen: set[str] = set()
    for case in cases:
        if not re.fullmatch(r"[^./\\\x00-\x1f][^/\\\x00-\x1f]{0,199}", case.name) or case.name in TABLES:
            raise CaseError(f"{inputs}: the name {case.name!r} is not fit for the folder of a case")
        if case.name in seen:
            raise CaseError(f"{inputs}: has the case {case.name!r} twice, expected a name of its own for each")
        seen.add(case.name)
    return cases


def run_cohort(
    inputs: Path, out: Path, model: Path, recipe: Callable[[], Recipe], share: Share | None = None
) -> CohortResult:
    """Segments all cases that have no results yet, or other ones than they would get now.

    Args:
        inputs: a folder of cases or a list of them.
        out: the folder of results, new or of an earlier start.
        model: the model's folder.
        recipe: gives what else decides the results; called once the cases are known, since the model is read for it.
        share: which cluster to work on, and with how much of it; None for this process alone.

    Raises:
        CaseError: the input or the folder cannot be used, or no case could be segmented.
        ModelError, DeviceError: the model cannot be used, or not here.
        ClusterError: the cluster cannot be used.
    """
    cases = find_cases(inputs)
    out, model = out.absolute(), model.absolute()
    require_apart({"the results": out}, {"the list or folder of cases": inputs, "the model": model})
    if share is not None:
        require_answer(share.address)
    wanted = recipe()
    with locked(out) as token:
        for case in cases:
            require_replaceable(out / case.name)
        task = CohortTask(out, token, model, wanted)
        write_failures(out, {})
        with ThreadPoolExecutor(THREADS) as threads:
            done = list(threads.map(lambda case: is_done(out / case.name, case, task.recipe), cases))
        missing = [case for case, has_results in zip(cases, done, strict=True) if not has_results]
        logger.info("%d cases, %d of them are done already", len(cases), len(cases) - len(missing))
        computed, failures = _run_all(missing, partial(CaseWorker, task), out, share)
        write_tables(out, cases, failures)
    if len(failures) == len(cases):
        name, reason = next(iter(failures.items()))
        raise CaseError(f"{out / FAILED_TABLE}: every case failed ({len(cases)}); {name}: {reason}")
    return CohortResult(len(cases), computed, failures)


def _run_all(
    cases: Sequence[CohortCase], make_worker: Callable[[], CaseWorker], out: Path, share: Share | None
) -> tuple[int, dict[str, str]]:
    """How many cases were computed, and which failed why."""
    computed = 0
    failures: dict[str, str] = {}
    if not cases:
        return computed, failures
    # closed at once where the loop is left, so that workers end before anything else
    with CohortProgress(len(cases)) as progress, contextlib.closing(_outcomes(cases, make_worker, share)) as outcomes:
        for case, outcome in outcomes:
            if isinstance(outcome, Lost):
                outcome = Outcome(outcome.reason)
            if outcome.stops_all:
                raise CaseError(f"stopped at {case.name}: {outcome.failure}")
            if outcome.failure is not None:
                logger.error("%s failed: %s", case.name, outcome.failure)
                failures[case.name] = outcome.failure
                write_failures(out, failures)
            elif outcome.is_new:
                computed += 1
                logger.info("%s is done", case.name)
            else:
                logger.info("%s was done already, from the same bytes", case.name)
            progress.update()
            logger.info(progress.describe())
    return computed, failures


def _outcomes(
    cases: Sequence[CohortCase], make_worker: Callable[[], CaseWorker], share: Share | None
) -> Generator[tuple[CohortCase, Outcome | Lost]]:
    if share is not None:
        yield from spread(make_worker, cases, share)
        return
    worker = make_worker()
    worker.prepare()
    for case in cases:
        yield case, worker.run(case)


class CohortProgress(Progress):
    """Progress that also says how long the rest will take, by the pace since the first case was done."""

    def __init__(self, total: int) -> None:
        """Cases of which none is done."""
        super().__init__("cohort", total, "cases")
        self._first = 0.0

    def update(self, count: int = 1) -> None:
        """Says that more cases are done."""
        super().update(count)
        self._first = self._first or time.monotonic()  # before it, workers load networks

    def describe(self) -> str:
        """How far it is, in words."""
        text = super().describe()
        if 1 < self.done < self.total:
            rest = (time.monotonic() - self._first) * (self.total - self.done) / (self.done - 1)
            text += f", about {_duration(rest)} to go"
        return text


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{seconds:.0f} s" if seconds < 100 else f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
