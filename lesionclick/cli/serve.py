"""The command `lesionclick serve`: cases in the browser, corrected by clicks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lesionclick import log
from lesionclick.cli.options import (
    BackendOption,
    DeviceOption,
    FieldOfViewOption,
    MirroringOption,
    ModelOption,
    NetworksOption,
    ObeyClicksOption,
    PrecisionOption,
)
from lesionclick.errors import LesionClickError
from lesionclick.inference.backend import Backend, Precision
from lesionclick.inference.settings import DEFAULT_SETTINGS, InferenceSettings, PostProcessing

if TYPE_CHECKING:
    from lesionclick.inference.ensemble import Ensemble
    from lesionclick.server.settings import ModelIdentity

BUNDLED_MODEL = Path(__file__).resolve().parents[2] / "resources" / "model"


def serve_command(
    cases: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[CASE]...",
            help="Studies to offer: a folder or zip each, whatever `lesionclick segment` reads, or a folder of cases "
            "in Grand Challenge's layout. More can be uploaded.",
        ),
    ] = None,
    *,
    data: Annotated[
        Path | None,
        typer.Option(
            envvar="LESIONCLICK_DATA",
            help="Folder of uploads, clicks and masks, to which nothing else is written. Without it one of the user's "
            "own, so that the same command finds the same clicks again.",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; any but this computer's own, such as 0.0.0.0, needs a key.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for any that is free.")] = 8000,
    key: Annotated[
        str | None,
        typer.Option(
            envvar="LESIONCLICK_KEY", help="Key that every request has to bring; better given by the variable."
        ),
    ] = None,
    allow_name: Annotated[
        list[str] | None,
        typer.Option(help="Further name under which the server is reached, such as a proxy's; several times."),
    ] = None,
    with_clicks: Annotated[
        bool, typer.Option("--with-clicks", help="Begin new sessions with the clicks that lie beside the images.")
    ] = False,
    max_sessions: Annotated[
        int,
        typer.Option(
            min=1,
            help="Cases in memory at a time, each with up to 40 bytes a voxel (2 GB for 400 x 400 x 326 voxels) and "
            "its cache; the one used longest ago makes room.",
        ),
    ] = 3,
    cache: Annotated[
        float, typer.Option(min=0, help="GB that each of them keeps of what networks gave, to be quick after a click.")
    ] = 2.0,
    max_upload: Annotated[float, typer.Option(min=0.001, help="GB that an upload may have.")] = 2.0,
    nninteractive_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Port for 3D Slicer, napari and others that speak the nnInteractive protocol, who try 1527 unless "
            "told otherwise; without it none is listened on.",
        ),
    ] = None,
    page: Annotated[bool, typer.Option("--page/--no-page", help="Whether to serve the page, or the API alone.")] = True,
    model: ModelOption = BUNDLED_MODEL,
    device: DeviceOption = "auto",
    backend: BackendOption = Backend.auto,
    precision: PrecisionOption = Precision.auto,
    field_of_view: FieldOfViewOption = DEFAULT_SETTINGS.field_of_view,
    mirroring: MirroringOption = DEFAULT_SETTINGS.mirroring,
    networks: NetworksOption = DEFAULT_SETTINGS.networks,
    obey_clicks: ObeyClicksOption = True,
) -> None:
    """Serves a page for correcting masks by clicks, and the API behind it.

    Its address is printed once it answers. All clicks are kept in the data folder.
    """
    try:
        from lesionclick.server.running import default_data, run_server
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in ("blosc2", "fastapi", "fastapi_offline", "platformdirs", "uvicorn"):
            raise
        raise LesionClickError(f"serve needs the package {package}: pip install 'lesionclick[serve]'") from error
    from lesionclick.cli.loading import load_ensemble
    from lesionclick.server.security import Access
    from lesionclick.server.settings import ModelIdentity, ServerSettings

    def load_model() -> "tuple[Ensemble, ModelIdentity]":
        from lesionclick.model.check import fingerprint

        ensemble = load_ensemble(model, device, backend, precision, keep_networks=True)
        with log.stage("checksum of the model"):
            model_sum = fingerprint(ensemble.model)
        name = "bundled" if model == BUNDLED_MODEL else model.resolve().name
        return ensemble, ModelIdentity(name, ensemble.model.description, model_sum, len(ensemble.model.folds))

    def find_page() -> Path:
        from lesionclick.server.page_build import find_or_build_page

        return find_or_build_page()

    inference = InferenceSettings(field_of_view, mirroring, networks, PostProcessing(obey_clicks=obey_clicks))
    upload_bytes = round(max_upload * 2**30)
    run_server(
        ServerSettings(data or default_data(), inference, max_sessions, round(cache * 2**30), upload_bytes),
        Access(host, key, tuple(name.lower() for name in allow_name or ()), upload_bytes),
        port,
        cases or [],
        load_model,
        with_clicks=with_clicks,
        find_page=find_page if page else None,
        nninteractive_port=nninteractive_port,
        on_start=typer.echo,
    )
