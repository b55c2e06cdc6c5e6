"""A reader's earlier mask as the first result, and what clicks make of it."""

import numpy as np
import pytest
from helpers_session import SHAPE, make_case, make_ensemble
from scipy.special import logit

from lesionclick import Case, CaseError, Click, Ensemble, InferenceSettings, PostProcessing, Session
from lesionclick.inference.settings import FieldOfView, Networks
from lesionclick.inference.tiles import TileStart
from lesionclick.session import starting_mask
from lesionclick.session.postprocessing import post_process
from lesionclick.session.starting_mask import Start

NOTHING = PostProcessing()
LINE = (1, 1, 12)  # all volumes here but those of sessions


def volume(*values: float) -> np.ndarray:
    return np.asarray(values, dtype=np.float64).reshape(LINE)


def mask_after(
    mask: np.ndarray, before: np.ndarray, now: np.ndarray, *clicks: Click, settings: PostProcessing = NOTHING
) -> list[int]:
    """What becomes of a mask where the networks' probability was and is as given."""
    with np.errstate(divide="ignore"):
        start = Start(mask > 0, (Click(11, 0, 0, "tumor"),), logit(before).astype(np.float32))
        found = post_process(logit(now).astype(np.float32), [*start.clicks, *clicks], (1, 1, 1), settings, start)
    assert found.dtype == np.uint8
    voxels: list[int] = found[0, 0].tolist()
    return voxels


MASK = volume(1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0)


def test_the_readers_mask_stays_where_the_networks_say_what_they_said() -> None:
    before = volume(0.1, 0.9, 0.9, 0.1, 0.1, 0.9, 0.1, 0.9, 0.1, 0.9, 0.1, 0.1)
    assert mask_after(MASK, before, before) == MASK[0, 0].tolist()
    wavering = np.where(before > 0.5, before - 0.05, before + 0.05)
    assert mask_after(MASK, before, wavering) == MASK[0, 0].tolist()


def test_where_clicks_changed_the_answer_of_the_networks_it_decides() -> None:
    before = volume(0.9, 0.9, 0.1, 0.1, 0.4, 0.6, 0.9, 0.1, 0.1, 0.1, 0.1, 0.1)
    now = volume(0.1, 0.9, 0.9, 0.1, 0.6, 0.4, 0.9, 0.1, 0.1, 0.1, 0.1, 0.1)
    #            gone      added      both rims moved by less than a quarter
    assert mask_after(MASK, before, now) == [0, 1, 1, 0, 0, 1, 1, 1, 0, 0, 0, 0]


def test_a_new_click_brings_the_lesion_that_the_mask_lacks_or_takes_what_it_has_too_much() -> None:
    before = volume(0.1, 0.1, 0.1, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1, 0.9, 0.9, 0.1)
    tumor, background = Click(3, 0, 0, "tumor"), Click(6, 0, 0, "background")
    # x 3 and 4 are a lesion for the networks alone, x 5 to 7 one for the reader alone, which touches it
    lacking = volume(1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    assert mask_after(lacking, before, before, tumor) == [1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0]
    assert mask_after(MASK, before, before, background) == [1, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0]
    too_much = volume(1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0)
    assert mask_after(too_much, before, before, background) == [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    # a click with which the networks do not agree is left to obedience
    alone = Click(1, 0, 0, "background")
    sure = volume(0.9, 0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1)
    assert mask_after(too_much, sure, sure, alone) == too_much[0, 0].tolist()
    obeying = PostProcessing(obey_clicks=True)
    assert mask_after(too_much, sure, sure, alone, settings=obeying)[:5] == [0, 0, 0, 0, 0]


def test_what_a_click_brings_ends_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting_mask, "REACH_MM", 3)
    everywhere, nothing = volume(*[0.9] * 12), volume(*[0] * 12)
    found = mask_after(nothing, everywhere, everywhere, Click(3, 0, 0, "tumor"), Click(8, 0, 0, "background"))
    assert found == [1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]


def test_floor_and_gate_remove_nothing_of_the_readers() -> None:
    nothing = volume(*[0.05] * 12)
    settings = PostProcessing(lesion_free_gate_ml=99, component_floor=0.8)
    start = Start(MASK > 0, (), logit(nothing).astype(np.float32))
    found = post_process(logit(nothing).astype(np.float32), [], (1, 1, 1), settings, start)
    np.testing.assert_array_equal(found, MASK)


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> Ensemble:
    return make_ensemble(tmp_path_factory.mktemp("model") / "model")


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_case(tmp_path_factory.mktemp("case") / "input")


def test_a_session_changes_a_mask_only_where_tiles_of_new_clicks_stand(
    ensemble: Ensemble, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting_mask, "LEAST_CHANGE", 0.01)  # networks of random weights hardly move
    monkeypatch.setattr(starting_mask, "REACH_MM", 10)
    session = Session(ensemble, case, InferenceSettings(FieldOfView.full, networks=Networks.all))
    mask_zyx = (np.random.default_rng(0).random(SHAPE) < 0.3).astype(np.uint8)
    earlier = Click(40, 5, 5, "tumor")
    session.add_click(earlier)
    session.start_from(mask_zyx)
    np.testing.assert_array_equal(session.predict().mask, mask_zyx)
    click = Click(3, 5, 5, "background")
    session.add_click(click)
    shown: list[np.ndarray] = []
    changed = session.predict(on_update=lambda prediction: shown.append(prediction.mask)).mask
    assert shown
    assert not np.array_equal(changed, mask_zyx)
    inputs = {number: session.open_case.inputs([earlier, click][:number]) for number in (1, 2)}
    tiles = session.open_case.tiles([])
    touched = [
        tile
        for tile, before, now in zip(tiles, inputs[1].keys(tiles), inputs[2].keys(tiles), strict=True)
        if before != now
    ]
    assert 0 < len(touched) < len(tiles)
    reach = max(tile[2].stop for tile in touched)  # along x; the networks' grid is the case's here
    assert reach < SHAPE[2]
    np.testing.assert_array_equal(changed[:, :, reach:], mask_zyx[:, :, reach:])
    assert {TileStart.of(tile).x for tile in touched} < {TileStart.of(tile).x for tile in tiles}
    session.undo()
    np.testing.assert_array_equal(session.predict().mask, mask_zyx)
    session.undo()  # of a click that the mask knows
    assert not np.array_equal(session.predict().mask, mask_zyx)


def test_a_starting_mask_supersedes_and_can_be_taken_away(ensemble: Ensemble, case: Case) -> None:
    session = Session(ensemble, case)
    plain = session.predict().mask
    session.start_from(np.ones(SHAPE, dtype=bool))
    assert session.predict().mask.all()
    session.start_from(None)
    np.testing.assert_array_equal(session.predict().mask, plain)
    with pytest.raises(CaseError, match=r"the mask to start from has the shape \(1, 1, 12\), expected \(18, 18, 60\)"):
        session.start_from(MASK)
