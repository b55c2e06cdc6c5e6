from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from lesionclick.case.clicks import Click, write_clicks
from lesionclick.case.dataset import Dataset, LabelledCase
from lesionclick.errors import CaseError
from lesionclick.inference.ensemble import Ensemble
from lesionclick.inference.settings import InferenceSettings
from lesionclick.session.session import Session
from lesionclick.simulation.readers import first_clicks
from lesionclick.testing import make_plans, write_model
from lesionclick_training.data.nnunet_layout import stack_label, write_case
from lesionclick_training.data.splits import write_splits
from lesionclick_training.study.validation import find_fold, validate

SHAPE = (18, 20, 22)


def images(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    ct = generator.uniform(-900, 900, SHAPE).astype(np.float32)
    pet = generator.uniform(0.1, 5, SHAPE).astype(np.float32)
    lesion = np.zeros(SHAPE, dtype=np.uint8)
    lesion[3:7, 4:8, 5:9] = lesion[12, 12, 12] = 1
    return ct, pet, lesion


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ct, pet, lesion = images()
    folder = tmp_path / "Dataset900_Test"
    for name, label in (("a", stack_label(lesion, lesion * 3)), ("b", stack_label(np.zeros_like(lesion)))):
        write_case(folder, name, sitk.GetImageFromArray(ct), sitk.GetImageFromArray(pet), label)
    return folder


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> Ensemble:
    plans = make_plans(spacing=(1.0, 1.0, 1.0))
    return Ensemble.load(write_model(tmp_path_factory.mktemp("model") / "m", plans), "cpu")


def test_lesions_are_read_from_a_label_with_organs(folder: Path) -> None:
    dataset = Dataset.find(folder)
    assert dataset.names == ("a", "b")
    a, b = (dataset.read(name) for name in dataset.names)
    ct, pet, lesion = images()
    np.testing.assert_array_equal(a.lesion_zyx, lesion)  # not the organs of the second channel
    np.testing.assert_array_equal(a.case.ct_zyx, ct)
    np.testing.assert_array_equal(a.case.pet_zyx, pet)
    assert not b.lesion_zyx.any()


def test_rows_hold_what_the_engine_predicts_at_each_step(folder: Path, ensemble: Ensemble, tmp_path: Path) -> None:
    dataset = Dataset.find(folder)
    clicks = (Click(5, 4, 3, "tumor"), Click(6, 5, 4, "tumor"), Click(0, 0, 0, "background"))
    write_clicks(clicks, tmp_path / "a_clicks.json")
    table = validate(ensemble, dataset, ["a"], tmp_path, inference=InferenceSettings(), steps=(0, 2))
    assert [(row.case, row.step, row.source) for row in table.rows] == [("a", 0, "official"), ("a", 2, "official")]
    truth = dataset.read("a")
    for row in table.rows:
        mask = Session(ensemble, truth.case).predict(first_clicks(clicks, row.step)).mask
        overlap = np.logical_and(mask, truth.lesion_zyx).sum()
        assert row.dice == pytest.approx(2 * overlap / (mask.sum() + truth.lesion_zyx.sum()), abs=1e-6)
    assert table.rows[0].dice != table.rows[1].dice


def test_a_validation_that_was_killed_goes_on_with_the_next_case(
    folder: Path, ensemble: Ensemble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, names = Dataset.find(folder), ["b", "a"]
    whole, out = tmp_path / "whole.csv", tmp_path / "killed.csv"
    table = validate(ensemble, dataset, names, inference=InferenceSettings(), steps=(0, 2), out=whole)
    assert table.cases == ("b", "a")
    read: list[str] = []

    def read_until_killed(self: Dataset, name: str, clicks_folder: Path | None = None) -> LabelledCase:
        read.append(name)
        if read == ["b", "a"]:
            raise KeyboardInterrupt
        return read_case(self, name, clicks_folder)

    read_case = Dataset.read
    monkeypatch.setattr(Dataset, "read", read_until_killed)
    with pytest.raises(KeyboardInterrupt):
        validate(ensemble, dataset, names, inference=InferenceSettings(), steps=(0, 2), out=out)
    assert not out.exists()
    with pytest.raises(CaseError, match="begun with another 'steps'"):
        validate(ensemble, dataset, names, inference=InferenceSettings(), steps=(0, 1), out=out)
    with pytest.raises(CaseError, match="begun with another 'clicks'"):
        validate(ensemble, dataset, names, folder, inference=InferenceSettings(), steps=(0, 2), out=out)
    validate(ensemble, dataset, names, inference=InferenceSettings(), steps=(0, 2), out=out)
    assert read == ["b", "a", "a"]
    assert out.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Dataset900_Test", "killed.csv", "whole.csv"]


def test_a_fold_has_its_own_cases(folder: Path) -> None:
    write_splits(folder, [{"train": ["a"], "val": ["b"]}])
    assert find_fold(Dataset.find(folder), 0) == ["b"]
    with pytest.raises(CaseError, match="has no fold 1, it has 1"):
        find_fold(Dataset.find(folder), 1)


def test_splits_other_than_those_of_training_are_refused(folder: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw" / folder.name
    raw.parent.mkdir()
    folder.rename(raw)
    preprocessed = tmp_path / "preprocessed" / folder.name
    write_splits(raw, [{"train": ["a"], "val": ["b"]}])
    write_splits(preprocessed, [{"train": ["b"], "val": ["a"]}])
    with pytest.raises(CaseError, match=r"preprocessed/.* holds other splits than .*raw/.*, expected the same"):
        find_fold(Dataset.find(raw), 0)
    assert find_fold(Dataset.find(raw), 0, preprocessed / "splits_final.json") == ["a"]  # asked for by name
    write_splits(preprocessed, [{"train": ["a"], "val": ["b"]}])
    assert find_fold(Dataset.find(raw), 0) == ["b"]
