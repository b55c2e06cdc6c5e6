"""What a server holds in memory and on the disk stays within bounds, whatever is asked of it."""

import gc
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_server import SHAPE, client, load, running, same, wait_until, write_study

from lesionclick import Case, Click, Ensemble
from lesionclick.server import records, room, routes_cases
from lesionclick.server.changes import MAX_UNDO, replay
from lesionclick.server.downloads import write_ct
from lesionclick.server.problems import ServerError
from lesionclick.server.store import Store
from lesionclick.server.turns import AT_A_TIME

TUMOR = Click(5, 6, 7, "tumor")


@pytest.fixture(scope="module")
def ensemble(model_folder: Path) -> Ensemble:
    return load(model_folder)


def test_images_are_packed_a_few_at_a_time_and_clicks_do_not_wait(
    tmp_path: Path, ensemble: Ensemble, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_work, most, lock, go_on = 0, 0, threading.Lock(), threading.Event()
    write = write_ct

    def write_slowly(case: Case, path: Path) -> None:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        assert go_on.wait(60)
        write(case, path)
        with lock:
            at_work -= 1

    monkeypatch.setattr(routes_cases, "write_ct", write_slowly)
    with client(tmp_path / "data", ensemble, write_study(tmp_path / "study"), start=False) as api:
        case = api.get("/api/cases").json()[0]["id"]
        session = api.post(f"/api/cases/{case}/session").json()["id"]
        answers: list[int] = []

        def get() -> None:
            answers.append(api.get(f"/api/cases/{case}/ct.nii.gz").status_code)

        asking = [threading.Thread(target=get) for _ in range(60)]  # more than the server has threads
        for thread in asking:
            thread.start()
        wait_until(lambda: at_work == AT_A_TIME)
        time.sleep(0.2)
        click = {"x": 1, "y": 1, "z": 1, "label": "tumor"}
        assert api.post(f"/api/sessions/{session}/clicks", json=click).status_code == 200
        go_on.set()
        for thread in asking:
            thread.join(60)
        assert answers == [200] * 60
        assert most == AT_A_TIME
        assert not list((tmp_path / "data" / "temporary").iterdir())


def test_an_upload_that_is_removed_is_gone_from_memory(tmp_path: Path, ensemble: Ensemble) -> None:
    with running(tmp_path / "data", ensemble, start=False) as (sessions, cases):
        study = write_study(tmp_path / "study")
        folder = cases.folder / "some"
        folder.mkdir()
        for kind in ("ct", "pet"):
            (study / "images" / kind / "study.mha").rename(folder / f"{kind}.mha")
        cases.add_upload("some", "some", ())
        image = weakref.ref(cases.read("some"))
        assert image() is not None
        sessions.remove_case("some")
        gc.collect()
        assert image() is None
        assert not list(cases.folder.iterdir())


def test_a_session_is_closed_without_its_tiles_where_the_disk_is_full(
    tmp_path: Path, ensemble: Ensemble, monkeypatch: pytest.MonkeyPatch
) -> None:
    studies = [write_study(tmp_path / name, seed) for seed, name in enumerate("ab")]
    monkeypatch.setattr(room, "MIN_FREE_BYTES", 1 << 60)
    with running(tmp_path / "data", ensemble, *studies, max_sessions=1) as (sessions, cases):
        first, second = (sessions.open(record.id) for record in cases.records())
        mask = first.wait_for_mask(60)
        assert second.wait_for_mask(60) is not None
        assert not list((tmp_path / "data" / "sessions").glob("*/saved"))
        first.add_click(TUMOR)
        assert first.wait_for_mask(60) is not None
        first.undo()
        again = first.wait_for_mask(60)
        assert mask is not None
        assert again is not None
        assert same(again.mask_zyx, mask.mask_zyx)


def test_masks_to_start_from_that_nothing_can_bring_back_are_removed(tmp_path: Path, ensemble: Ensemble) -> None:
    study = write_study(tmp_path / "study")
    with running(tmp_path / "data", ensemble, study, start=False) as (sessions, cases):
        handle = sessions.open(cases.records()[0].id)
        for _ in range(2):
            handle.start_from(np.ones(SHAPE, np.uint8))
        handle.undo()
        kept = handle.record.starting_mask
        handle.add_click(TUMOR)
        files = tmp_path / "data" / "sessions" / handle.id
        assert len(list(files.iterdir())) == 2
    with running(tmp_path / "data", ensemble, study, start=False) as (sessions, _):
        sessions.start()
        assert [path.name for path in files.glob("start-*")] == [f"start-{kept}.mha"]


def test_a_long_history_is_taken_home_around_the_present_state() -> None:
    rows: list[Any] = [(number, number, 1, Click(number, 0, 0, "tumor")) for number in range(1, 4001)]
    states, place = replay(rows, 2500, 4000)
    assert (len(states), place) == (2 * MAX_UNDO + 1, MAX_UNDO)
    assert [len(state) for state in (states[0], states[place], states[-1])] == [1500, 2500, 3500]
    assert states[place][-1] == Click(2500, 0, 0, "tumor")
    states, place = replay(rows[:3], 1, 3)
    assert [len(state) for state in states] == [0, 1, 2, 3]
    assert place == 1


def test_the_store_says_which_masks_to_start_from_there_are(tmp_path: Path) -> None:
    store = Store(tmp_path / "lesionclick.sqlite")
    session = store.open_session(store.add_case("case").id).id
    assert store.starting_masks() == {session: set()}
    store.start_from(session, "first")
    store.start_from(session, None)
    store.start_from(session, "second")
    assert store.starting_masks() == {session: {"first", "second"}}


def test_a_session_has_a_bounded_number_of_clicks(
    tmp_path: Path, ensemble: Ensemble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "MAX_CLICKS", 2)
    with running(tmp_path / "data", ensemble, write_study(tmp_path / "study"), start=False) as (sessions, cases):
        handle = sessions.open(cases.records()[0].id)
        handle.add_clicks([TUMOR, TUMOR])
        with pytest.raises(ServerError, match="at most 2 clicks, not 3"):
            handle.add_click(TUMOR)
        assert handle.clicks == (TUMOR, TUMOR)
