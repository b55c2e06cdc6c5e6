from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from benchmarks.masks import dice
from benchmarks.processes import stock
from benchmarks.runs import STAGES
from benchmarks.stock_checkpoints import write_checkpoints
from lesionclick import Case, Ensemble, InferenceSettings, Session
from lesionclick.inference.settings import FieldOfView, Mirroring, Networks
from lesionclick.model.folder import ModelFolder


@pytest.mark.slow
def test_stock_folder_predicts_the_same(case_folder: Path, model_folder: Path, tmp_path: Path) -> None:
    folder = write_checkpoints(ModelFolder.read(model_folder), tmp_path / "stock", stock=True)
    figures = stock.run(case_folder, folder, tmp_path / "stock.mha", "cpu", True, 0.0)
    assert {*STAGES, "total", "memory"} <= figures.keys()

    ensemble = Ensemble.load(model_folder, "cpu", backend="torch", precision="float32")
    settings = InferenceSettings(FieldOfView.full, Mirroring.all, Networks.all)
    ours = Session(ensemble, Case.read(case_folder), settings).predict().mask
    theirs = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "stock.mha")))
    assert 0.1 < ours.mean() < 0.9
    assert dice(ours, theirs) >= 0.99


def test_our_reader_takes_the_checkpoints_too(model_folder: Path, tmp_path: Path) -> None:
    model = ModelFolder.read(model_folder)
    copy = ModelFolder.read(write_checkpoints(model, tmp_path / "copy", stock=False))
    for fold, copied in zip(model.folds, copy.folds, strict=True):
        pairs = zip(model.load(fold).parameters(), copy.load(copied).parameters(), strict=True)
        assert all(np.array_equal(first, second) for first, second in pairs)
