"""The command `lesionclick predict`: one case in, its lesion mask out."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

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


class Api(StrEnum):
    """How the platform calls: a process a case, or requests to one that stays awake."""

    exec = "exec"
    invoke = "invoke"


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
            help="Seconds that a case may take; mirrorings, then networks are left out to keep it.",
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
    state: Annotated[
        Path | None,
        typer.Option(
            envvar="LESIONCLICK_STATE",
            help="Folder to keep what the next call with the same images, and more clicks, need not compute again.",
        ),
    ] = None,
    api: Annotated[
        Api,
        typer.Option(
            envvar="LESIONCLICK_API",
            help="exec to segment one case; invoke to stay awake and segment what lies in the input folder at each "
            "POST /invoke.",
        ),
    ] = Api.exec,
    port: Annotated[
        int, typer.Option(envvar="LESIONCLICK_PORT", min=0, max=65535, help="Port to listen on, with invoke.")
    ] = 4743,
) -> None:
    """Segments a case: CT, PET and clicks in, lesion mask out."""
    from lesionclick.cli.loading import load_ensemble
    from lesionclick.container.ending import ending_in_time
    from lesionclick.container.one_case import CaseTask, process_case

    post_processing = PostProcessing(lesion_free_gate, component_floor, obey_clicks)
    settings = InferenceSettings(field_of_view, mirroring, networks, post_processing)
    task = CaseTask(case_folder, output, settings, clicks, time_limit, probabilities, report, state)
    with ending_in_time():
        if api == Api.exec:
            typer.echo(process_case(task, lambda: load_ensemble(model, device, backend, precision), log.STARTED))
        else:
            from lesionclick.container.invoke import serve_cases  # torch takes seconds to load

            serve_cases(task, lambda: load_ensemble(model, device, backend, precision, keep_networks=True), port)
