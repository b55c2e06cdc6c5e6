import math
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from benchmarks.random_model import make_plans, write_model
from lesionclick.case import Case, Geometry
from lesionclick.clicks import Click, write_clicks
from lesionclick.ensemble import Ensemble
from lesionclick.errors import CaseError
from lesionclick.metrics import Detection, Metrics
from lesionclick.session import Session
from lesionclick_training.nnunet_layout import stack_label, write_case
from lesionclick_training.validation import (
    Row,
    Truth,
    first_clicks,
    read_dataset,
    summarize,
    validate,
    write_rows,
)

SHAPE = (18, 20, 22)


def images(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    ct = generator.uniform(-900, 900, SHAPE).astype(np.float32)
    pet = generator.uniform(0.1, 5, SHAPE).astype(np.float32)
    lesion = np.zeros(SHAPE, dtype=np.uint8)
    lesion[3:7, 4:8, 5:9] = lesion[12, 12, 12] = 1
    return ct, pet, lesion


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    ct, pet, lesion = images()
    folder = tmp_path / "Dataset900_Test"
    for name, label in (("a", stack_label(lesion, lesion * 3)), ("b", stack_label(np.zeros_like(lesion)))):
        write_case(folder, name, sitk.GetImageFromArray(ct), sitk.GetImageFromArray(pet), label)
    return folder


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> Ensemble:
    plans = make_plans(spacing=(1.0, 1.0, 1.0))
    return Ensemble.load(write_model(tmp_path_factory.mktemp("model") / "m", plans), "cpu")


def test_first_clicks_are_so_many_of_each_label() -> None:
    clicks = [Click(i, 0, 0, "tumor") for i in range(4)] + [Click(i, 1, 0, "background") for i in range(2)]
    assert first_clicks(clicks, 0) == ()
    assert first_clicks(clicks, 3) == (*clicks[:3], *clicks[4:])
    assert first_clicks(clicks[::-1], 1) == (clicks[3], clicks[5])


def test_dataset_is_read_with_lesions_alone_and_simulated_clicks(dataset: Path) -> None:
    a, b = read_dataset(dataset, ["a", "b"])
    ct, pet, lesion = images()
    np.testing.assert_array_equal(a.lesion_zyx, lesion)  # not the organs of the second channel
    np.testing.assert_array_equal(a.case.ct_zyx, ct)
    np.testing.assert_array_equal(a.case.pet_zyx, pet)
    tumor = [click for click in a.case.clicks if click.label == "tumor"]
    assert len(tumor) == 10
    assert all(lesion[click.z, click.y, click.x] for click in tumor)
    assert not any(click.label == "tumor" for click in b.case.clicks)


def test_official_clicks_are_used_where_given(dataset: Path, tmp_path: Path) -> None:
    clicks = (Click(5, 4, 3, "tumor"), Click(0, 0, 0, "background"))
    write_clicks(clicks, tmp_path / "a_clicks.json")
    (a,) = read_dataset(dataset, ["a"], tmp_path)
    assert a.case.clicks == clicks
    with pytest.raises(CaseError, match=r"b_clicks\.json: the clicks file is missing"):
        list(read_dataset(dataset, ["b"], tmp_path))


@pytest.mark.parametrize("part", ["imagesTr/a_0000", "imagesTr/a_0001", "labelsTr/a"])
def test_broken_dataset_is_one_sentence(part: str, dataset: Path) -> None:
    path = dataset / f"{part}.nii.gz"
    path.write_bytes(b"text")
    with pytest.raises(CaseError, match=rf"{part}\.nii\.gz: is not an image"):
        list(read_dataset(dataset, ["a"]))
    path.unlink()
    with pytest.raises(CaseError, match=rf"{part}\.nii\.gz: the file is missing"):
        list(read_dataset(dataset, ["a"]))


def test_label_of_another_size_is_refused(dataset: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 4, 5), np.uint8)), str(dataset / "labelsTr" / "a.nii.gz"))
    with pytest.raises(CaseError, match="label, CT and PET of the case differ in size"):
        list(read_dataset(dataset, ["a"]))


def test_rows_hold_what_the_engine_predicts_at_each_step(dataset: Path, ensemble: Ensemble) -> None:
    (truth,) = read_dataset(dataset, ["a"])
    rows = list(validate(ensemble, [truth], (0, 2), mirroring=False))
    assert [(row.case, row.clicks) for row in rows] == [("a", 0), ("a", 2)]
    for row in rows:
        mask = Session(ensemble, truth.case).predict(first_clicks(truth.case.clicks, row.clicks), mirroring=False).mask
        overlap = np.logical_and(mask, truth.lesion_zyx).sum()
        assert row.metrics.dice == pytest.approx(2 * overlap / (mask.sum() + truth.lesion_zyx.sum()), abs=1e-6)
    assert rows[0].metrics != rows[1].metrics


def test_volumes_are_those_of_the_cases_grid(ensemble: Ensemble) -> None:
    ct, pet, lesion = images()
    geometry = Geometry(SHAPE[::-1], (1.0, 1.0, 1.0), (0.0,) * 3, (1.0, 0, 0, 0, 1, 0, 0, 0, 1))
    (row,) = validate(ensemble, [Truth(Case("c", ct, pet, geometry), lesion * 0)], (0,), mirroring=False)
    mask = Session(ensemble, Case("c", ct, pet, geometry)).predict([], mirroring=False).mask
    assert row.metrics.false_positive_volume == pytest.approx(mask.sum() / 1000)
    assert math.isnan(row.metrics.dice)


def test_table_leaves_out_what_is_not_defined(tmp_path: Path) -> None:
    def metrics(dice: float, volume: float, missed: float) -> Metrics:
        return Metrics(dice, volume, missed, Detection(1, 0, 0))

    rows = [
        Row("a", 0, metrics(0.5, 2.0, 4.0)),
        Row("a", 10, metrics(0.9, 0.0, 0.0)),
        Row("b", 0, metrics(math.nan, 4.0, math.nan)),
        Row("b", 10, metrics(math.nan, 1.0, math.nan)),
    ]
    assert write_rows(iter(rows), tmp_path / "out" / "rows.csv") == rows
    assert (tmp_path / "out" / "rows.csv").read_text().splitlines()[:2] == [
        "case,clicks,dice,false_positive_ml,false_negative_ml,detection_f1",
        "a,0,0.500000,2.000000,4.000000,1.000000",
    ]
    assert summarize(rows).splitlines() == [
        "| clicks a label (2 cases) | Dice | FPvol, ml | FNvol, ml | detection F1 |",
        "| --- | --- | --- | --- | --- |",
        "| 0 | 0.500 | 3.00 | 4.00 | 1.000 |",
        "| 10 | 0.900 | 0.50 | 0.00 | 1.000 |",
        "| AUC, unit steps | 0.700 | 1.75 | 2.00 | 1.000 |",
    ]
