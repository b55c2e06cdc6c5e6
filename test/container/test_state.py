"""Iterations of a case with more and more clicks: what is computed again, and that nothing else comes out of it."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import body, image_from
from helpers_session import SHAPE, load, make_case, make_ensemble, random_click

from lesionclick import CaseError, Ensemble, InferenceSettings, PostProcessing
from lesionclick.case.clicks import write_clicks
from lesionclick.container import state
from lesionclick.container.one_case import CaseTask, process_case
from lesionclick.inference.settings import Mirroring, Networks
from lesionclick.testing import make_plans, write_model

Passes = list[int]


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> Ensemble:
    return make_ensemble(tmp_path_factory.mktemp("model") / "model")


@pytest.fixture
def task(tmp_path: Path) -> CaseTask:
    make_case(tmp_path / "input")
    return CaseTask(tmp_path / "input", tmp_path / "out", state=tmp_path / "cache", probabilities=tmp_path / "p.npz")


def run(task: CaseTask, ensemble: Ensemble) -> tuple[np.ndarray, np.ndarray]:
    """The mask and the probability of a call."""
    assert task.probabilities is not None
    mask: np.ndarray = sitk.GetArrayFromImage(sitk.ReadImage(str(process_case(task, lambda: ensemble, 0.0))))
    with np.load(task.probabilities) as stored:
        return mask, stored["foreground"]


def computed_tiles(caplog: pytest.LogCaptureFixture) -> list[int]:
    return [int(line.split()[1]) for line in caplog.messages if line.startswith("network: ")]


def folder_of(task: CaseTask) -> Path:
    assert task.state is not None
    return task.state / state.FOLDER_NAME


@pytest.mark.parametrize(("mirroring", "time_limit"), [(Mirroring.none, 1e9), (Mirroring.adaptive, None)])
def test_six_iterations_give_bit_for_bit_what_fresh_runs_give(
    mirroring: Mirroring,
    time_limit: float | None,
    task: CaseTask,
    ensemble: Ensemble,
    caplog: pytest.LogCaptureFixture,
) -> None:
    generator = np.random.default_rng(0)
    task = dataclasses.replace(task, settings=InferenceSettings(mirroring=mirroring), time_limit=time_limit)
    clicks = []
    caplog.clear()
    with caplog.at_level("INFO", "lesionclick"):
        for iteration in range(6):
            clicks += [random_click(generator)] if iteration else []
            write_clicks(clicks, task.case_folder / "lesion-clicks.json")
            caplog.clear()
            kept = run(task, ensemble)
            (computed,) = computed_tiles(caplog)
            caplog.clear()
            fresh = run(dataclasses.replace(task, state=None), ensemble)
            assert iteration == 0 or computed < computed_tiles(caplog)[0]
            for found, expected in zip(kept, fresh, strict=True):
                np.testing.assert_array_equal(found, expected)
    assert "is ignored" not in caplog.text


def spoil_document(folder: Path) -> None:
    path = folder / "session.json"
    content = json.loads(path.read_text())
    content["tiles"] = [None]
    path.write_text(json.dumps(content))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "half a document": (lambda folder: (folder / "session.json").write_text("{"), "not a JSON file"),
    "another document": (spoil_document, "is damaged"),
    "no document": (lambda folder: (folder / "session.json").unlink(), "holds no session.json"),
}


@pytest.mark.parametrize(("damage", "reason"), DAMAGE.values(), ids=DAMAGE)
def test_a_broken_state_is_ignored_with_a_warning_and_replaced(
    damage: Callable[[Path], object],
    reason: str,
    task: CaseTask,
    ensemble: Ensemble,
    caplog: pytest.LogCaptureFixture,
) -> None:
    expected = run(task, ensemble)
    damage(folder_of(task))
    found = run(task, ensemble)
    (warning,) = [line for line in caplog.messages if line.startswith("the state of an earlier call is ignored: ")]
    assert reason in warning
    np.testing.assert_array_equal(found, expected)
    caplog.clear()
    run(task, ensemble)
    assert "is ignored" not in caplog.text


def test_damaged_tiles_are_computed_again(task: CaseTask, ensemble: Ensemble, caplog: pytest.LogCaptureFixture) -> None:
    expected = run(task, ensemble)
    tiles = sorted((folder_of(task) / "parts").iterdir())
    tiles[0].write_bytes(tiles[0].read_bytes()[::-1])
    caplog.clear()
    with caplog.at_level("INFO", "lesionclick"):
        np.testing.assert_array_equal(run(task, ensemble), expected)
    assert computed_tiles(caplog) == [1]


def make_other(change: str, task: CaseTask, ensemble: Ensemble, folder: Path) -> tuple[CaseTask, Ensemble]:
    """The task and the ensemble of a call that is of no use for what was kept."""
    settings: dict[str, Any] = {
        "settings": {"networks": Networks.all},
        "post-processing": {"post_processing": PostProcessing(obey_clicks=True)},
    }
    if change in settings:
        return dataclasses.replace(task, settings=InferenceSettings(**settings[change])), ensemble
    if change == "model":
        return task, load(write_model(folder / "other", make_plans(spacing=(5, 5, 5)), folds=(0, 1, 2), seed=7))
    if change == "CT":
        ct, _ = body(SHAPE, seed=5)
        sitk.WriteImage(image_from(ct, (5, 5, 5)), str(task.case_folder / "images" / "ct" / "case.mha"))
    return task, ensemble


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("settings", "was saved with other settings"),
        ("post-processing", "was saved with other settings"),
        ("model", "was saved with another model, version or device"),
        ("version", "was saved with another model, version or device"),
        ("CT", "was saved of another CT than that of the case"),
    ],
)
def test_what_another_call_kept_is_ignored_with_a_warning(
    change: str,
    reason: str,
    task: CaseTask,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ensemble = make_ensemble(tmp_path / "model")
    run(task, ensemble)
    other_task, other = make_other(change, task, ensemble, tmp_path)
    if change == "version":
        monkeypatch.setattr("lesionclick.__version__", "0.0.1")
        other = load(tmp_path / "model")
    found = run(other_task, other)
    (warning,) = [line for line in caplog.messages if line.startswith("the state of an earlier call is ignored: ")]
    assert reason in warning
    np.testing.assert_array_equal(found, run(dataclasses.replace(other_task, state=None), other))


def test_a_name_of_the_images_makes_no_difference(
    task: CaseTask, ensemble: Ensemble, caplog: pytest.LogCaptureFixture
) -> None:
    """The platform gives files new names at each call."""
    run(task, ensemble)
    for kind in ("ct", "pet"):
        (path,) = (task.case_folder / "images" / kind).iterdir()
        path.rename(path.with_name(f"{kind}-other.mha"))
    caplog.clear()
    with caplog.at_level("INFO", "lesionclick"):
        assert process_case(task, lambda: ensemble, 0.0).name == "ct-other.mha"
    assert computed_tiles(caplog) == [0]


def test_a_state_that_cannot_be_kept_is_a_warning(
    task: CaseTask, ensemble: Ensemble, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = run(dataclasses.replace(task, state=None), ensemble)

    def fail(*_: object) -> None:
        raise CaseError("tile.bin: cannot be written: No space left on device")

    with monkeypatch.context() as full:
        full.setattr("lesionclick.session.tile_files.TileFiles.write", fail)
        np.testing.assert_array_equal(run(task, ensemble), expected)
    assert "the state is not kept for the next call: tile.bin: cannot be written" in caplog.text
    assert not folder_of(task).exists()
    (task.case_folder.parent / "file").touch()
    blocked = dataclasses.replace(task, state=task.case_folder.parent / "file")
    caplog.clear()
    np.testing.assert_array_equal(run(blocked, ensemble), expected)
    assert "the state is not kept for the next call: " in caplog.text


def test_it_is_bounded_and_leaves_what_others_keep_there(
    task: CaseTask, ensemble: Ensemble, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert task.state is not None
    task.state.mkdir()
    (task.state / "notes.txt").write_text("mine")
    tile_bytes = 4 * 16**3
    monkeypatch.setattr(state, "STATE_BYTES", 5 * tile_bytes)
    generator = np.random.default_rng(1)
    for _ in range(3):
        write_clicks([random_click(generator) for _ in range(5)], task.case_folder / "lesion-clicks.json")
        kept = run(task, ensemble)
        np.testing.assert_array_equal(kept, run(dataclasses.replace(task, state=None), ensemble))
        assert 0 < sum(path.stat().st_size for path in (folder_of(task) / "parts").iterdir()) < 6 * tile_bytes
    assert (task.state / "notes.txt").read_text() == "mine"
    assert sorted(path.name for path in task.state.iterdir()) == [state.FOLDER_NAME, "notes.txt"]


def test_nothing_is_gone_on_with_where_a_limit_changes_how_results_are_rounded(
    task: CaseTask, ensemble: Ensemble, caplog: pytest.LogCaptureFixture
) -> None:
    everything = dataclasses.replace(task, settings=InferenceSettings(mirroring=Mirroring.all))
    run(everything, ensemble)
    limited = dataclasses.replace(everything, time_limit=1e9)
    expected = run(dataclasses.replace(limited, state=None), ensemble)
    caplog.clear()
    with caplog.at_level("INFO", "lesionclick"):
        np.testing.assert_array_equal(run(limited, ensemble), expected)
    assert computed_tiles(caplog)[0] > 0


def test_what_a_limit_cut_short_is_computed_anew(
    task: CaseTask, ensemble: Ensemble, caplog: pytest.LogCaptureFixture
) -> None:
    cut_short = dataclasses.replace(task, time_limit=0.0)  # one pass of three
    first = run(dataclasses.replace(cut_short, state=None), ensemble)
    np.testing.assert_array_equal(run(cut_short, ensemble), first)
    np.testing.assert_array_equal(run(cut_short, ensemble), first)
    expected = run(dataclasses.replace(task, state=None), ensemble)
    np.testing.assert_array_equal(run(dataclasses.replace(task, time_limit=1e9), ensemble), expected)


def test_a_failing_report_leaves_no_mask(
    task: CaseTask, ensemble: Ensemble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise CaseError("report.json: cannot be written: No space left on device")

    monkeypatch.setattr("lesionclick.container.one_case.write_json", fail)
    with pytest.raises(CaseError, match=r"report\.json"):
        process_case(dataclasses.replace(task, report=tmp_path / "report.json"), lambda: ensemble, 0.0)
    assert not [path for folder in (tmp_path / "out", tmp_path / "cache") for path in folder.rglob("*.mha")]
    assert not (tmp_path / "p.npz").exists()
