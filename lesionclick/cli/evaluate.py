"""The commands `lesionclick evaluate` and `lesionclick compare`."""

import re
from pathlib import Path
from typing import Annotated

import typer

from lesionclick.case.dataset import Dataset
from lesionclick.cli.options import (
    BackendOption,
    DeviceOption,
    FieldOfViewOption,
    MirroringOption,
    ModelOption,
    NetworksOption,
    PrecisionOption,
)
from lesionclick.evaluation.comparison import compare
from lesionclick.evaluation.protocol import Protocol
from lesionclick.evaluation.report import SUMMARY_MARKDOWN
from lesionclick.evaluation.runner import evaluate_dataset
from lesionclick.files import replacing
from lesionclick.inference.backend import Backend, Precision
from lesionclick.inference.ensemble import Ensemble
from lesionclick.inference.settings import FieldOfView, InferenceSettings, Mirroring, Networks
from lesionclick.simulation.corrections import Interaction
from lesionclick.simulation.scribbles import Scribble


def evaluate_command(
    dataset: Annotated[
        Path, typer.Argument(help="A folder of cases with truth.mha, or a dataset in nnU-Net's raw layout.")
    ],
    model: ModelOption,
    out: Annotated[Path, typer.Option(help="The folder of results; one begun with the same settings goes on.")],
    clicks: Annotated[
        str, typer.Option(help="Numbers of clicks a label, such as 0-10 or 0,3,7,10; for official clicks.")
    ] = "0-10",
    interaction: Annotated[
        Interaction, typer.Option(help="Official clicks, or a correction of the largest error each round.")
    ] = Interaction.official,
    scribble: Annotated[Scribble, typer.Option(help="How scribbles run.")] = Scribble.centerline,
    rounds: Annotated[int, typer.Option(min=1, help="Of corrections.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Of simulated clicks and random walks.")] = 42,
    keep_masks: Annotated[bool, typer.Option("--keep-masks", help="Store each step's mask, .mha.")] = False,
    device: DeviceOption = "auto",
    backend: BackendOption = Backend.auto,
    precision: PrecisionOption = Precision.auto,
    field_of_view: FieldOfViewOption = FieldOfView.body,
    mirroring: MirroringOption = Mirroring.none,
    networks: NetworksOption = Networks.all,
) -> None:
    """Evaluates a model over clicks or rounds of corrections: tables, intervals and figures.

    Exit code 0: every case is in the tables. 1: some cases failed, the tables name them and hold the others. 2: nothing
    could be evaluated.
    """
    steps = parse_steps(clicks) if interaction == Interaction.official else tuple(range(rounds + 1))
    cases = Dataset.find(dataset)
    ensemble = Ensemble.load(model, device, backend=backend, precision=precision)
    protocol = Protocol(steps, interaction, scribble, InferenceSettings(field_of_view, mirroring, networks), seed)
    failures = evaluate_dataset(ensemble, cases, protocol, out, keep_masks=keep_masks)
    typer.echo((out / SUMMARY_MARKDOWN).read_text(), nl=False)
    if failures:
        raise typer.Exit(1)


def compare_command(
    results: Annotated[list[Path], typer.Argument(help="Two or more folders of `lesionclick evaluate`.")],
    out: Annotated[Path | None, typer.Option(help="A .md file to write, instead of stdout.")] = None,
) -> None:
    """Puts evaluations side by side, with paired differences from the first over the cases common to all."""
    if len(results) < 2:
        raise typer.BadParameter("expected two or more folders")
    text = compare(results)
    if out is None:
        typer.echo(text, nl=False)
    else:
        with replacing(out) as temporary:
            temporary.write_text(text)
        typer.echo(out)


def parse_steps(text: str) -> tuple[int, ...]:
    """Numbers from a list of numbers and ranges such as "0-5,7,10", ascending, none twice."""
    steps: set[int] = set()
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d{1,4})(?:-(\d{1,4}))?\s*", part)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if last < first:
            raise typer.BadParameter(f"{text!r} is not a list such as 0-10 or 0,3,7,10", param_hint="--clicks")
        steps.update(range(first, last + 1))
    return tuple(sorted(steps))
