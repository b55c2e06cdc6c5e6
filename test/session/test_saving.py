"""Sessions in folders: whole or not at all, and back as they were."""

import json
import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from helpers_session import SHAPE, load, make_case, make_ensemble

from lesionclick import Case, CaseError, Click, Ensemble, InferenceSettings, PostProcessing, Session
from lesionclick.inference.ensemble import Ensemble as Networks
from lesionclick.testing import make_plans, write_model

NEAR, FAR = Click(2, 3, 4, "tumor"), Click(30, 3, 4, "background")
OBEYING = InferenceSettings(post_processing=PostProcessing(obey_clicks=True))


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> Ensemble:
    return make_ensemble(tmp_path_factory.mktemp("model") / "model")


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_case(tmp_path_factory.mktemp("case") / "input")


@pytest.fixture
def saved(ensemble: Ensemble, case: Case, tmp_path: Path) -> Path:
    """A session with two clicks of which one was undone, and a starting mask."""
    session = Session(ensemble, case, OBEYING)
    session.start_from(some_mask())
    session.add_click(NEAR)
    session.add_click(FAR)
    session.undo()
    session.predict()
    session.save(tmp_path / "saved")
    return tmp_path / "saved"


def some_mask() -> np.ndarray:
    mask_zyx = np.zeros(SHAPE, dtype=np.uint8)
    mask_zyx[2:9, 3:9, 5:30] = 1
    return mask_zyx


def refusal(folder: Path, ensemble: Ensemble, case: Case | None = None) -> str:
    with pytest.raises(CaseError) as refused:
        Session.restore(folder, ensemble, case)
    text = str(refused.value)
    assert text.startswith(str(folder))
    assert "\n" not in text
    return text


def forbid_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("a network was asked")

    monkeypatch.setattr("lesionclick.inference.executor.Executor.compute", fail)


def test_a_restored_session_is_the_one_that_was_saved_and_computes_nothing(
    saved: Path, ensemble: Ensemble, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = Session(ensemble, case, OBEYING)
    expected.start_from(some_mask())
    expected.add_click(NEAR)
    prediction = expected.predict()
    forbid_networks(monkeypatch)
    session = Session.restore(saved, ensemble)
    assert session.settings == OBEYING
    assert session.obey
    assert (session.case.name, session.case.geometry) == (case.name, case.geometry)
    found = session.predict()
    np.testing.assert_array_equal(found.logit_zyx, prediction.logit_zyx)
    np.testing.assert_array_equal(found.mask, prediction.mask)
    assert list(session.clicks) == [NEAR]
    assert session.redo()
    assert list(session.clicks) == [NEAR, FAR]
    assert session.undo()
    assert session.undo()
    assert not session.clicks
    assert not session.undo()
    np.testing.assert_array_equal(session.predict().mask, some_mask())


def test_only_what_is_missing_is_computed(
    saved: Path, ensemble: Ensemble, case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    tiles = sorted((saved / "parts").glob("tile-*"))
    tiles[0].unlink()
    content = bytearray(tiles[1].read_bytes())
    content[99] ^= 1
    tiles[1].write_bytes(content)
    tiles[2].write_bytes(tiles[2].read_bytes()[:-7])
    with caplog.at_level("INFO", "lesionclick"):
        session = Session.restore(saved, ensemble)
        session.predict([])
        found = session.predict([NEAR])
    assert f"3 of {len(tiles)} files of tiles are missing or damaged" in caplog.text
    asked = [int(line.split()[1]) for line in caplog.messages if line.startswith("network: ")]
    assert sum(asked) == 3
    np.testing.assert_array_equal(found.logit_zyx, Session(ensemble, case).predict([NEAR]).logit_zyx)


def test_other_networks_take_over_clicks_alone(saved: Path, tmp_path: Path, case: Case) -> None:
    other = load(write_model(tmp_path / "other", make_plans(spacing=(5, 5, 5)), seed=7))
    session = Session.restore(saved, other)
    expected = Session(other, case).predict([NEAR]).logit_zyx
    np.testing.assert_array_equal(session.predict().logit_zyx, expected)


def test_images_are_held_or_compared(saved: Path, ensemble: Ensemble, case: Case, tmp_path: Path) -> None:
    session = Session.restore(saved, ensemble)
    session.save(tmp_path / "light", with_images=False, with_tile_sums=False)
    files = sorted(path.name.partition("-")[0] for path in (tmp_path / "light" / "parts").iterdir())
    assert files == ["start"]
    assert "holds no images" in refusal(tmp_path / "light", ensemble)
    again = Session.restore(tmp_path / "light", ensemble, case)
    np.testing.assert_array_equal(again.predict().mask, session.predict().mask)
    for name, changed in (("CT", Case(case.name, case.ct_zyx + 1, case.pet_zyx, case.geometry)),):
        assert f"was saved of another {name} than that of the case 'case'" in refusal(saved, ensemble, changed)


def test_saving_again_writes_what_is_new_and_removes_what_is_not_needed(
    saved: Path, ensemble: Ensemble, tmp_path: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in (saved / "parts").iterdir()}
    (saved / "parts" / ".0123.tile-left.bin").touch()
    (saved / ".0123.session.json").touch()
    session = Session.restore(saved, ensemble)
    session.start_from(None)
    session.redo()
    session.predict()
    session.save(saved)
    after = {path: path.stat().st_mtime_ns for path in (saved / "parts").iterdir()}
    gone, new = before.keys() - after.keys(), after.keys() - before.keys()
    assert [path.name.partition("-")[0] for path in gone] == ["start"]
    assert new
    assert all(path.name.startswith("tile-") for path in new)
    assert all(after[path] == before[path] for path in before.keys() & after.keys())
    assert sorted(path.name for path in saved.iterdir()) == ["parts", "session.json"]


def test_foreign_folders_are_left_alone(ensemble: Ensemble, case: Case, tmp_path: Path) -> None:
    session = Session(ensemble, case)
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "letter.txt").touch()
    (tmp_path / "file").touch()
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "session.json").write_text("{}")
    for name, expected in (
        ("others", "holds 'letter.txt', expected a new folder or that of a saved session"),
        ("file", "is a file, expected a folder or nothing there"),
        ("foreign", "is not that of a saved session of LesionClick, and is not replaced"),
    ):
        with pytest.raises(CaseError, match=expected):
            session.save(tmp_path / name)
    assert sorted(path.name for path in tmp_path.rglob("*")) == [
        *("file", "foreign", "letter.txt", "others", "session.json"),
    ]


def test_damaged_and_foreign_folders_are_one_sentence(saved: Path, ensemble: Ensemble, tmp_path: Path) -> None:
    assert "the file is missing" in refusal(tmp_path / "missing", ensemble)
    (tmp_path / "empty").mkdir()
    assert "holds no session.json" in refusal(tmp_path / "empty", ensemble)
    path, document = saved / "session.json", json.loads((saved / "session.json").read_text())
    for change, expected in (
        ({"program": "other"}, "is not that of a saved session"),
        ({"version": 2}, "has the version 2, expected 1"),
        ({"clicks": [[2, 3, 99, "tumor"]]}, "is damaged: "),
        ({"clicks": [[2, 3, 4, "lesion"]]}, "is damaged: "),
        ({"clicks": "none"}, "is damaged: "),
        ({"history": {"states": [[0]], "place": 1}}, "is damaged: "),
        ({"history": {"states": [[7]], "place": 0}}, "is damaged: "),
        ({"settings": {**document["settings"], "networks": "few"}}, "is damaged: "),
        ({"settings": {}}, "is damaged: "),
        ({"case": {**document["case"], "name": "../case"}}, "is damaged: "),
        ({"case": {**document["case"], "files": {"ct": "../ct", "pet": "../pet"}}}, "is damaged: "),
        ({"tiles": [{}]}, "is damaged: "),
    ):
        path.write_text(json.dumps(document | change))
        assert expected in refusal(saved, ensemble), change
    path.write_text(json.dumps(document)[:-40])
    assert "not a JSON file" in refusal(saved, ensemble)
    path.write_text(json.dumps(document))
    for name in ("ct", "start"):
        (part,) = (saved / "parts").glob(f"{name}-*")
        content = part.read_bytes()
        part.write_bytes(content[: len(content) // 2])
        refusal(saved, ensemble)
        part.write_bytes(content)
    Session.restore(saved, ensemble)


def test_a_process_killed_while_it_saves_leaves_one_whole_session(
    saved: Path, ensemble: Ensemble, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at any moment, again and again in the same folder; restoring computes nothing then."""
    session = Session.restore(saved, ensemble)
    for clicks in ([], [NEAR], [FAR], [NEAR, FAR]):
        session.predict(clicks)
    forbid_networks(monkeypatch)
    moments = random.Random(0)
    for _ in range(8):
        started, told = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(told, b"x")
            try:
                while True:  # each save takes away what the one before wrote
                    session.clear()
                    session.save(saved, with_tile_sums=False)
                    session.add_click(NEAR)
                    session.save(saved)
            finally:
                os._exit(1)
        os.read(started, 1)
        time.sleep(moments.uniform(0, 0.1))
        os.kill(child, signal.SIGKILL)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
        os.close(started)
        os.close(told)
        restored = Session.restore(saved, ensemble)
        assert list(restored.clicks) in ([], [NEAR])
        document = json.loads((saved / "session.json").read_text())
        assert all((saved / "parts" / each["file"]).is_file() for each in document["tiles"])
        if document["tiles"]:
            restored.predict()


def test_what_computes_is_told_by_its_digest(tmp_path: Path, ensemble: Ensemble) -> None:
    same = load(ensemble.model.path)
    assert same.identity == ensemble.identity
    assert load(ensemble.model.path, "openvino").identity != ensemble.identity
    assert Networks(ensemble.model.select(["0"]), ensemble.engine).identity != ensemble.identity
