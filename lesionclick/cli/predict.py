"""The command `lesionclick predict`: one case in, its lesion mask out."""

import logging
import time
from pathlib import Path
from typing import Annotated

import typer

from lesionclick import log
from lesionclick.case.case import Case, mask_path
from lesionclick.case.images import write_mask, write_probabilities
from lesionclick.cli.options import (
    BackendOption,
    DeviceOption,
    FieldOfViewOption,
    MirroringOption,
    ModelOption,
    NetworksOption,
    PrecisionOption,
)
from lesionclick.files import require_writable
from lesionclick.inference.backend import Backend, Precision
from lesionclick.inference.ensemble import Ensemble
from lesionclick.inference.settings import FieldOfView, InferenceSettings, Mirroring, Networks
from lesionclick.log import stage
from lesionclick.session.session import Session

logger = logging.getLogger(__name__)

# Kept free at the end of a time limit, beside as long again as everything before the networks took, which is about
# what the way back to a written mask takes.
RESERVE_SECONDS = 10.0


def predict_command(
    input: Annotated[Path, typer.Option(envvar="LESIONCLICK_INPUT", help="The case, in Grand Challenge layout.")],
    output: Annotated[Path, typer.Option(envvar="LESIONCLICK_OUTPUT", help="Where the mask goes, same layout.")],
    model: ModelOption,
    device: DeviceOption = "auto",
    backend: BackendOption = Backend.auto,
    precision: PrecisionOption = Precision.auto,
    field_of_view: FieldOfViewOption = FieldOfView.body,
    mirroring: MirroringOption = Mirroring.none,
    networks: NetworksOption = Networks.all,
    clicks: Annotated[bool, typer.Option(envvar="LESIONCLICK_CLICKS", help="Go by the case's clicks.")] = True,
    time_limit: Annotated[
        float | None,
        typer.Option(envvar="LESIONCLICK_TIME_LIMIT", min=0, help="Seconds; leaves out mirrorings, then networks."),
    ] = None,
    probabilities: Annotated[
        Path | None, typer.Option(envvar="LESIONCLICK_PROBABILITIES", help="Also store the lesion probability, .npz.")
    ] = None,
) -> None:
    """Segments a case: CT, PET and clicks in, lesion mask out."""
    with stage("reading the case"):
        case = Case.read(input)
    target = mask_path(case, output)
    for path in (target, probabilities):
        if path is not None:
            require_writable(path)
    with stage("checking the model"):
        ensemble = Ensemble.load(model, device, backend=backend, precision=precision)
    logger.info("model: %s, %d networks, on %s", model, len(ensemble.model.folds), ensemble.engine)
    if ensemble.model.description:
        logger.warning("model: %s", ensemble.model.description)
    logger.info("case: %s, %s voxels, %d clicks", case.name, case.geometry.size, len(case.clicks))

    session = Session(ensemble, case, InferenceSettings(field_of_view, mirroring, networks), tile_cache_bytes=0)
    way_in = time.monotonic() - log.STARTED
    deadline = None if time_limit is None else log.STARTED + time_limit - way_in - RESERVE_SECONDS
    prediction = session.predict(None if clicks else (), deadline=deadline)
    with stage("writing"):
        if probabilities is not None:
            write_probabilities(prediction.probability, probabilities)
        write_mask(prediction.mask, case.geometry, target)
    taken = time.monotonic() - log.STARTED
    if time_limit is not None and taken > time_limit:
        logger.warning("time limit: %.1f s were too short, this took %.1f s", time_limit, taken)
    typer.echo(target)
