import itertools
import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import body, image_from, write_case

from lesionclick import Case, Click, Ensemble, InferenceSettings, Session
from lesionclick.inference import run
from lesionclick.inference.passes import Pass
from lesionclick.inference.run import Run
from lesionclick.inference.settings import FieldOfView, Mirroring, Networks
from lesionclick.session.session import Prediction
from lesionclick.testing import make_plans, write_model

SHAPE = (18, 20, 60)
EVERY_SETTING = [InferenceSettings(*each) for each in itertools.product(FieldOfView, Mirroring, Networks)]


def load(folder: Path, backend: str = "torch") -> Ensemble:
    return Ensemble.load(folder, "cpu", backend=backend, precision="float32")


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> Ensemble:
    """Of three networks; the first two see every tile."""
    folder = tmp_path_factory.mktemp("session") / "model"
    return load(write_model(folder, make_plans(spacing=(5, 5, 5)), folds=(0, 1, 2), mirror_axes=(0,)))


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A patient of 5 mm voxels with air beside, so that some tiles hold no body."""
    ct, pet = body(SHAPE)
    ct[:, :, 34:] = -1000
    ct[:, :, :34] = np.maximum(ct[:, :, :34], -200)
    pet[:, :, 34:] *= 0.01
    folder = write_case(
        tmp_path_factory.mktemp("case") / "input", image_from(ct, (5, 5, 5)), image_from(pet, (5, 5, 5))
    )
    return Case.read(folder)


@pytest.fixture(autouse=True)
def half_of_the_tiles_are_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of random weights are sure of something everywhere."""
    monkeypatch.setattr(run, "QUIET_PROBABILITY", 0.9)


def random_click(generator: np.random.Generator) -> Click:
    z, y, x = (int(generator.integers(size)) for size in SHAPE)
    return Click(x, y, z, ("tumor", "background")[generator.integers(2)])


def change(session: Session, generator: np.random.Generator) -> None:
    """One step of a reader: adds, removes, undoes or redoes."""
    history = session.history
    match generator.integers(5):
        case 0 | 1:
            history.add(*(random_click(generator) for _ in range(generator.integers(1, 4))))
        case 2 if history.clicks:
            history.remove(history.clicks[generator.integers(len(history.clicks))])
        case 3:
            history.undo()
        case _:
            history.redo()


@pytest.mark.parametrize("settings", EVERY_SETTING, ids=lambda each: "-".join(vars(each).values()))
def test_any_sequence_of_changes_gives_bit_for_bit_what_a_fresh_run_gives(
    ensemble: Ensemble, case: Case, settings: InferenceSettings
) -> None:
    """Clicks are added, removed, undone and redone at random, the cache of one session is too small for all tiles."""
    generator = np.random.default_rng(EVERY_SETTING.index(settings))
    large = Session(ensemble, case, settings)
    small = Session(ensemble, case, settings, tile_cache_bytes=6 * 4 * 16**3)
    for _ in range(6):
        for _ in range(generator.integers(1, 4)):
            change(large, generator)
        clicks = large.history.clicks
        expected = Session(ensemble, case, settings, tile_cache_bytes=0).predict(clicks).logit_zyx
        np.testing.assert_array_equal(large.predict().logit_zyx, expected)
        np.testing.assert_array_equal(small.predict(clicks).logit_zyx, expected)


def test_openvino_gives_bit_for_bit_what_a_fresh_run_gives(ensemble: Ensemble, case: Case) -> None:
    other = load(ensemble.model.path, "openvino")
    session = Session(other, case)
    for clicks in ([], [Click(3, 4, 5, "tumor")], [Click(3, 4, 5, "tumor"), Click(30, 4, 5, "background")], []):
        expected = Session(load(ensemble.model.path, "openvino"), case).predict(clicks).logit_zyx
        np.testing.assert_array_equal(session.predict(clicks).logit_zyx, expected)


def test_only_tiles_that_clicks_touch_are_computed(
    ensemble: Ensemble, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[int] = []
    run_pass = Run._run_pass

    def counting(self: Run, current: Pass, chosen: Sequence[int], *others: Any) -> None:
        computed.append(len(chosen))
        run_pass(self, current, chosen, *others)

    monkeypatch.setattr(Run, "_run_pass", counting)
    session = Session(ensemble, case, InferenceSettings(FieldOfView.full, networks=Networks.all))
    near, far = Click(2, 3, 4, "tumor"), Click(57, 3, 4, "background")
    counts = []
    for clicks in ([], [near], [near, far], [near, far], [far], [near], []):
        computed.clear()
        session.predict(clicks)
        assert len(set(computed)) <= 1
        counts.append(computed[0] if computed else 0)
    everything, first, second, again, only_far, undone, nothing = counts
    assert 0 < first < everything
    assert 0 < second < everything
    assert again == only_far == undone == nothing == 0  # each tile was seen with these clicks before


def test_two_sessions_in_two_threads_give_what_each_gives_alone(
    ensemble: Ensemble, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both share an ensemble that keeps one network at a time, and are at work at the same time."""
    ct, pet = body(SHAPE, seed=1)
    other = Case.read(write_case(tmp_path / "other", image_from(ct), image_from(pet)))
    rounds = [[], [Click(3, 4, 5, "tumor")], [Click(9, 9, 9, "background")]]
    settings = InferenceSettings(mirroring=Mirroring.adaptive, networks=Networks.adaptive)
    alone = {}
    for each in (case, other):
        session = Session(ensemble, each, settings)
        alone[each] = [session.predict(clicks).logit_zyx for clicks in rounds]
    shared = load(ensemble.model.path)
    shared._executor.networks.keep_only(0)
    both_at_work = threading.Barrier(2)

    def predict(each: Case) -> list[np.ndarray]:
        session = Session(shared, each, settings)
        both_at_work.wait(20)
        return [session.predict(clicks).logit_zyx for clicks in rounds]

    with ThreadPoolExecutor(2) as threads:
        for each, found in zip((case, other), threads.map(predict, (case, other)), strict=True):
            np.testing.assert_array_equal(found, alone[each])


def test_a_session_gives_the_result_so_far(ensemble: Ensemble, case: Case) -> None:
    shown: list[Prediction] = []
    session = Session(ensemble, case, InferenceSettings(networks=Networks.all))
    final = session.predict(on_update=shown.append)
    assert [each.mask.shape for each in shown] == [SHAPE] * 3
    np.testing.assert_array_equal(shown[-1].logit_zyx, final.logit_zyx)
    assert np.abs(shown[0].logit_zyx - final.logit_zyx).max() > 0.01
    shown.clear()
    session.predict(on_update=shown.append)
    assert not shown  # nothing had to be computed


def test_clicks_change_the_prediction(model_folder: Path, case_folder: Path) -> None:
    case = Case.read(case_folder)
    session = Session(load(model_folder), case)
    prediction = session.predict()
    assert prediction.mask.shape == prediction.probability.shape == (18, 20, 22)
    assert prediction.mask.dtype == np.uint8
    np.testing.assert_array_equal(prediction.mask, prediction.probability > 0.5)
    assert 0 < prediction.mask.mean() < 1
    without = session.predict([])
    assert np.abs(without.probability - prediction.probability).max() > 1e-3
    twice = session.predict([*case.clicks, *case.clicks])
    np.testing.assert_array_equal(twice.logit_zyx, prediction.logit_zyx)
    swapped = session.predict([Click(3, 4, 5, "background"), Click(10, 11, 12, "tumor")])
    assert np.abs(swapped.probability - prediction.probability).max() > 1e-3


def test_model_without_click_channels_ignores_clicks_and_says_so(
    tmp_path: Path, case_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_model(tmp_path / "model", make_plans(), channels=2)
    session = Session(load(folder), Case.read(case_folder))
    with caplog.at_level(logging.WARNING, "lesionclick"):
        with_clicks = session.predict()
    assert "the model was trained without clicks: 2 clicks are ignored" in caplog.text
    np.testing.assert_array_equal(with_clicks.logit_zyx, session.predict([]).logit_zyx)


def test_zero_border_is_background(model_folder: Path, case_folder: Path) -> None:
    case = Case.read(case_folder)
    case.ct_zyx[:3] = case.pet_zyx[:3] = 0
    prediction = Session(load(model_folder), case).predict()
    assert not prediction.mask[:3].any()
    assert not prediction.probability[:3].any()
