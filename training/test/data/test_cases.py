"""Cases in the container's layout that join a dataset, with and without a place on the validation side."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from helpers_case import make_lesions, write_dataset, write_labelled_case
from helpers_data import SHAPE, file_names, make_image, read_stored

from lesionclick.case.case import TRUTH_FILE
from lesionclick.case.dataset import Dataset, case_names
from lesionclick.errors import CaseError
from lesionclick_training.data.cases import convert_cases
from lesionclick_training.data.nnunet_layout import UNKNOWN, adding_cases, stack_label, write_case
from lesionclick_training.data.splits import Splits, make_splits, write_splits

REAL = tuple(f"sts_fdg_{index:03d}" for index in range(6))

PHANTOMS = tuple(f"base_fdg_{index:05d}" for index in range(5))


def write_cases(folder: Path, names: tuple[str, ...] = REAL) -> Path:
    for seed, name in enumerate(names):
        write_labelled_case(folder / name, make_lesions(), seed)
    return folder


def write_phantoms(dataset: Path, names: tuple[str, ...] = PHANTOMS) -> Path:
    image, lesion = make_image(np.zeros(SHAPE, np.float32)), np.zeros(SHAPE, np.uint8)
    with adding_cases(dataset, "of phantoms") as staged:
        for name in names:
            write_case(staged, name, image, image, stack_label(lesion, lesion))
    return dataset


def read_folds(dataset: Path) -> Splits:
    folds: Splits = json.loads((dataset / "splits_final.json").read_text())
    return folds


def test_a_case_keeps_its_images_lesions_and_clicks_and_no_organ_is_known(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cases, dataset = write_dataset(tmp_path / "cases"), tmp_path / "Dataset301_Real"
    with caplog.at_level(logging.WARNING, "lesionclick"):
        assert convert_cases(cases.folder, dataset) == list(cases.names)
    assert "3 of 3 cases have no organ label" in caplog.text
    converted = Dataset.find(dataset)
    assert converted.names == cases.names
    for name in cases.names:
        before, after = cases.read(name), converted.read(name)
        np.testing.assert_array_equal(after.case.ct_zyx, before.case.ct_zyx)
        np.testing.assert_array_equal(after.case.pet_zyx, before.case.pet_zyx)
        np.testing.assert_array_equal(after.lesion_zyx, before.lesion_zyx)
        assert after.case.clicks == before.case.clicks
        assert after.has_click_file == before.has_click_file == (name != "base_fdg_2")
        assert (read_stored(dataset, name)[1][1] == UNKNOWN).all()
    assert not (dataset / "splits_final.json").exists()


def test_without_more_ado_cases_join_the_training_side(tmp_path: Path) -> None:
    dataset = write_phantoms(tmp_path / "Dataset301_Both")
    before = make_splits(PHANTOMS)
    write_splits(dataset, before)
    convert_cases(write_cases(tmp_path / "cases"), dataset)
    assert read_folds(dataset) == [{"train": [*fold["train"], *REAL], "val": fold["val"]} for fold in before]


def require_cross_validated(folds: Splits, only_trained_on: tuple[str, ...] = ()) -> None:
    assert sorted(name for fold in folds for name in fold["val"]) == list(REAL)
    for fold in folds:
        assert set(fold["train"]) == {*REAL, *only_trained_on} - set(fold["val"])


def test_cases_are_cross_validated_alone(tmp_path: Path) -> None:
    convert_cases(write_cases(tmp_path / "cases"), tmp_path / "Dataset301_Real", cross_validate=True)
    folds = read_folds(tmp_path / "Dataset301_Real")
    assert len(folds) == 5
    require_cross_validated(folds)


@pytest.mark.parametrize("count", [None, 3])
def test_cases_are_cross_validated_beside_phantoms_which_are_trained_on_alone(
    tmp_path: Path, count: int | None
) -> None:
    phantoms = write_phantoms(tmp_path / "Dataset301_Phantoms")
    if count is not None:
        write_splits(phantoms, make_splits(PHANTOMS, count))
    before = {path: path.read_bytes() for path in phantoms.rglob("*") if path.is_file()}
    both = tmp_path / "Dataset302_Both"
    cases = write_cases(tmp_path / "cases")
    convert_cases(cases, both, cross_validate=True, extend=phantoms)
    assert {path: path.read_bytes() for path in phantoms.rglob("*") if path.is_file()} == before
    convert_cases(cases, phantoms, cross_validate=True)
    for dataset in (both, phantoms):
        assert case_names(dataset) == sorted([*PHANTOMS, *REAL])
        assert len(read_folds(dataset)) == (count or 5)
        require_cross_validated(read_folds(dataset), PHANTOMS)
    assert json.loads((both / "dataset.json").read_text())["description"] == "of phantoms"


def test_studies_of_one_patient_are_never_on_both_sides(tmp_path: Path) -> None:
    dataset = write_phantoms(tmp_path / "Dataset301_Both", ("fdg_a_1", "fdg_b_1"))
    cases = write_cases(tmp_path / "cases", tuple(f"fdg_{patient}_2" for patient in "cdefga"))
    with pytest.raises(CaseError, match="new case fdg_a_2 is of the patient of fdg_a_1, which every fold is trained"):
        convert_cases(cases, dataset, cross_validate=True)
    assert case_names(dataset) == ["fdg_a_1", "fdg_b_1"]
    assert not (dataset / "splits_final.json").exists()


def test_too_few_cases_for_folds_are_refused(tmp_path: Path) -> None:
    cases = write_cases(tmp_path / "cases", REAL[:4])
    with pytest.raises(CaseError, match="4 cases of 4 patients cannot be split into 5 folds"):
        convert_cases(cases, tmp_path / "raw" / "Dataset301_Real", cross_validate=True)
    assert file_names(tmp_path / "raw") == []


def test_a_broken_case_leaves_nothing(tmp_path: Path) -> None:
    cases, dataset = write_cases(tmp_path / "cases"), tmp_path / "raw" / "Dataset301_Real"
    (cases / REAL[2] / TRUTH_FILE).unlink()
    with pytest.raises(CaseError, match="the truth is missing"):
        convert_cases(cases, dataset)
    with pytest.raises(CaseError, match="holds no case"):
        convert_cases(cases / REAL[0] / "images", dataset)
    assert file_names(tmp_path / "raw") == []


def test_nnunets_layout_is_refused_whose_organs_would_be_lost(tmp_path: Path) -> None:
    phantoms = write_phantoms(tmp_path / "Dataset301_Phantoms")
    with pytest.raises(CaseError, match=r"Dataset301_Phantoms: has nnU-Net's layout already, expected cases"):
        convert_cases(phantoms, tmp_path / "Dataset302_Real")
