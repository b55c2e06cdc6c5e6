"""Running of a server: its data folder, cases, model and page are made ready, and then it answers until it is ended."""

import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import platformdirs
from starlette.types import ASGIApp

from lesionclick.files import describe_error
from lesionclick.inference.ensemble import Ensemble
from lesionclick.server.app import create_app
from lesionclick.server.cases import CaseLibrary, studies_in
from lesionclick.server.nninteractive_capabilities import license_text
from lesionclick.server.nninteractive_routes import make_app
from lesionclick.server.problems import ServerError
from lesionclick.server.security import MIN_KEY, Access, is_loopback
from lesionclick.server.serving import listen, serve
from lesionclick.server.sessions import Sessions
from lesionclick.server.settings import CASE_BYTES, ModelIdentity, ServerSettings
from lesionclick.server.store import Store
from lesionclick.server.streams import Streams

logger = logging.getLogger(__name__)

STOP_SECONDS = 30
"""How long a network under way may take once the program is asked to end."""


def default_data() -> Path:
    """The folder of a user's data, where the system has it."""
    return platformdirs.user_data_path("lesionclick", appauthor=False)


def run_server(
    settings: ServerSettings,
    access: Access,
    port: int,
    studies: Sequence[Path],
    load_model: Callable[[], tuple[Ensemble, ModelIdentity]],
    *,
    with_clicks: bool = False,
    find_page: Callable[[], Path] | None = None,
    nninteractive_port: int | None = None,
    on_start: Callable[[str], None] = print,
) -> None:
    """Serves until the program is ended.

    Args:
        settings: the server's.
        access: who is let in.
        port: to listen on; 0 for any that is free.
        studies: to offer, see `CaseLibrary.add_study` and `studies_in`.
        load_model: called once all else has been found to be in order.
        with_clicks: see `CaseLibrary.add_study`.
        find_page: gives the folder of the page; None for the API alone.
        nninteractive_port: to listen on for viewers that speak the nnInteractive protocol; None for none.
        on_start: called with the server's address once it answers.

    Raises:
        ServerError: it would be open to others without a key, the port is taken, or the data folder cannot be used.
        CaseError: a study is missing.
        ModelError, DeviceError: see `Ensemble.load`.
    """
    require_safe(access)
    listeners = [listen(access.host, each) for each in (port, nninteractive_port) if each is not None]
    sessions = store = None
    try:
        store = open_data(settings)
        cases = CaseLibrary(store, settings.cases)
        for study in (each for path in studies for each in studies_in(path)):
            record = cases.add_study(study, with_clicks=with_clicks)
            logger.info("case: %s (%s)", record.name, study)
        page = None if find_page is None else find_page()
        logger.info(
            "memory: at most %d cases of %d bytes a voxel and %.3g GB, beside the networks and what is computed",
            *(settings.max_sessions, CASE_BYTES, settings.tile_cache_bytes / 2**30),
        )
        ensemble, model = load_model()
        sessions = Sessions(store, cases, ensemble, model, settings)
        sessions.start()
        streams = Streams()
        applications: list[ASGIApp] = [create_app(sessions, cases, model, settings, access, page, streams)]
        if nninteractive_port is not None:
            applications.append(make_app(cases, sessions.open, license_text(model), key=access.key))
            logger.info("3D Slicer, napari and others that speak nnInteractive connect to %s", listeners[1].url)
        serve(list(zip(applications, listeners, strict=True)), lambda: on_start(listeners[0].url), streams.end)
    finally:
        for listener in listeners:
            listener.socket.close()
        if sessions is not None:
            sessions.stop(STOP_SECONDS)
        if store is not None:
            store.close()


def require_safe(access: Access) -> None:
    """Refuses to be open to other computers without a key, and keys that can be guessed.

    Raises:
        ServerError: it would be.
    """
    if access.key is None and not is_loopback(access.host):
        raise ServerError(
            f"--host {access.host}: other computers could read and change everything, expected a key (--key or "
            "LESIONCLICK_KEY)"
        )
    if access.key is not None and (len(access.key) < MIN_KEY or not access.key.isascii() or " " in access.key):
        raise ServerError(f"the key is not usable, expected at least {MIN_KEY} ASCII characters without spaces")


def open_data(settings: ServerSettings) -> Store:
    """Makes the data folder, which is for its owner alone, and opens its store.

    Raises:
        ServerError: it cannot be made, or another server uses it.
    """
    try:
        settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        store = Store(settings.database)
        shutil.rmtree(settings.temporary, ignore_errors=True)  # what a killed server has left
        settings.temporary.mkdir()
    except OSError as error:
        raise ServerError(f"{settings.data}: cannot be used as data folder: {describe_error(error)}") from error
    logger.info("data: %s", settings.data)
    return store
