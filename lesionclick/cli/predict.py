"""The command `lesionclick predict`: one case in, its lesion mask out."""

import dataclasses
import logging
import time
from pathlib import Path
from typing import Annotated

import typer

import lesionclick
from lesionclick import log
from lesionclick.cli.options import (
    BackendOption,
    ComponentFloorOption,
    DeviceOption,
    FieldOfViewOption,
    LesionFreeGateOption,
    MirroringOption,
    ModelOption,
    NetworksOption,
    ObeyClicksOption,
    PrecisionOption,
)
from lesionclick.inference.backend import Backend, Precision
from lesionclick.inference.settings import DEFAULT_SETTINGS, InferenceSettings, PostProcessing

logger = logging.getLogger(__name__)

RESERVE_SECONDS = 10.0
"""Kept free at the end of a time limit, beside as long again as everything before the networks took, which is about
what resampling and writing the mask take."""


def predict_command(
    case_folder: Annotated[
        Path,
        typer.Option("--input", envvar="LESIONCLICK_INPUT", help="Folder of the case in Grand Challenge layout."),
    ],
    output: Annotated[
        Path, typer.Option(envvar="LESIONCLICK_OUTPUT", help="Folder to write the mask to, in the same layout.")
    ],
    model: ModelOption,
    device: DeviceOption = "auto",
    backend: BackendOption = Backend.auto,
    precision: PrecisionOption = Precision.auto,
    field_of_view: FieldOfViewOption = DEFAULT_SETTINGS.field_of_view,
    mirroring: MirroringOption = DEFAULT_SETTINGS.mirroring,
    networks: NetworksOption = DEFAULT_SETTINGS.networks,
    lesion_free_gate: LesionFreeGateOption = 0.0,
    component_floor: ComponentFloorOption = 0.0,
    obey_clicks: ObeyClicksOption = False,
    clicks: Annotated[
        bool,
        typer.Option(
            "--clicks/--no-clicks", envvar="LESIONCLICK_CLICKS", help="Whether to go by the clicks of the case."
        ),
    ] = True,
    time_limit: Annotated[
        float | None,
        typer.Option(
            envvar="LESIONCLICK_TIME_LIMIT",
            min=0,
            help="Seconds that the whole run may take; mirrorings, then networks are left out to keep it.",
        ),
    ] = None,
    probabilities: Annotated[
        Path | None,
        typer.Option(
            envvar="LESIONCLICK_PROBABILITIES", help="File to write the probability of a lesion to as well, .npz."
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            envvar="LESIONCLICK_REPORT",
            help="File to write warnings, model, settings and seconds to as well, .json; warnings are also logged.",
        ),
    ] = None,
) -> None:
    """Segments a case: CT, PET and clicks in, lesion mask out."""
    from lesionclick.case.case import MASK_FOLDER, Case, case_files, mask_path
    from lesionclick.case.images import write_mask, write_probabilities
    from lesionclick.checks.plausibility import check_result, run_checks
    from lesionclick.cli.loading import load_ensemble
    from lesionclick.files import require_apart, require_writable, write_json

    others = {"the file of probabilities": probabilities, "the report": report}
    outputs = {"the mask": output / MASK_FOLDER, **{name: path for name, path in others.items() if path is not None}}
    require_apart(outputs, case_files(case_folder))
    with log.stage("reading the case"):
        case = Case.read(case_folder)
    target = mask_path(case, output)
    for path in (target, *list(outputs.values())[1:]):
        require_writable(path)
    ensemble = load_ensemble(model, device, backend, precision)
    logger.info("case: %s, %s voxels, %d clicks", case.name, case.geometry.size, len(case.clicks))
    if not clicks:
        case = dataclasses.replace(case, clicks=())
    spacing_zyx, expects_clicks = ensemble.model.preprocessing.spacing_zyx, ensemble.takes_clicks and clicks
    warnings = run_checks(case, None, spacing_zyx, model_takes_clicks=expects_clicks)
    for warning in warnings:
        logger.warning(warning.sentence)

    post_processing = PostProcessing(lesion_free_gate, component_floor, obey_clicks)
    settings = InferenceSettings(field_of_view, mirroring, networks, post_processing)
    from lesionclick.session.session import Session  # torch takes seconds to load, and is loaded by now

    session = Session(ensemble, case, settings, tile_cache_bytes=0)
    seconds_before_inference = time.monotonic() - log.STARTED
    deadline = None
    if time_limit is not None:
        deadline = log.STARTED + time_limit - seconds_before_inference - RESERVE_SECONDS
    prediction = session.predict(deadline=deadline)
    with log.stage("writing"):
        if probabilities is not None:
            write_probabilities(prediction.probability, probabilities)
        write_mask(prediction.mask, case.geometry, target)
    of_mask = check_result(case, prediction.mask, warnings)
    for warning in of_mask:
        logger.warning(warning.sentence)
    taken = time.monotonic() - log.STARTED
    if time_limit is not None and taken > time_limit:
        logger.warning("time limit: %.1f s were too short, this took %.1f s", time_limit, taken)
    if report is not None:
        record = {
            "version": lesionclick.__version__,
            "case": case.name,
            "mask": str(target),
            "model": {
                "path": str(model),
                "folds": len(ensemble.model.folds),
                "description": ensemble.model.description,
            },
            "engine": str(ensemble.engine),
            "settings": dataclasses.asdict(settings) | {"clicks": len(case.clicks), "time_limit": time_limit},
            "checks": [warning.to_json() for warning in warnings + of_mask],
            "seconds": round(taken, 1),
        }
        write_json(record, report)
    typer.echo(target)
