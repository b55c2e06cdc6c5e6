import json
import logging
from pathlib import Path

import numpy as np
import pytest
from helpers_data import AUTOPET_CASES, SHAPE, make_image, write_release, write_release_clicks

from lesionclick.case.dataset import case_names
from lesionclick.errors import CaseError
from lesionclick_training.data.autopet import convert_autopet
from lesionclick_training.data.nnunet_layout import adding_cases, stack_label, write_case, write_dataset_json
from lesionclick_training.data.splits import write_splits


def test_cases_added_later_join_the_training_side_of_every_fold(tmp_path: Path) -> None:
    dataset = tmp_path / "Dataset221_AutoPET"
    convert_autopet(write_release(tmp_path / "release"), dataset)
    before = json.loads((dataset / "splits_final.json").read_text())
    write_dataset_json(dataset, "for tests")
    image = make_image(np.zeros(SHAPE, np.float32))

    with adding_cases(dataset) as staged:
        write_case(staged, "more", image, image, stack_label(np.zeros(SHAPE, np.uint8)))

    after = json.loads((dataset / "splits_final.json").read_text())
    assert after == [{"train": [*fold["train"], "more"], "val": fold["val"]} for fold in before]
    content = json.loads((dataset / "dataset.json").read_text())
    assert (content["numTraining"], content["description"]) == (len(AUTOPET_CASES) + 1, "for tests")
    with pytest.raises(CaseError, match="has a case more already"), adding_cases(dataset) as staged:
        write_case(staged, "more", image, image, stack_label(np.zeros(SHAPE, np.uint8)))


def add_case(dataset: Path, name: str, extend: Path | None = None) -> None:
    """Adds a case of nothing; where the dataset extends another it has a description of its own."""
    image = make_image(np.zeros(SHAPE, np.float32))
    with adding_cases(dataset, "more" if extend else "", extend) as staged:
        write_case(staged, name, image, image, stack_label(np.zeros(SHAPE, np.uint8)))


def test_a_larger_dataset_has_the_cases_and_splits_of_the_smaller(tmp_path: Path) -> None:
    small, large = tmp_path / "Dataset221_AutoPET", tmp_path / "Dataset222_More"
    clicks = write_release_clicks(tmp_path / "clicks")
    convert_autopet(write_release(tmp_path / "release"), small, clicks)
    write_dataset_json(small, "for tests")
    before = {path: path.read_bytes() for path in small.rglob("*") if path.is_file()}

    add_case(large, "new", small)

    assert case_names(large) == sorted([*AUTOPET_CASES, "new"])
    for folder in ("imagesTr", "labelsTr", "clicks"):
        for path in (small / folder).iterdir():
            assert (large / folder / path.name).read_bytes() == path.read_bytes()
    splits, smaller_splits = (json.loads((folder / "splits_final.json").read_text()) for folder in (large, small))
    assert splits == [{"train": [*fold["train"], "new"], "val": fold["val"]} for fold in smaller_splits]
    content = json.loads((large / "dataset.json").read_text())
    assert (content["name"], content["numTraining"]) == ("Dataset222_More", len(AUTOPET_CASES) + 1)
    assert content["description"] == "for tests; more"
    assert {path: path.read_bytes() for path in small.rglob("*") if path.is_file()} == before


def test_a_smaller_dataset_without_splits_gets_those_of_the_larger(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    small, large = tmp_path / "Dataset901_Small", tmp_path / "Dataset902_Large"
    for index in range(5):
        add_case(small, f"case_{index}")
    with caplog.at_level(logging.INFO, logger="lesionclick"):
        add_case(large, "new", small)
    assert f"{small / 'splits_final.json'}: written" in caplog.text
    validated = [
        [fold["val"] for fold in json.loads((each / "splits_final.json").read_text())] for each in (small, large)
    ]
    assert validated[0] == validated[1]
    assert sorted(name for cases in validated[0] for name in cases) == [f"case_{index}" for index in range(5)]


def test_what_a_dataset_cannot_extend_is_refused(tmp_path: Path) -> None:
    small, large = tmp_path / "Dataset901_Small", tmp_path / "Dataset902_Large"
    add_case(small, "fdg_a_1")
    with pytest.raises(CaseError, match=r"has no splits_final\.json, and its 1 cases of 1 patients cannot be split"):
        add_case(large, "new", small)
    write_splits(small, [{"train": ["other"], "val": ["fdg_a_1"]}])
    with pytest.raises(CaseError, match="names the case other"):
        add_case(large, "new", small)
    with pytest.raises(CaseError, match="expected the folder of a dataset to extend"):
        add_case(large, "new", tmp_path / "Dataset903_Missing")
    with pytest.raises(CaseError, match="Dataset901_Small: exists already, expected the name of a dataset to make"):
        add_case(small, "new", small)
    assert not large.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["Dataset901_Small"]


def test_a_study_of_a_patient_who_is_validated_on_is_refused(tmp_path: Path) -> None:
    small, large = tmp_path / "Dataset901_Small", tmp_path / "Dataset902_Large"
    for name in ("fdg_a_1", "fdg_b_1"):
        add_case(small, name)
    write_splits(small, [{"train": ["fdg_a_1"], "val": ["fdg_b_1"]}])
    for dataset, extend in ((large, small), (small, None)):
        with pytest.raises(CaseError, match="fdg_b_2 is of the patient of fdg_b_1, which fold 0 is validated on"):
            add_case(dataset, "fdg_b_2", extend)
        with pytest.raises(CaseError, match="has a case fdg_b_1 already"):
            add_case(dataset, "fdg_b_1", extend)
    add_case(large, "fdg_a_2", small)


def test_an_image_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    image = make_image(np.zeros(SHAPE, np.float32))
    (tmp_path / "imagesTr").write_text("in the way")
    with pytest.raises(CaseError, match=r"imagesTr/case_0000\.nii\.gz: cannot be written: "):
        write_case(tmp_path, "case", image, image, stack_label(np.zeros(SHAPE, np.uint8)))
