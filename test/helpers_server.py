"""Servers of tests: a data folder, a case, a tiny random model."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from conftest import body, image_from, write_case
from fastapi.testclient import TestClient

from lesionclick import Ensemble
from lesionclick.server.app import create_app
from lesionclick.server.cases import CaseLibrary
from lesionclick.server.security import Access
from lesionclick.server.sessions import Sessions
from lesionclick.server.settings import ModelIdentity, ServerSettings
from lesionclick.server.store import Store

SHAPE = (20, 22, 24)
LOCAL = Access()
MODEL = ModelIdentity("tiny", "random weights, not for patients", "f" * 64, 2)


def write_study(folder: Path, seed: int = 0) -> Path:
    """A small case in Grand Challenge layout, with a click beside it."""
    ct, pet = body(SHAPE, seed)
    points = {"version": {"major": 1, "minor": 0}, "type": "Multiple points"}
    clicks = {**points, "points": [{"point": [1, 2, 3], "name": "tumor"}]}
    return write_case(folder, image_from(ct), image_from(pet), clicks, name=folder.name)


def load(model_folder: Path) -> Ensemble:
    return Ensemble.load(model_folder, "cpu", backend="torch", precision="float32")


@contextlib.contextmanager
def running(
    data: Path, ensemble: Ensemble, *studies: Path, with_clicks: bool = False, start: bool = True, **changes: object
) -> Iterator[tuple[Sessions, CaseLibrary]]:
    """Sessions and cases of a data folder, as long as the block lasts."""
    data.mkdir(exist_ok=True)
    settings = replace(ServerSettings(data), **changes)  # type: ignore[arg-type]
    store = Store(data / "lesionclick.sqlite")
    cases = CaseLibrary(store, data / "cases")
    for study in studies:
        cases.add_study(study, with_clicks=with_clicks)
    sessions = Sessions(store, cases, ensemble, MODEL, settings)
    if start:
        sessions.start()
    try:
        yield sessions, cases
    finally:
        sessions.stop(30)
        store.close()


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def same(first: np.ndarray, second: np.ndarray) -> bool:
    return first.dtype == second.dtype and bool(np.array_equal(first, second))


@contextlib.contextmanager
def client(
    data: Path, ensemble: Ensemble, *studies: Path, access: Access = LOCAL, page: Path | None = None, **changes: Any
) -> Iterator[TestClient]:
    """A client of a server; errors of the server are answers, as they are over the network."""
    with running(data, ensemble, *studies, **changes) as (sessions, cases):
        settings = replace(
            ServerSettings(data), **{name: value for name, value in changes.items() if name == "max_upload"}
        )
        app = create_app(sessions, cases, MODEL, settings, access, page)
        with TestClient(app, base_url="http://localhost:8000", raise_server_exceptions=False) as client:
            yield client
