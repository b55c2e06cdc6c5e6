import gc
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_server import SHAPE, load, running, same, wait_until, write_study

from lesionclick import Case, Click, Ensemble, Session
from lesionclick.errors import CaseError
from lesionclick.server.problems import ServerError, UnknownError
from lesionclick.server.progress import Stage
from lesionclick.server.settings import SESSION_SETTINGS

TUMOR, BACKGROUND = Click(5, 6, 7, "tumor"), Click(12, 11, 10, "background")


@pytest.fixture(scope="module")
def ensemble(model_folder: Path) -> Ensemble:
    return load(model_folder)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return write_study(tmp_path / "study")


def fresh_mask(ensemble: Ensemble, study: Path, *clicks: Click) -> np.ndarray:
    return Session(ensemble, Case.read(study), SESSION_SETTINGS).predict(clicks).mask


def test_opening_begins_the_automatic_mask_and_clicks_change_it(
    tmp_path: Path, ensemble: Ensemble, study: Path
) -> None:
    with running(tmp_path / "data", ensemble, study) as (sessions, cases):
        handle = sessions.open(cases.records()[0].id)
        automatic = handle.wait_for_mask(60)
        assert automatic is not None
        assert same(automatic.mask_zyx, fresh_mask(ensemble, study))

        handle.add_clicks([TUMOR, BACKGROUND])
        corrected = handle.wait_for_mask(60)
        assert corrected is not None
        assert corrected.version > automatic.version
        assert corrected.mask_zyx[7, 6, 5] == 1
        assert same(corrected.mask_zyx, fresh_mask(ensemble, study, TUMOR, BACKGROUND))

        assert handle.undo()
        assert not handle.undo()
        undone = handle.wait_for_mask(60)
        assert undone is not None
        assert same(undone.mask_zyx, automatic.mask_zyx)
        assert sessions.open(handle.case_id) is handle


def test_who_opens_a_session_that_is_computed_has_it_computed_once(
    tmp_path: Path, ensemble: Ensemble, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predicted: list[int] = []
    monkeypatch.setattr(Ensemble, "predict_logits", counting(predicted))
    with running(tmp_path / "data", ensemble, study) as (sessions, cases):
        handle = sessions.open(cases.records()[0].id)
        wait_until(lambda: handle.progress.stage == Stage.computing)
        sessions.open(handle.case_id)
        wait_until(lambda: handle.progress.stage == Stage.done)
        wait_until(lambda: sessions._store.session(handle.id).mask_revision == 0)
        sessions.open(handle.case_id)
        wait_until(lambda: not sessions._worker._waiting and sessions._worker._current is None)
        assert handle.progress.stage == Stage.done
    assert len(predicted) == 1


def test_a_server_that_starts_again_shows_what_was(tmp_path: Path, ensemble: Ensemble, study: Path) -> None:
    with running(tmp_path / "data", ensemble, study) as (sessions, cases):
        handle = sessions.open(cases.records()[0].id)
        handle.add_click(TUMOR)
        before = handle.wait_for_mask(60)
        assert before is not None
        wait_until(lambda: sessions._store.session(handle.id).mask_revision == 1)
    with running(tmp_path / "data", ensemble, study) as (sessions, _):
        again = sessions.get(handle.id)
        assert again.record.clicks == handle.record.clicks
        wait_until(lambda: again.mask is not None)  # was open, and so is computed again without being asked for
        assert again.mask is not None
        assert again.mask.final
        assert again.mask.version > before.version
        assert same(again.mask.mask_zyx, before.mask_zyx)
        shown = again.mask
        wait_until(lambda: again.progress.stage == Stage.done)
        assert again.mask is shown  # the same mask, computed again, is no new one


def test_a_click_supersedes_what_is_computed(
    tmp_path: Path, ensemble: Ensemble, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    in_pass, go_on = threading.Event(), threading.Event()
    predict = Session.predict

    def slow(self: Session, clicks: tuple[Click, ...], **options: object) -> object:
        asked.append(len(clicks))
        in_pass.set()
        assert go_on.wait(30)
        return predict(self, clicks, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Session, "predict", slow)
    with running(tmp_path / "data", ensemble, study) as (sessions, cases):
        handle = sessions.open(cases.records()[0].id)
        assert in_pass.wait(60)
        for x in range(10):
            handle.add_click(Click(x, 5, 5, "tumor"))
        go_on.set()
        mask = handle.wait_for_mask(60)
    assert mask is not None
    assert mask.revision == 10
    assert asked == [0, 10]


def counting(computed: list[int]) -> Callable[..., np.ndarray]:
    """`Ensemble.predict_logits` that notes how many forward passes each call makes."""
    predict = Ensemble.predict_logits

    def predict_logits(self: Ensemble, *arguments: Any, on_progress: Any = None, **more: Any) -> Any:
        computed.append(0)

        def count(done: int, total: int) -> None:
            computed[-1] = done
            if on_progress is not None:
                on_progress(done, total)

        return predict(self, *arguments, on_progress=count, **more)

    return predict_logits


def test_the_least_recently_used_session_is_closed_and_comes_back(
    tmp_path: Path, ensemble: Ensemble, monkeypatch: pytest.MonkeyPatch
) -> None:
    studies = [write_study(tmp_path / name, seed) for seed, name in enumerate("abc")]
    with running(tmp_path / "data", ensemble, *studies, max_sessions=2) as (sessions, cases):
        handles = [sessions.open(record.id) for record in cases.records()]
        masks = [handle.wait_for_mask(60) for handle in handles]
        wait_until(lambda: all(handle.progress.stage == Stage.done for handle in handles))
        assert [handle.id in sessions._memory for handle in handles] == [False, True, True]
        assert handles[0].mask is masks[0]
        predicted: list[int] = []
        monkeypatch.setattr(Ensemble, "predict_logits", counting(predicted))
        sessions.open(handles[0].case_id)
        wait_until(lambda: len(predicted) == 1 and handles[0].progress.stage == Stage.done)
        assert predicted == [0]  # nothing is computed again, and the mask is the same
        assert handles[0].mask is masks[0]
        handles[0].add_click(TUMOR)
        corrected = handles[0].wait_for_mask(60)
        assert corrected is not None
        assert same(corrected.mask_zyx, fresh_mask(ensemble, studies[0], TUMOR))
        assert [handle.id in sessions._memory for handle in handles] == [True, False, True]
        assert set(sessions._store.open_sessions()) == {handles[0].id, handles[2].id}


def test_ten_sessions_take_the_memory_of_two(tmp_path: Path, ensemble: Ensemble) -> None:
    def in_memory(kind: type) -> int:
        gc.collect()
        return sum(type(each) is kind for each in gc.get_objects())

    studies = [write_study(tmp_path / f"study-{number}", number) for number in range(10)]
    before = {kind: in_memory(kind) for kind in (Session, Case)}
    with running(tmp_path / "data", ensemble, *studies, max_sessions=2) as (sessions, cases):
        handles = [sessions.open(record.id) for record in cases.records()]
        for handle in handles:
            handle.add_click(TUMOR)
        for handle in handles:
            assert handle.wait_for_mask(120) is not None
            assert in_memory(Session) <= before[Session] + 2
            assert in_memory(Case) <= before[Case] + 3  # and the one that was read last
        masks = [len(handle.mask.packed) for handle in handles if handle.mask is not None]
        assert len(masks) == 10
        assert max(masks) <= np.prod(SHAPE) / 8 + 64


def test_what_fails_is_said_and_does_not_stop_the_others(
    tmp_path: Path, ensemble: Ensemble, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = write_study(tmp_path / "other", 1)
    with running(tmp_path / "data", ensemble, study, other) as (sessions, cases):
        (other / "images" / "pet" / "other.mha").unlink()
        broken, whole = (sessions.open(record.id) for record in reversed(cases.records()))
        with pytest.raises(ServerError, match="expected exactly one"):
            broken.wait_for_mask(60)
        assert broken.progress.stage == Stage.failed
        assert whole.wait_for_mask(60) is not None

        def explode(*_: object, **__: object) -> None:
            raise RuntimeError("no sentence for readers")

        with monkeypatch.context() as patch:
            patch.setattr(Session, "predict", explode)
            whole.add_click(TUMOR)
            with pytest.raises(ServerError, match="clicks are kept"):
                whole.wait_for_mask(60)
        sessions.open(whole.case_id)
        assert whole.wait_for_mask(60) is not None


def test_images_that_changed_are_not_shown_with_old_clicks(tmp_path: Path, ensemble: Ensemble, study: Path) -> None:
    with running(tmp_path / "data", ensemble, study) as (sessions, cases):
        handle = sessions.open(cases.records()[0].id)
        handle.add_click(TUMOR)
    (study / "lesion-clicks.json").unlink()
    for kind in ("ct", "pet"):
        (study / "images" / kind / "study.mha").unlink()
        (study / "images" / kind).rmdir()
    write_study(study, 5)
    with running(tmp_path / "data", ensemble, study) as (sessions, cases):
        with pytest.raises(CaseError, match="images have changed"):
            cases.read(handle.case_id)
        sessions.remove(handle.id)
        assert sessions.open(handle.case_id).wait_for_mask(60) is not None
        with pytest.raises(UnknownError):
            sessions.get(handle.id)


def test_clicks_are_checked_and_the_start_is_kept(tmp_path: Path, ensemble: Ensemble, study: Path) -> None:
    with running(tmp_path / "data", ensemble, study, with_clicks=True, start=False) as (sessions, cases):
        handle = sessions.open(cases.records()[0].id)
        assert handle.clicks == (Click(1, 2, 3, "tumor"),)
        z, y, x = SHAPE
        for click, text in (
            (Click(x, 0, 0, "tumor"), r"x = 24, outside the image \(0 to 23\)"),
            (Click(0, -1, 0, "tumor"), "y = -1"),
            (Click(0, 0, z, "tumor"), "z = 20"),
        ):
            with pytest.raises(CaseError, match=text):
                handle.add_click(click)
        assert y == 22
        assert handle.record.revision == 0
        assert not handle.undo()
        assert handle.clear()
        assert not handle.clear()
        assert handle.wait_for_mask(0) is None
