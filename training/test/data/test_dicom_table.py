import json
from pathlib import Path

import numpy as np
import pytest
from helpers_data import read_stored, write_release
from helpers_dicom import PET_SHAPE, SyntheticStudy

from lesionclick.errors import CaseError
from lesionclick_training.data.autopet import convert_autopet
from lesionclick_training.data.dicom_table import TableResult, convert_dicom_table
from lesionclick_training.data.nnunet_layout import UNKNOWN


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """Two studies with lungs and a tumor, the second also with a second CT, and one with lungs alone."""
    folder = tmp_path / "collection"
    lung, tumor = (np.zeros(PET_SHAPE, dtype=np.uint8) for _ in range(2))
    lung[2, 2, 2] = tumor[1, 2, 3] = 1
    for name, segments in (
        ("a", {"Lung": lung, "Tumor": tumor}),
        ("b", {"Lung": lung, "Tumor": tumor}),
        ("c", {"Lung": lung}),
    ):
        study = SyntheticStudy()
        study.write(folder / name)
        study.write_segmentation(folder / name / "seg.dcm", segments, study.pet)
    return folder


def write_table(collection: Path, *lines: str) -> Path:
    path = collection / "table.csv"
    path.write_text("\ufeffstudy,name,segments,annotated_segments,without_lesions,organs\n" + "\n".join(lines) + "\n")
    return path


def test_each_row_becomes_a_case(collection: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = write_table(collection, "a,first,Tumor,,,", "b,,Tumor;T*,Lung,no,", "c,third,,Lung,yes,")
    dataset = tmp_path / "Dataset301_Lung"
    assert convert_dicom_table(table, dataset, 0.0) == TableResult(("first", "b", "third"), (), ())
    first, second, third = (read_stored(dataset, name)[1][0] for name in ("first", "b", "third"))
    assert sorted(np.unique(first)) == [0, 1]  # the lungs are no lesion, and everything is annotated
    assert sorted(np.unique(second)) == [UNKNOWN, 0, 1]
    assert sorted(np.unique(third)) == [UNKNOWN, 0]
    assert caplog.messages == ["3 of 3 cases have no organ label: the organ loss leaves them out"]


def test_rows_without_content_are_passed_over(collection: Path, tmp_path: Path) -> None:
    table = write_table(collection, "", "a,first,Tumor,,,", ",,,,,", "absent,,,,,", ",,,,,")
    assert convert_dicom_table(table, tmp_path / "Dataset301_Lung") == TableResult(("first",), (), (5,))


def test_a_row_that_fails_is_named_and_hinders_no_other(
    collection: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = write_table(
        collection,
        "a,,Nodule,,,",
        "absent,,,,,",
        "b,,Tumor,,,organs.nii.gz",
        "c,,,Lung,maybe,",
        ",x,,,,",
        "b,good,Tumor,,,",
    )
    dataset = tmp_path / "Dataset301_Lung"
    assert convert_dicom_table(table, dataset) == TableResult(("good",), (), (2, 3, 4, 5, 6))
    errors = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert [message.split(":")[0] for message in errors] == [f"row {number}" for number in (2, 3, 4, 5, 6)]
    assert "no segment is called 'Nodule', there are Lung, Tumor" in errors[0]
    assert errors[1] == f"row 3: {collection / 'absent'}: the folder is missing, expected a DICOM study"
    assert f"{collection / 'organs.nii.gz'}: the file is missing" in errors[2]
    assert errors[3] == "row 5: without_lesions is 'maybe', expected yes or no"
    assert errors[4] == "row 6: names no study"


def test_it_goes_on_where_it_stopped_and_keeps_the_folds_of_a_smaller_dataset(collection: Path, tmp_path: Path) -> None:
    smaller, dataset = tmp_path / "Dataset221_AutoPET", tmp_path / "Dataset222_More"
    convert_autopet(write_release(tmp_path / "release"), smaller)
    table = write_table(collection, "a,,Nodule,,,", "b,,Tumor,,,")
    assert convert_dicom_table(table, dataset, extend=smaller) == TableResult(("b",), (), (2,))
    write_table(collection, "a,,Tumor,,,", "b,,Tumor,,,")
    with pytest.raises(CaseError, match="exists already, expected --extend to be left out where a table goes on"):
        convert_dicom_table(table, dataset, extend=smaller)
    assert convert_dicom_table(table, dataset) == TableResult(("a",), ("b",), ())
    before, after = (json.loads((path / "splits_final.json").read_text()) for path in (smaller, dataset))
    assert [fold["val"] for fold in after] == [fold["val"] for fold in before]
    assert all({"a", "b"} < set(fold["train"]) for fold in after)


def test_a_table_that_contradicts_itself_adds_nothing(collection: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "Dataset301_Lung"
    with pytest.raises(CaseError, match="rows 2 and 4 are both the case a, expected two names"):
        convert_dicom_table(write_table(collection, "a,,Tumor,,,", "b,,Tumor,,,", "c,a,Tumor,,,"), dataset)
    table = collection / "other.csv"
    table.write_text("study,segment\na,Tumor\n")
    with pytest.raises(CaseError, match=r"other\.csv: has the column 'segment', expected study and any of name"):
        convert_dicom_table(table, dataset)
    table.write_text("name,segments\na,Tumor\n")
    with pytest.raises(CaseError, match=r"other\.csv: has no column 'study'"):
        convert_dicom_table(table, dataset)
    with pytest.raises(CaseError, match=r"absent\.csv: is not a table \(CSV\) that can be read: No such file"):
        convert_dicom_table(collection / "absent.csv", dataset)
    assert not dataset.exists()
