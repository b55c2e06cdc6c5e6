"""A session that begins from an earlier mask: one change, undone and redone with the clicks, kept over restarts."""

from pathlib import Path

import numpy as np
import pytest
from helpers_server import SHAPE, load, running, same, write_study

from lesionclick import Case, Click, Ensemble, Session
from lesionclick.server.settings import SESSION_SETTINGS

TUMOR = Click(5, 6, 7, "tumor")


@pytest.fixture(scope="module")
def ensemble(model_folder: Path) -> Ensemble:
    return load(model_folder)


@pytest.fixture
def earlier() -> np.ndarray:
    mask_zyx = np.zeros(SHAPE, np.uint8)
    mask_zyx[3:9, 4:9, 10:14] = 1
    return mask_zyx


def test_a_session_starts_from_a_mask_and_clicks_change_it_as_in_a_session_alone(
    tmp_path: Path, ensemble: Ensemble, earlier: np.ndarray
) -> None:
    study = write_study(tmp_path / "study")
    alone = Session(ensemble, Case.read(study), SESSION_SETTINGS)
    alone.history.replace(())
    automatic = alone.predict().mask
    alone.start_from(earlier)
    with running(tmp_path / "data", ensemble, study) as (sessions, cases):
        handle = sessions.open(cases.records()[0].id)
        handle.add_click(TUMOR)
        assert handle.start_from(earlier)
        assert handle.clicks == ()
        mask = handle.wait_for_mask(60)
        assert mask is not None
        assert same(mask.mask_zyx, earlier)

        handle.add_click(TUMOR)
        corrected = handle.wait_for_mask(60)
        assert corrected is not None
        assert same(corrected.mask_zyx, alone.predict([TUMOR]).mask)
    with running(tmp_path / "data", ensemble, study) as (sessions, cases):
        again = sessions.open(cases.records()[0].id)
        again.undo()
        undone = again.wait_for_mask(60)
        assert undone is not None
        assert same(undone.mask_zyx, earlier)

        assert again.undo()  # the mask is gone, and the click that was there before is back
        assert list(again.clicks) == [TUMOR]
        assert again.record.starting_mask is None
        assert again.redo()
        assert not again.clicks
        redone = again.wait_for_mask(60)
        assert redone is not None
        assert same(redone.mask_zyx, earlier)

        assert again.start_from(None)
        assert not again.record.can_redo
        assert not again.start_from(None)
        anew = again.wait_for_mask(60)
        assert anew is not None
        assert same(anew.mask_zyx, automatic)
