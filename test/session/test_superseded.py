"""Predictions that are given up, and what is left of them."""

import itertools
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers_session import SHAPE, change, make_case, make_ensemble, make_half_quiet

from lesionclick import Case, CaseError, Click, Ensemble, InferenceSettings, Prediction, Session, Superseded
from lesionclick.inference import executor
from lesionclick.inference.backend import Network
from lesionclick.inference.executor import Executor
from lesionclick.inference.settings import Mirroring, Networks

EVERYTHING = InferenceSettings(networks=Networks.all)
NEAR, FAR = Click(2, 3, 4, "tumor"), Click(30, 3, 4, "background")


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_case(tmp_path_factory.mktemp("case") / "input")


@pytest.fixture
def ensemble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ensemble:
    """One that computes two tiles at a time."""
    monkeypatch.setattr(executor, "BATCH_VOXELS", 2 * 16**3)
    return make_ensemble(tmp_path / "model")


@pytest.fixture
def forward_passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list of one number: how many have been made."""
    made, compute = [0], Executor.compute

    def counting(self: Executor, network: Network, batch: torch.Tensor) -> torch.Tensor:
        made[0] += len(batch)
        return compute(self, network, batch)

    monkeypatch.setattr(Executor, "compute", counting)
    return made


def after(times: int) -> Callable[[], bool]:
    """A question that is answered with yes when it was asked so often."""
    asked = itertools.count()
    return lambda: next(asked) >= times


@pytest.mark.parametrize("seed", range(4))
def test_any_history_gives_bit_for_bit_what_a_fresh_run_gives(
    seed: int, ensemble: Ensemble, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changes at random, predictions given up at random passes, sessions saved and restored, caches too small."""
    generator = np.random.default_rng(seed)
    settings = InferenceSettings(mirroring=(Mirroring.adaptive, Mirroring.all)[seed % 2])
    make_half_quiet(Session(ensemble, case, settings), monkeypatch)
    session = Session(ensemble, case, settings, tile_cache_bytes=(8 * 4 * 16**3, 1 << 30)[generator.integers(2)])
    given_up = 0
    for _ in range(5):
        for _ in range(generator.integers(1, 4)):
            change(session, generator)
            try:
                session.predict(is_superseded=after(int(generator.integers(25))))
            except Superseded:
                given_up += 1
        if generator.integers(3) == 0:
            session.save(tmp_path / "saved")
            session = Session.restore(tmp_path / "saved", ensemble)
        expected = Session(ensemble, case, settings, tile_cache_bytes=0).predict(session.clicks).logit_zyx
        np.testing.assert_array_equal(session.predict().logit_zyx, expected)
    assert given_up


def test_a_click_supersedes_what_is_computed_and_no_pass_is_made_twice(
    ensemble: Ensemble, case: Case, forward_passes: list[int]
) -> None:
    whole = Session(ensemble, case, EVERYTHING)
    whole.predict()
    at_once, forward_passes[0] = forward_passes[0], 0
    session = Session(ensemble, case, EVERYTHING)

    def click(done: int, total: int) -> None:
        assert total == at_once
        if done >= at_once // 2:
            session.add_click(NEAR)

    with pytest.raises(Superseded):
        session.predict(on_progress=click)
    assert at_once // 2 <= forward_passes[0] <= at_once // 2 + 2  # not a batch more
    assert session.undo()
    session.predict()
    assert forward_passes[0] == at_once

    whole.add_click(NEAR)
    forward_passes[0] = 0
    whole.predict()
    touched = forward_passes[0]
    forward_passes[0] = 0
    session.redo()
    session.predict()
    assert forward_passes[0] == touched < at_once


def test_an_error_in_the_middle_of_a_pass_spoils_nothing_that_is_kept(
    ensemble: Ensemble, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(ensemble, case, EVERYTHING)
    with pytest.raises(Superseded):
        session.predict(is_superseded=after(len(session.open_case.tiles([])) // 2 + 2))  # in the second network
    left, compute = [3], Executor.compute

    def failing(self: Executor, network: Network, batch: torch.Tensor) -> torch.Tensor:
        left[0] -= 1
        if left[0] == 0:
            raise RuntimeError("the device is gone")
        return compute(self, network, batch)

    monkeypatch.setattr(Executor, "compute", failing)
    with pytest.raises(RuntimeError, match="the device is gone"):
        session.predict()  # goes on from there
    expected = Session(ensemble, case, EVERYTHING, tile_cache_bytes=0).predict().logit_zyx
    np.testing.assert_array_equal(session.predict().logit_zyx, expected)


def test_progress_counts_every_forward_pass(ensemble: Ensemble, case: Case, forward_passes: list[int]) -> None:
    session, told = Session(ensemble, case, EVERYTHING), list[tuple[int, int]]()
    session.predict(on_progress=lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert told[-1] == (forward_passes[0], forward_passes[0])
    assert {total for _, total in told} == {forward_passes[0]}
    told.clear()
    session.predict(on_progress=lambda done, total: told.append((done, total)))
    assert not told


def test_the_first_result_after_a_click_comes_after_one_network(
    ensemble: Ensemble, case: Case, forward_passes: list[int]
) -> None:
    session = Session(ensemble, case, EVERYTHING)
    session.predict()
    session.add_click(NEAR)
    forward_passes[0], shown = 0, list[tuple[int, Prediction]]()
    session.predict(on_update=lambda prediction: shown.append((forward_passes[0], prediction)))
    assert [count for count, _ in shown] == [forward_passes[0] // 3, 2 * forward_passes[0] // 3]
    assert shown[0][1].clicks == (NEAR,)


def test_a_click_from_another_thread_supersedes_and_waits_for_nothing(ensemble: Ensemble, case: Case) -> None:
    session = Session(ensemble, case, EVERYTHING)
    at_work, clicked = threading.Event(), threading.Event()

    def click() -> None:
        assert at_work.wait(60)
        session.add_click(NEAR)
        clicked.set()

    def wait(done: int, total: int) -> None:
        at_work.set()
        assert clicked.wait(60)

    reader = threading.Thread(target=click)
    reader.start()
    with pytest.raises(Superseded):
        session.predict(on_progress=wait)
    reader.join()
    expected = Session(ensemble, case, EVERYTHING).predict([NEAR]).logit_zyx
    np.testing.assert_array_equal(session.predict().logit_zyx, expected)


def test_a_prediction_for_clicks_of_its_own_goes_on(ensemble: Ensemble, case: Case) -> None:
    session = Session(ensemble, case, EVERYTHING)
    found = session.predict([FAR], on_progress=lambda done, total: session.add_click(NEAR))
    expected = Session(ensemble, case, EVERYTHING).predict([FAR]).logit_zyx
    np.testing.assert_array_equal(found.logit_zyx, expected)


def test_a_click_outside_of_the_image_is_refused_with_all_that_come_with_it(ensemble: Ensemble, case: Case) -> None:
    session = Session(ensemble, case)
    for outside in (Click(0, 0, SHAPE[0], "tumor"), Click(0, -1, 0, "tumor")):
        with pytest.raises(CaseError, match=r"^the click has . = \S+, outside the image \(0 to 17\)$"):
            session.add_click(NEAR, outside)
    assert session.clicks == ()
    assert not session.can_undo


def test_all_clicks_taken_back_come_again(ensemble: Ensemble, case: Case) -> None:
    session = Session(ensemble, case)
    session.add_click(NEAR, FAR)
    session.remove_click(NEAR)
    session.clear()
    assert (session.clicks, session.can_undo, session.can_redo) == ((), True, False)
    assert session.undo()
    assert list(session.clicks) == [FAR]
    assert session.undo()
    assert list(session.clicks) == [NEAR, FAR]
    assert session.can_redo
