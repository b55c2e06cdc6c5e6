"""Commands `lesionclick evaluate` and `lesionclick compare`: how good a model is, and which of several is better."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from lesionclick.cli.options import (
    BackendOption,
    ComponentFloorOption,
    CpusPerWorkerOption,
    DeviceOption,
    FieldOfViewOption,
    GpusPerWorkerOption,
    LesionFreeGateOption,
    MirroringOption,
    NetworksOption,
    ObeyClicksOption,
    PrecisionOption,
    RayOption,
    WorkersOption,
)
from lesionclick.evaluation.baseline_names import Baseline
from lesionclick.inference.backend import Backend, Precision
from lesionclick.inference.settings import DEFAULT_SETTINGS, InferenceSettings, PostProcessing
from lesionclick.simulation.interaction import Interaction


def evaluate_command(
    context: typer.Context,
    dataset: Annotated[
        Path,
        typer.Argument(help="Folder of cases that each hold a truth.mha, or dataset in nnU-Net's raw layout."),
    ],
    *,
    model: Annotated[
        Path | None,
        typer.Option(envvar="LESIONCLICK_MODEL", help="Folder of the model, packed or as nnU-Net trained it."),
    ] = None,
    baseline: Annotated[
        Baseline | None, typer.Option(help="Threshold of the PET to evaluate in place of a model.")
    ] = None,
    out: Annotated[
        Path,
        typer.Option(help="Folder for the results. One that was begun with the same settings is completed."),
    ],
    click_counts: Annotated[
        str,
        typer.Option(help="Numbers of official clicks of each label to evaluate at, such as 0-10 or 0,3,7,10."),
    ] = "0-10",
    interaction: Annotated[
        Interaction,
        typer.Option(
            help="Where clicks come from: the official ones, a correction of the largest error each round "
            "(corrective-clicks, autopetv), or scribbles of readers in files (replay)."
        ),
    ] = Interaction.official,
    points: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the scribbles to replay: CASE.json, or CASE/iter_1_scribbles.json and so on, for each case."
        ),
    ] = None,
    rounds: Annotated[
        int, typer.Option(min=1, help="Number of corrections, or of scribbles to replay, in other interactions.")
    ] = 5,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of simulated official clicks and of autopetv's scribbles.")
    ] = 42,
    keep_masks: Annotated[
        bool, typer.Option("--keep-masks", help="Store the masks of all steps, not of the last one alone.")
    ] = False,
    device: DeviceOption = "auto",
    backend: BackendOption = Backend.auto,
    precision: PrecisionOption = Precision.auto,
    field_of_view: FieldOfViewOption = DEFAULT_SETTINGS.field_of_view,
    mirroring: MirroringOption = DEFAULT_SETTINGS.mirroring,
    networks: NetworksOption = DEFAULT_SETTINGS.networks,
    lesion_free_gate: LesionFreeGateOption = 0.0,
    component_floor: ComponentFloorOption = 0.0,
    obey_clicks: ObeyClicksOption = False,
    ray: RayOption = None,
    workers: WorkersOption = None,
    gpus_per_worker: GpusPerWorkerOption = None,
    cpus_per_worker: CpusPerWorkerOption = None,
) -> None:
    """Measures how good a model or a baseline is at each number of clicks or after each round of corrections.

    Tables and figures go to a folder, the table of means to stdout as well.

    Several processes may evaluate into one folder at a time, with the same settings.

    Exit code 0: every case is in the tables. 1: some cases failed, the tables name them and hold the others. 2: nothing
    could be evaluated.
    """
    is_official = interaction == Interaction.official
    steps = parse_numbers(click_counts, "--click-counts") if is_official else tuple(range(rounds + 1))
    source = context.get_parameter_source("model")  # a model from the environment gives way to a baseline
    is_model_asked_for = source is not None and source.name == "COMMANDLINE"
    if baseline is not None and not is_model_asked_for:
        model = None
    if (model is None) == (baseline is None):
        raise typer.BadParameter("expected exactly one of --model and --baseline")
    if (points is None) == (interaction == Interaction.replay):
        raise typer.BadParameter("expected --points with --interaction replay, and with no other")

    from lesionclick.case.dataset import Dataset
    from lesionclick.evaluation.protocol import EvaluationProtocol
    from lesionclick.evaluation.report import SUMMARY_MARKDOWN
    from lesionclick.evaluation.runner import evaluate_dataset
    from lesionclick.evaluation.segmenters import BaselineSegmenter, NetworkSegmenter, Segmenter
    from lesionclick.simulation.readers import make_reader
    from lesionclick.simulation.replay import PointsFolder

    cases = Dataset.find(dataset)
    points_folder = None if points is None else PointsFolder.find(points.absolute() if ray else points, cases.names)
    make_segmenter: Callable[[], Segmenter]
    if baseline is not None:
        make_segmenter = partial(BaselineSegmenter, baseline)
    elif model is not None:
        post_processing = PostProcessing(lesion_free_gate, component_floor, obey_clicks)
        inference = InferenceSettings(field_of_view, mirroring, networks, post_processing)
        make_segmenter = partial(NetworkSegmenter.load, model.absolute(), device, backend, precision, inference)
    protocol = EvaluationProtocol(steps, make_reader(interaction, points_folder), seed)
    if ray is None:
        failures = evaluate_dataset(make_segmenter(), cases, protocol, out, keep_masks=keep_masks)
    else:
        from lesionclick.cluster.connection import Share
        from lesionclick.evaluation.on_cluster import evaluate_on_cluster

        share = Share(ray, workers, gpus_per_worker, cpus_per_worker)
        failures = evaluate_on_cluster(make_segmenter, cases, protocol, out, share, keep_masks=keep_masks)
    typer.echo((out / SUMMARY_MARKDOWN).read_text(), nl=False)
    if failures:
        raise typer.Exit(1)


def compare_command(
    results: Annotated[list[Path], typer.Argument(help="Two or more folders that `lesionclick evaluate` wrote.")],
    out: Annotated[Path | None, typer.Option(help="Markdown file (.md) to write, instead of stdout.")] = None,
) -> None:
    """Puts evaluations side by side, with paired differences from the first over the cases common to all."""
    if len(results) < 2:
        raise typer.BadParameter("expected two or more folders")

    from lesionclick.evaluation.comparison import compare
    from lesionclick.files import replacing

    text = compare(results)
    if out is None:
        typer.echo(text, nl=False)
    else:
        with replacing(out) as temporary:
            temporary.write_text(text)
        typer.echo(out)


def parse_numbers(text: str, option: str) -> tuple[int, ...]:
    """Numbers from a list of numbers and ranges such as "0-5,7,10", ascending, none twice.

    Raises:
        typer.BadParameter: the text is no such list; names the option that it was given to.
    """
    numbers: set[int] = set()
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d{1,4})(?:-(\d{1,4}))?\s*", part)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if last < first:
            raise typer.BadParameter(f"{text!r} is not a list such as 0-10 or 0,3,7,10", param_hint=option)
        numbers.update(range(first, last + 1))
    return tuple(sorted(numbers))
