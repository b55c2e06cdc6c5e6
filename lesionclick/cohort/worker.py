"""Worker of a cohort: the networks loaded once, and one case after the other, here or on a cluster."""

import dataclasses
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lesionclick.case.images import write_mask
from lesionclick.checks.plausibility import check_result, run_checks
from lesionclick.cohort.cases import CohortCase
from lesionclick.cohort.manifest import (
    CSV_FILE,
    JSON_FILE,
    MASK_FILE,
    Recipe,
    describe_machine,
    read_manifest,
    write_manifest,
)
from lesionclick.cohort.out_folder import case_folder, require_same_folder
from lesionclick.dicom.study import Study
from lesionclick.errors import CaseError, LesionClickError, ModelError
from lesionclick.files import describe_error
from lesionclick.report import lesion_files
from lesionclick.report.measurements import measure_lesions

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CohortTask:
    """What is to be done with each case; paths are those of every machine.

    Attributes:
        out: the folder of results.
        token: of that folder, see `out_folder.locked`.
        model: the model's folder.
        recipe: all else.
    """

    out: Path
    token: str
    model: Path
    recipe: Recipe


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Attributes:
        failure: why there are no results, in a sentence; None where there are.
        is_new: whether they were computed now; else they were there already.
        stops_all: whether no other case could fare better, as on a full disk.
    """

    failure: str | None = None
    is_new: bool = False
    stops_all: bool = False


class CaseWorker:
    """Segments cases; see `cluster.spread.Worker`."""

    def __init__(self, task: CohortTask) -> None:
        """A worker that has loaded nothing yet."""
        self._task = task

    def prepare(self) -> None:
        """Loads the networks.

        Raises:
            CaseError: this machine does not see the folder of results.
            ModelError: its model is another one, or cannot be used.
            DeviceError: it lacks the device.
        """
        from lesionclick.inference.ensemble import Ensemble  # torch takes seconds to load
        from lesionclick.model.check import fingerprint

        task, recipe = self._task, self._task.recipe
        require_same_folder(task.out, task.token)
        self._ensemble = Ensemble.load(task.model, recipe.device, backend=recipe.backend, precision=recipe.precision)
        if fingerprint(self._ensemble.model) != recipe.model_sha256:
            raise ModelError(f"{task.model}: is another model than where the cohort was started")

    def run(self, case: CohortCase) -> Outcome:
        """Segments a case and writes its results, unless they are there already; whatever fails is in the outcome."""
        try:
            return self._run(case)
        except LesionClickError as error:
            return Outcome(str(error))
        except Exception as error:  # a fault of the program, which should not cost the other cases
            logger.exception("%s: an unexpected error", case.name)
            return Outcome(f"{type(error).__name__}: {describe_error(error)}")

    def _run(self, case: CohortCase) -> Outcome:
        from lesionclick.session.session import Session

        started = time.monotonic()
        recipe, folder = self._task.recipe, self._task.out / case.name
        stamp, made_of = case.stamp(), recipe.made_of(case.digest())
        former = read_manifest(folder)
        if former is not None and former["made_of"] == made_of:  # the same bytes, moved or touched since
            write_manifest(folder, made_of, stamp, former["record"])
            return Outcome()
        ensemble = self._ensemble
        study = case.open(with_clicks=recipe.with_clicks)
        opened = dataclasses.replace(study.case, name=case.name)
        if not recipe.with_clicks:
            opened = dataclasses.replace(opened, clicks=())
        expects_clicks = ensemble.takes_clicks and recipe.with_clicks
        warnings = run_checks(opened, None, ensemble.model.preprocessing.spacing_zyx, model_takes_clicks=expects_clicks)
        mask_zyx = Session(ensemble, opened, recipe.settings, tile_cache_bytes=0).predict().mask
        warnings = warnings + check_result(opened, mask_zyx, warnings)
        table = measure_lesions(mask_zyx, opened.pet_zyx, opened.geometry)
        record: dict[str, Any] = {
            **_describe(case, study),
            "model": {"path": str(self._task.model), "description": ensemble.model.description},
            "clicks": [dataclasses.asdict(click) for click in opened.clicks],
            "warnings": [warning.to_json() for warning in warnings],
        }
        try:
            with case_folder(self._task.out, case.name) as new:
                write_mask(mask_zyx, opened.geometry, new / MASK_FILE)
                lesion_files.write_csv(table, new / CSV_FILE)
                lesion_files.write_json(table, new / JSON_FILE)
                machine = describe_machine(str(ensemble.engine), time.monotonic() - started)
                write_manifest(new, made_of, stamp, record | machine)
        except CaseError as error:
            return Outcome(str(error), stops_all=True)
        return Outcome(is_new=True)


def _describe(case: CohortCase, study: Study) -> dict[str, Any]:
    return {
        "input": [str(path) for path in case.named],
        "found": study.found,
        "notes": list(study.warnings),
        "suv": study.suv,
    }
