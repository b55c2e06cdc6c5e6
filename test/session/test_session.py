import itertools
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conftest import body, image_from, write_case
from helpers_session import SHAPE, change, load, make_case, make_ensemble, make_half_quiet

from lesionclick import Case, Click, Ensemble, InferenceSettings, PostProcessing, Session
from lesionclick.inference import executor, run
from lesionclick.inference.settings import FieldOfView, Mirroring, Networks
from lesionclick.session.prediction import Prediction
from lesionclick.testing import make_plans, write_model

EVERY_SETTING = [InferenceSettings(*each) for each in itertools.product(FieldOfView, Mirroring, Networks)]


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> Ensemble:
    return make_ensemble(tmp_path_factory.mktemp("session") / "model")


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_case(tmp_path_factory.mktemp("case") / "input")


def counting_active_tiles(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """A list to which each prediction adds how many of the tiles that it computes are not quiet, and of how many."""
    counts: list[tuple[int, int]] = []
    find_active = run.Run._find_active

    def counting(self: run.Run) -> set[int]:
        active = find_active(self)
        counts.append((len(active), len(self.sums)))
        return active

    monkeypatch.setattr(run.Run, "_find_active", counting)
    return counts


@pytest.mark.parametrize(
    "settings", EVERY_SETTING, ids=lambda each: f"{each.field_of_view}-{each.mirroring}-{each.networks}"
)
def test_any_sequence_of_changes_gives_bit_for_bit_what_a_fresh_run_gives(
    ensemble: Ensemble, case: Case, settings: InferenceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clicks are added, removed, undone and redone at random, the cache of one session is too small for all tiles."""
    generator = np.random.default_rng(EVERY_SETTING.index(settings))
    adapts = settings.mirroring == Mirroring.adaptive or settings.networks == Networks.adaptive
    if adapts:
        make_half_quiet(Session(ensemble, case, settings), monkeypatch)
    active = counting_active_tiles(monkeypatch)
    large = Session(ensemble, case, settings)
    small = Session(ensemble, case, settings, tile_cache_bytes=6 * 4 * 16**3)
    for _ in range(5):
        for _ in range(generator.integers(1, 4)):
            change(large, generator)
        clicks = large.history.clicks
        expected = Session(ensemble, case, settings, tile_cache_bytes=0).predict(clicks).logit_zyx
        np.testing.assert_array_equal(large.predict().logit_zyx, expected)
        np.testing.assert_array_equal(small.predict(clicks).logit_zyx, expected)
    if adapts:
        assert any(0 < count < tiles for count, tiles in active)


def test_openvino_gives_bit_for_bit_what_a_fresh_run_gives(ensemble: Ensemble, case: Case) -> None:
    other = load(ensemble.model.path, "openvino")
    session = Session(other, case)
    for clicks in ([], [Click(3, 4, 5, "tumor")], [Click(3, 4, 5, "tumor"), Click(30, 4, 5, "background")], []):
        expected = Session(load(ensemble.model.path, "openvino"), case).predict(clicks).logit_zyx
        np.testing.assert_array_equal(session.predict(clicks).logit_zyx, expected)


def test_only_tiles_that_clicks_touch_are_computed(
    ensemble: Ensemble, case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    session = Session(ensemble, case, InferenceSettings(FieldOfView.full, networks=Networks.all))
    near, far = Click(2, 3, 4, "tumor"), Click(57, 3, 4, "background")
    computed = []
    for clicks in ([], [near], [near, far], [near, far], [far], [near], []):
        caplog.clear()
        with caplog.at_level(logging.INFO, "lesionclick"):
            session.predict(clicks)
        (line,) = (each for each in caplog.messages if each.startswith("network: "))
        computed.append(int(line.split()[1]))
    everything, first, second, again, only_far, undone, nothing = computed
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
    make_half_quiet(Session(ensemble, case, settings), monkeypatch)
    alone = {}
    for each in (case, other):
        session = Session(ensemble, each, settings)
        alone[each] = [session.predict(clicks).logit_zyx for clicks in rounds]
    monkeypatch.setattr(executor, "ALL_NETWORKS_BYTES", 0)
    shared = load(ensemble.model.path)
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
    assert [each.mask.shape for each in shown] == [SHAPE] * 2
    assert np.abs(shown[0].logit_zyx - final.logit_zyx).max() > 0.01
    shown.clear()
    session.predict(on_update=shown.append)
    assert not shown  # nothing had to be computed


def test_a_callback_may_predict(ensemble: Ensemble, case: Case) -> None:
    session, found = Session(ensemble, case, InferenceSettings(networks=Networks.all)), []
    session.predict([], on_update=lambda _: found.append(session.predict([Click(3, 4, 5, "tumor")])))
    expected = Session(ensemble, case, session.settings).predict([Click(3, 4, 5, "tumor")])
    for each in found:
        np.testing.assert_array_equal(each.logit_zyx, expected.logit_zyx)


def test_what_a_session_was_opened_with_stays(ensemble: Ensemble, case: Case) -> None:
    session = Session(ensemble, case)
    for name in ("ensemble", "case", "settings"):
        with pytest.raises(AttributeError):
            setattr(session, name, getattr(session, name))


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


def test_post_processing_changes_masks_alone(ensemble: Ensemble, case: Case) -> None:
    plain = Session(ensemble, case)
    obeying = Session(ensemble, case, InferenceSettings(post_processing=PostProcessing(obey_clicks=True)))
    mask = plain.predict([]).mask
    inside, outside = (tuple(np.argwhere(mask == value)[0].tolist()) for value in (1, 0))
    refused = Click(inside[2], inside[1], inside[0], "background")
    missed = Click(outside[2], outside[1], outside[0], "tumor")
    found: list[Prediction] = []
    prediction = obeying.predict([refused, missed], on_update=found.append)
    np.testing.assert_array_equal(prediction.logit_zyx, plain.predict([refused, missed]).logit_zyx)
    assert found
    for each in (prediction, *found):
        assert each.mask[outside] == 1
        assert each.mask[inside] == 0
    np.testing.assert_array_equal(obeying.predict([]).mask, mask)


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
