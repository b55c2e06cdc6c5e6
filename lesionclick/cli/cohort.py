"""The command `lesionclick cohort`: many cases, on this machine or on a cluster."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    ModelOption,
    NetworksOption,
    ObeyClicksOption,
    PrecisionOption,
    RayOption,
    WorkersOption,
)
from lesionclick.inference.backend import Backend, Precision
from lesionclick.inference.settings import DEFAULT_SETTINGS, InferenceSettings, PostProcessing

if TYPE_CHECKING:
    from lesionclick.cohort.manifest import Recipe

logger = logging.getLogger(__name__)


def cohort_command(
    inputs: Annotated[
        Path,
        typer.Argument(
            metavar="INPUTS",
            help="Folder with a study in each subfolder or zip, whatever `lesionclick segment` reads; images in "
            "nnU-Net's layout; or a list of cases (.csv) with the columns name and study, or name, ct and pet, and "
            "clicks where there are some.",
        ),
    ],
    *,
    out: Annotated[
        Path, typer.Option(help="Folder for the results. What an earlier start has done there is not done again.")
    ],
    model: ModelOption,
    ray: RayOption = None,
    workers: WorkersOption = None,
    gpus_per_worker: GpusPerWorkerOption = None,
    cpus_per_worker: CpusPerWorkerOption = None,
    no_clicks: Annotated[bool, typer.Option("--no-clicks", help="Go by no clicks at all.")] = False,
    device: DeviceOption = "auto",
    backend: BackendOption = Backend.auto,
    precision: PrecisionOption = Precision.auto,
    field_of_view: FieldOfViewOption = DEFAULT_SETTINGS.field_of_view,
    mirroring: MirroringOption = DEFAULT_SETTINGS.mirroring,
    networks: NetworksOption = DEFAULT_SETTINGS.networks,
    lesion_free_gate: LesionFreeGateOption = 0.0,
    component_floor: ComponentFloorOption = 0.0,
    obey_clicks: ObeyClicksOption = False,
) -> None:
    """Segments many cases: a folder of results for each, and tables of all cases and lesions.

    It may be stopped at any time; the same command goes on.

    Exit code 0: every case has results. 1: some failed, failed.csv says why. 2: nothing could be done.
    """
    from lesionclick.cluster.connection import Share
    from lesionclick.cohort.manifest import Recipe
    from lesionclick.cohort.runner import run_cohort

    post_processing = PostProcessing(lesion_free_gate, component_floor, obey_clicks)
    settings = InferenceSettings(field_of_view, mirroring, networks, post_processing)

    def read_recipe() -> "Recipe":
        from lesionclick.model.check import fingerprint  # torch takes seconds to load
        from lesionclick.model.folder import ModelFolder

        found = ModelFolder.read(model)
        if found.description:
            logger.warning("model: %s", found.description)
        return Recipe(fingerprint(found), settings, device, backend, precision, not no_clicks)

    share = None if ray is None else Share(ray, workers, gpus_per_worker, cpus_per_worker)
    result = run_cohort(inputs, out, model, read_recipe, share)
    failed = len(result.failures)
    typer.echo(f"{out}: {result.cases} cases, {result.done} done now, {result.kept} before, {failed} failed")
    if failed:
        raise typer.Exit(1)
