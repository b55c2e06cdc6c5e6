from pathlib import Path

import numpy as np
import pytest
from conftest import body, image_from, write_case

from lesionclick import Case, Click, Ensemble, ModelError, Session
from lesionclick.report.measurements import measure_lesions
from lesionclick.testing import make_plans, write_model

SHAPE = (18, 20, 22)


def open_session(folder: Path, case: Case) -> Session:
    return Session(Ensemble.load(folder, "cpu", backend="torch", precision="float32"), case)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """With a border of zeros, which is cropped away."""
    ct, pet = body(SHAPE)
    for image in (ct, pet):
        image[:, :, :3] = 0
    return Case.read(write_case(tmp_path / "case", *(image_from(each, (3, 3, 4)) for each in (ct, pet))))


def test_organs_come_on_the_cases_grid_whatever_clicks_there_are(tmp_path: Path, case: Case) -> None:
    plans = make_plans(spacing=(2, 3.5, 3), transpose=(1, 0, 2))
    session = open_session(write_model(tmp_path / "model", plans), case)
    organs = session.predict_organs()
    assert organs.shape == SHAPE
    assert organs.dtype == np.uint8
    assert not organs[:, :, :3].any()
    assert len(np.unique(organs)) > 3

    network = session.ensemble.predict_organs(session.open_case.inputs([]))
    preprocessing = session.ensemble.model.preprocessing
    expected = np.stack([preprocessing.to_image(each, session.open_case.grid) for each in network]).argmax(axis=0)
    np.testing.assert_array_equal(organs, expected)

    session.history.add(Click(5, 6, 7, "tumor"))
    before = session.predict().logit_zyx
    np.testing.assert_array_equal(session.predict_organs(), organs)
    np.testing.assert_array_equal(session.predict().logit_zyx, before)


def test_a_table_of_lesions_takes_them(tmp_path: Path, case: Case) -> None:
    session = open_session(write_model(tmp_path / "model", make_plans()), case)
    mask = np.zeros(SHAPE, dtype=np.uint8)
    mask[5:7, 6:9, 8:12] = 1
    (lesion,) = measure_lesions(mask, case.pet_zyx, case.geometry, session.predict_organs()).lesions
    assert lesion.nearest_organ is not None


def test_a_model_without_organ_heads_says_so(tmp_path: Path, case: Case) -> None:
    session = open_session(write_model(tmp_path / "model", make_plans(), organ_heads=False), case)
    with pytest.raises(ModelError, match="has no organ heads"):
        session.predict_organs()
