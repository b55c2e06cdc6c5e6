"""An ensemble evaluated on a dataset, step by step: more clicks, or round after round of corrections.

A folder of results holds settings.json (what must agree to go on), cases.csv (a line a case and step, written when a
case is complete), summary.json, summary.md, curve.png, worst.png, worst/ (masks and clicks of the worst cases at the
last step) and, where asked for, masks/.
"""

import dataclasses
import json
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import AcquireReturnProxy, FileLock, Timeout
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from lesionclick.case.clicks import Click, read_clicks, write_clicks
from lesionclick.case.dataset import Dataset, Truth, tracer_of
from lesionclick.case.images import read_mask, write_mask
from lesionclick.errors import CaseError, LesionClickError
from lesionclick.evaluation.metrics import evaluate
from lesionclick.evaluation.protocol import Protocol
from lesionclick.evaluation.report import write_summary
from lesionclick.evaluation.table import ROWS_FILE, Row, Table
from lesionclick.files import replacing
from lesionclick.inference.ensemble import Ensemble
from lesionclick.model.pack import fingerprint
from lesionclick.session.session import Session
from lesionclick.simulation.corrections import Interaction

logger = logging.getLogger(__name__)

SETTINGS_FILE = Path("settings.json")

LOCK_FILE = Path(".lock")

MASKS_FOLDER = Path("masks")

WORST_FOLDER = Path("worst")

WORST_COUNT = 3

CURVE_FILE, WORST_FILE = Path("curve.png"), Path("worst.png")


@dataclass(frozen=True, eq=False)
class Step:
    """One case at one step: its scores, the clicks shown to the networks, and the mask."""

    row: Row
    clicks: tuple[Click, ...]
    mask: np.ndarray


def evaluate_case(ensemble: Ensemble, truth: Truth, protocol: Protocol) -> Iterator[Step]:
    """Predicts a case at each step and compares with its truth; where no click is new the mask stays as it is.

    Raises:
        ModelError, DeviceError: see `Session.predict`.
    """
    session = Session(ensemble, truth.case, protocol.inference)
    clicks: tuple[Click, ...] = ()
    mask: np.ndarray | None = None
    for step in protocol.steps:
        before = clicks
        clicks = protocol.clicks(step, truth, before, mask) if ensemble.takes_clicks else ()
        if mask is None or clicks != before:
            mask = session.predict(clicks).mask
        yield Step(_score(truth, protocol, step, clicks, mask), clicks, mask)


def _score(truth: Truth, protocol: Protocol, step: int, clicks: tuple[Click, ...], mask: np.ndarray) -> Row:
    metrics = evaluate(mask, truth.lesion_zyx, truth.case.geometry.spacing_zyx)
    source = protocol.interaction.value
    if protocol.interaction == Interaction.official and truth.simulated:
        source = "simulated"
    tumor_points = sum(click.label == "tumor" for click in clicks)
    return Row(
        truth.case.name,
        tracer_of(truth.case.name),
        step,
        source,
        tumor_points,
        len(clicks) - tumor_points,
        round(metrics.dice, 6),
        round(metrics.false_positive_volume, 6),
        round(metrics.false_negative_volume, 6),
        metrics.detection.true_positives,
        metrics.detection.false_positives,
        metrics.detection.false_negatives,
        round(metrics.detection.f1, 6),
    )


def evaluate_dataset(
    ensemble: Ensemble, dataset: Dataset, protocol: Protocol, out: Path, *, keep_masks: bool = False
) -> dict[str, str]:
    """Evaluates the cases that a folder of results does not hold yet, and writes its tables and figures.

    Args:
        ensemble: the networks.
        dataset: the cases.
        protocol: what is asked of the networks.
        out: the folder of results, new or begun with the same settings.
        keep_masks: whether each step's mask is stored, as masks/<case>/<clicks or round>-<step>.mha.

    Returns:
        The cases that failed, with the sentence that says why.

    Raises:
        CaseError: the folder was begun with other settings, cannot be written or is written by another process, or no
            case could be evaluated.
    """
    settings = _settings(ensemble, dataset, protocol, keep_masks)
    with _claim(out):
        return _evaluate_rest(ensemble, dataset, protocol, out, settings)


def _evaluate_rest(
    ensemble: Ensemble, dataset: Dataset, protocol: Protocol, out: Path, settings: Mapping[str, Any]
) -> dict[str, str]:
    table = _begin(settings, protocol, out)
    done = set(table.cases)
    failures: dict[str, str] = {}
    with logging_redirect_tqdm([logging.getLogger("lesionclick")]):
        for name in tqdm(dataset.names, unit="case", disable=None):
            if name in done:
                continue
            try:
                truth = dataset.read(name, budget=protocol.budget, seed=protocol.seed)
                rows = []
                for step in evaluate_case(ensemble, truth, protocol):
                    rows.append(step.row)
                    logger.info("%s, %s %d: Dice %.3f", name, protocol.step_name, step.row.step, step.row.dice)
                    if settings["keep_masks"]:
                        file = f"{protocol.step_name}-{step.row.step:02d}.mha"
                        write_mask(step.mask, truth.case.geometry, out / MASKS_FOLDER / name / file)
            except LesionClickError as error:
                logger.error("%s is left out: %s", name, error)
                failures[name] = str(error)
                continue
            table = Table(table.step_name, (*table.rows, *rows)).select(dataset.names)
            if name in worst_cases(table):
                _keep_last(truth, step, out / WORST_FOLDER)
            table.write(out / ROWS_FILE)
            _forget_others(worst_cases(table), out / WORST_FOLDER)
    if not table.rows:
        name, reason = next(iter(failures.items()))
        raise CaseError(f"{dataset.folder}: none of its cases can be evaluated ({len(failures)}); of {name}: {reason}")
    write_summary(table, settings, failures, out)
    _draw(dataset, table, out)
    return failures


def _claim(out: Path) -> AcquireReturnProxy:
    """Keeps other processes off a folder of results while entered: each would write tables without the other's."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        return FileLock(out / LOCK_FILE).acquire(blocking=False)
    except Timeout as error:
        raise CaseError(f"{out}: another process is evaluating into this folder, expected one at a time") from error
    except OSError as error:
        raise CaseError(f"{out}: cannot be written: {error.strerror or error}") from error


def _settings(ensemble: Ensemble, dataset: Dataset, protocol: Protocol, keep_masks: bool) -> dict[str, Any]:
    """All that decides what is in a folder of results, as it comes back from JSON."""
    engine = ensemble.engine
    return {
        "dataset": dataset.folder.resolve().name,
        "cases": list(dataset.names),
        "model": ensemble.model.path.resolve().name,
        "model_sha256": fingerprint(ensemble.model),
        "engine": f"{engine.device.type}, {engine.backend}, {engine.precision}",
        "interaction": protocol.interaction.value,
        "scribble": protocol.scribble.value if protocol.interaction == Interaction.scribbles else None,
        "steps": list(protocol.steps),
        **dataclasses.asdict(protocol.inference),
        "seed": protocol.seed,
        "keep_masks": keep_masks,
    }


def _begin(settings: Mapping[str, Any], protocol: Protocol, out: Path) -> Table:
    """Makes a folder of results, or reads what one holds already if its settings are the same."""
    path = out / SETTINGS_FILE
    if not path.exists():
        if (out / ROWS_FILE).exists():
            raise CaseError(f"{path}: the file is missing beside {ROWS_FILE}, expected both or neither")
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(settings, indent=1) + "\n")
    try:
        stored = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CaseError(f"{path}: cannot be read as settings: {error}") from error
    for name, value in settings.items():
        if not isinstance(stored, dict) or stored.get(name) != value:
            raise CaseError(
                f"{path}: the evaluation there was begun with another '{name}', expected the same settings or another "
                "folder"
            )
    rows = out / ROWS_FILE
    return Table.read(rows) if rows.exists() else Table(protocol.step_name, ())


def worst_cases(table: Table) -> tuple[str, ...]:
    """The cases of least Dice at the last step, the worst first; those without true lesions come last, by FPvol."""
    last = [row for row in table.rows if row.step == table.steps[-1]]
    last.sort(key=lambda row: (math.inf if math.isnan(row.dice) else row.dice, -row.false_positive_ml, row.case))
    return tuple(row.case for row in last[:WORST_COUNT])


def _keep_last(truth: Truth, step: Step, folder: Path) -> None:
    """Stores a case's last mask and clicks for the figure of the worst cases."""
    name = truth.case.name
    write_mask(step.mask, truth.case.geometry, folder / f"{name}.mha")
    with replacing(folder / f"{name}.json") as temporary:
        write_clicks(step.clicks, temporary)


def _forget_others(worst: Sequence[str], folder: Path) -> None:
    for path in folder.iterdir():
        if path.stem not in worst:
            path.unlink()


def _draw(dataset: Dataset, table: Table, out: Path) -> None:
    from lesionclick.evaluation import figures

    figures.draw_curves(table, out / CURVE_FILE)
    cases = []
    for name in worst_cases(table):
        truth = dataset.read(name)
        case = truth.case
        clicks = read_clicks(out / WORST_FOLDER / f"{name}.json", case.geometry.shape_zyx)
        mask = read_mask(out / WORST_FOLDER / f"{name}.mha", case.geometry)
        dice = next(row.dice for row in reversed(table.rows) if row.case == name)
        cases.append(figures.Worst(truth, mask, clicks, dice))
    figures.draw_worst(cases, out / WORST_FILE)
