from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from benchmarks import engine, stock
from lesionclick import Case, Ensemble, Session
from lesionclick.model.folder import ModelFolder

LOG = """
0.00 WARNING something before
4.30 INFO reading the case: 0.3 s
4.50 INFO checking the model: 0.2 s
4.51 INFO model: model, 2 networks, on cpu, openvino, bfloat16
4.52 WARNING model: random weights
5.00 INFO preprocessing: 0.4 s
5.10 INFO network: 6 of 6 tiles, 2 networks
7.00 INFO forward passes: 96
7.10 INFO prediction: 2.1 s
7.20 INFO resampling to the image: 0.1 s
7.50 INFO writing: 0.3 s
"""


def test_log_says_what_each_stage_took() -> None:
    lines = [line.split(maxsplit=1) for line in LOG.strip().splitlines()]
    run = engine.read_log((float(moment), text) for moment, text in lines)
    expected = {"import": 4.0, "load": 0.2, "preprocessing": 0.9, "network": 2.0, "gpu memory": 0.0}
    assert run.figures == pytest.approx(expected)
    assert (run.passes, run.precision) == (96, "bfloat16")


def test_process_is_measured_stage_by_stage(case_folder: Path, model_folder: Path, tmp_path: Path) -> None:
    run = engine.run_ours(case_folder, model_folder, tmp_path / "output", "cpu", False)
    assert run.passes % 2 == 0
    assert sum(run.figures[stage] for stage in engine.STAGES) == pytest.approx(run.figures["total"])
    assert all(run.figures[stage] > 0 for stage in engine.STAGES)
    assert 0.1 < run.figures["memory"] < 3


def test_failed_process_ends_the_benchmark() -> None:
    with pytest.raises(SystemExit, match="out of luck"):
        engine.launch(["-c", "raise SystemExit('out of luck')"])


def test_stock_folder_predicts_the_same(case_folder: Path, model_folder: Path, tmp_path: Path) -> None:
    folder = engine.write_checkpoints(ModelFolder.read(model_folder), tmp_path / "stock", stock=True)
    figures = stock.run(case_folder, folder, tmp_path / "stock.mha", "cpu", True, 0.0)
    assert {*engine.STAGES, "total", "memory"} <= figures.keys()

    ensemble = Ensemble.load(model_folder, "cpu", backend="torch", precision="float32")
    ours = Session(ensemble, Case.read(case_folder), "full").predict().mask
    theirs = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "stock.mha")))
    assert 0.1 < ours.mean() < 0.9
    assert engine.dice(ours, theirs) >= 0.99


def test_our_reader_takes_the_checkpoints_too(model_folder: Path, tmp_path: Path) -> None:
    model = ModelFolder.read(model_folder)
    copy = ModelFolder.read(engine.write_checkpoints(model, tmp_path / "copy", stock=False))
    for fold, copied in zip(model.folds, copy.folds, strict=True):
        pairs = zip(model.load(fold).parameters(), copy.load(copied).parameters(), strict=True)
        assert all(np.array_equal(first, second) for first, second in pairs)


def test_dice() -> None:
    mask = np.array([0, 1, 1, 0], dtype=np.uint8)
    assert engine.dice(mask, mask) == 1
    assert engine.dice(mask, np.roll(mask, 1)) == 0.5
    assert engine.dice(0 * mask, 0 * mask) == 1
