"""The worker beside changes that come at bad moments."""

import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers_server import load, running, wait_until, write_study

from lesionclick import Click, Ensemble, Session
from lesionclick.server.handle import SessionHandle
from lesionclick.server.problems import UnknownError
from lesionclick.server.progress import Stage
from lesionclick.server.worker import Worker

TUMOR = Click(5, 6, 7, "tumor")


@pytest.fixture(scope="module")
def ensemble(model_folder: Path) -> Ensemble:
    return load(model_folder)


def test_what_the_worker_says_is_not_taken_back_by_who_asked() -> None:
    said: list[str] = []
    first_begins, first_ends = threading.Event(), threading.Event()

    def compute(handle: Any, _: object) -> None:
        if handle is first:
            first_begins.set()
            assert first_ends.wait(30)
        else:
            said.append("computed")

    def report(progress: Any) -> None:
        first_ends.set()  # the worker could go on to the second one now
        time.sleep(0.2)
        said.append(progress.stage)

    def handle(name: str) -> Any:
        return SimpleNamespace(id=name, is_removed=False, record=SimpleNamespace(revision=0), report=report)

    first, second = handle("first"), handle("second")
    worker = Worker(compute)
    worker.start()
    worker.request(first)
    assert first_begins.wait(30)
    worker.request(second)
    wait_until(lambda: len(said) == 2)
    worker.stop(30)
    assert said == ["waiting", "computed"]


def test_the_failure_of_former_clicks_is_not_said_of_the_present_ones(
    tmp_path: Path, ensemble: Ensemble, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict = Session.predict
    in_pass, go_on = threading.Event(), threading.Event()

    def fail_first(self: Session, clicks: list[Click], **options: Any) -> object:
        if clicks:
            return predict(self, clicks, **options)
        in_pass.set()
        assert go_on.wait(60)
        raise RuntimeError("once")

    monkeypatch.setattr(Session, "predict", fail_first)
    stages = set()
    with running(tmp_path / "data", ensemble, write_study(tmp_path / "study")) as (sessions, cases):
        handle = sessions.open(cases.records()[0].id)
        handle.listen(lambda: stages.add(handle.progress.stage))
        assert in_pass.wait(60)
        handle.add_click(TUMOR)
        go_on.set()
        assert handle.wait_for_mask(60) is not None
    assert Stage.failed not in stages


def test_who_asks_for_a_session_while_it_is_removed_does_not_get_a_ghost(
    tmp_path: Path, ensemble: Ensemble, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path / "data", ensemble, write_study(tmp_path / "study"), start=False) as (sessions, cases):
        handle = sessions.open(cases.records()[0].id)
        remove = sessions._store.remove_session
        found: list[SessionHandle | None] = []

        def ask() -> None:
            try:
                found.append(sessions.get(handle.id))
            except UnknownError:
                found.append(None)

        asking = threading.Thread(target=ask)

        def remove_slowly(session_id: str) -> None:
            asking.start()
            asking.join(0.5)
            remove(session_id)

        monkeypatch.setattr(sessions._store, "remove_session", remove_slowly)
        sessions.remove(handle.id)
        asking.join(30)
        assert found == [None]
