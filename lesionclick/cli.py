"""The command line: `lesionclick predict | overview | evaluate | compare | pack | check`."""

import logging
import math
import sys
import time
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from lesionclick import log
from lesionclick.case import (
    TRUTH_FILE,
    Case,
    mask_path,
    read_mask,
    require_writable,
    write_mask,
    write_probabilities,
)
from lesionclick.engine import Backend, Precision
from lesionclick.ensemble import Ensemble
from lesionclick.errors import LesionClickError
from lesionclick.evaluate_cli import compare_command, evaluate_command
from lesionclick.log import stage
from lesionclick.metrics import components, evaluate
from lesionclick.options import (
    BackendOption,
    DeviceOption,
    FieldOfViewOption,
    MirroringOption,
    ModelOption,
    PrecisionOption,
)
from lesionclick.session import FieldOfView, Session
from lesionclick.weights import ModelFolder, describe, pack, verify

logger = logging.getLogger(__name__)

# Kept free at the end of a time limit, beside as long again as everything before the networks took, which is about
# what the way back to a written mask takes.
RESERVE_SECONDS = 10.0

app = typer.Typer(
    help="Promptable lesion segmentation in whole-body PET/CT.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class Dtype(StrEnum):
    """Number formats of packed weights, by torch's names."""

    float16 = "float16"
    bfloat16 = "bfloat16"
    float32 = "float32"


@app.command("predict")
def predict_command(
    input: Annotated[Path, typer.Option(envvar="LESIONCLICK_INPUT", help="The case, in Grand Challenge layout.")],
    output: Annotated[Path, typer.Option(envvar="LESIONCLICK_OUTPUT", help="Where the mask goes, same layout.")],
    model: ModelOption,
    device: DeviceOption = "auto",
    backend: BackendOption = Backend.auto,
    precision: PrecisionOption = Precision.auto,
    field_of_view: FieldOfViewOption = FieldOfView.body,
    mirroring: MirroringOption = True,
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

    session = Session(ensemble, case, field_of_view)
    way_in = time.monotonic() - log.STARTED
    deadline = None if time_limit is None else log.STARTED + time_limit - way_in - RESERVE_SECONDS
    prediction = session.predict(None if clicks else (), mirroring=mirroring, deadline=deadline)
    with stage("writing"):
        if probabilities is not None:
            write_probabilities(prediction.probability, probabilities)
        write_mask(prediction.mask, case.geometry, target)
    taken = time.monotonic() - log.STARTED
    if time_limit is not None and taken > time_limit:
        logger.warning("time limit: %.1f s were too short, this took %.1f s", time_limit, taken)
    typer.echo(target)


@app.command("pack")
def pack_command(
    model: Annotated[Path, typer.Argument(help="A model folder with nnU-Net checkpoints.")],
    out: Annotated[Path, typer.Argument(help="The folder to make.")],
    dtype: Annotated[Dtype, typer.Option(help="Number format of the stored weights.")] = Dtype.float16,
) -> None:
    """Writes a model folder's inference weights alone: smaller, faster to load, with sha256 sums."""
    with stage("packing"):
        packed = pack(model, out, getattr(torch, dtype))
    typer.echo(describe(packed))


@app.command("check")
def check_command(model: Annotated[Path, typer.Argument(help="A model folder, packed or not.")]) -> None:
    """Verifies a model folder, every byte of its weights included, and prints what it is."""
    found = ModelFolder.read(model)
    verify(found)
    typer.echo(describe(found))


@app.command("overview")
def overview_command(
    input: Annotated[Path, typer.Argument(help="The case, in Grand Challenge layout; truth.mha may lie in it.")],
    output: Annotated[Path, typer.Argument(help="The folder that predict wrote the case's mask to.")],
    before: Annotated[
        Path | None, typer.Option(help="The folder of another prediction, without clicks, to show beside it.")
    ] = None,
) -> None:
    """Prints a mask's lesions, volume and, where a truth lies beside the case, Dice; draws a .png beside the mask."""
    from lesionclick import overview  # matplotlib is slow to import and only needed here

    case = Case.read(input)
    path = mask_path(case, output)
    mask = read_mask(path, case.geometry)
    panels = [overview.Panel("PET, predicted lesions", mask, case.clicks)]
    if before is not None:
        first = read_mask(mask_path(case, before), case.geometry)
        panels = [
            overview.Panel("PET, predicted without clicks", first),
            overview.Panel("PET, predicted with clicks", mask, case.clicks),
        ]
    _, count = components(mask)
    volume = np.count_nonzero(mask) * math.prod(case.geometry.spacing) / 1000
    typer.echo(f"{count} lesions, {volume:.1f} ml")
    truth_path = input / TRUTH_FILE
    if truth_path.exists():
        truth = read_mask(truth_path, case.geometry)
        panels.append(overview.Panel("PET, true lesions", truth))
        found = evaluate(mask, truth, case.geometry.spacing_zyx)
        typer.echo(
            f"Dice {found.dice:.3f}, false positive volume {found.false_positive_volume:.1f} ml, "
            f"false negative volume {found.false_negative_volume:.1f} ml"
        )
    picture = path.with_suffix(".png")
    overview.draw(case, panels, picture)
    typer.echo(picture)


app.command("evaluate")(evaluate_command)
app.command("compare")(compare_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs `lesionclick`."""
    run(app, arguments)


def run(commands: typer.Typer, arguments: Sequence[str] | None = None) -> None:
    """Runs a command line; an error that the user can mend becomes one sentence on stderr and exit code 2."""
    log.to_stderr()
    try:
        commands(arguments)
    except LesionClickError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
