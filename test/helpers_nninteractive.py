"""The nnInteractive door of a server, on a free port of this machine, for the protocol's real client."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import uvicorn
from fastapi import FastAPI
from helpers_server import running, write_study
from nnInteractive.inference.remote import nnInteractiveRemoteInferenceSession as Client

from lesionclick import Case, Click, Ensemble, Session
from lesionclick.server.handle import SessionHandle
from lesionclick.server.nninteractive_routes import make_app
from lesionclick.server.sessions import Sessions
from lesionclick.server.settings import SESSION_SETTINGS

LICENSE = "a model of tests; not a medical device"

SPACING = (3.0, 2.0364201, 2.0364201)  # of studies of tests, z, y, x


@dataclass
class Door:
    """A server that holds one case."""

    address: str
    sessions: Sessions
    handle: SessionHandle
    case: Case
    ensemble: Ensemble

    def clicks(self) -> tuple[Click, ...]:
        """Those of the case's session that count now."""
        return self.handle.clicks

    def fresh_mask(self, *clicks: Click) -> np.ndarray:
        """What a session of this case alone gives for these clicks."""
        return Session(self.ensemble, self.case, SESSION_SETTINGS).predict(clicks).mask


@contextlib.contextmanager
def open_door(folder: Path, ensemble: Ensemble, *, start: bool = True, **options: Any) -> Iterator[Door]:
    """A server in a folder with options of `make_app`; without `start` nothing is ever computed."""
    study = write_study(folder / "study")
    with running(folder / "data", ensemble, study, start=start) as (sessions, cases):
        handle = sessions.open(cases.records()[0].id)
        with listening(make_app(cases, sessions.open, LICENSE, **options)) as address:
            yield Door(address, sessions, handle, Case.read(study), ensemble)


@contextlib.contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    """The address at which an application answers as long as the block lasts."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]})
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield f"http://127.0.0.1:{taken.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()


def show(client: Client, image: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Sends a volume as viewers do; the target buffer."""
    client.set_image(image[None], {"spacing": spacing})
    buffer = np.zeros(image.shape, np.uint8)
    client.set_target_buffer(buffer)
    client.reset_interactions()
    return buffer


def sentence(error: httpx.HTTPStatusError) -> str:
    """What the server says of a refusal."""
    detail = error.response.json()["detail"]
    assert isinstance(detail, str)
    return detail
