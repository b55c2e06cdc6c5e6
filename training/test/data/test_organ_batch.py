from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from helpers_data import SHAPE, file_names, make_image, write_image, write_masks

from lesionclick.errors import CaseError
from lesionclick_training.data.organ_batch import OrganBatch, label_folder


@pytest.fixture
def total(tmp_path: Path) -> Path:
    """Output for case a as a file, for case b as a folder."""
    write_image(make_image(np.full(SHAPE, 5, np.uint8)), tmp_path / "total" / "a.nii.gz")
    write_masks(tmp_path / "total" / "b", {"spleen": np.ones((3, 4, 5), np.uint8)}, (3, 4, 5))
    return tmp_path / "total"


def write_cts(folder: Path, *names: str) -> Path:
    for name in names:
        write_image(make_image(np.zeros(SHAPE, np.float32)), folder / f"{name}.nii.gz")
    return folder


def test_every_case_that_can_be_labeled_is(total: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cts = write_cts(tmp_path / "imagesTr", "a_0000", "a_0001", "b_0000", "c_0000")
    out = tmp_path / "organs"
    assert label_folder(cts, out, total, version=2) == OrganBatch(("a", "b"), (), ("c",))
    assert file_names(out) == ["a.nii.gz", "b.nii.gz"]
    for name, organ in (("a", 3), ("b", 1)):
        assert (sitk.GetArrayFromImage(sitk.ReadImage(str(out / f"{name}.nii.gz"))) == organ).all()
    assert [message for message in caplog.messages if message.startswith("c: ")] == [
        f"c: {total / 'c.nii.gz'}: the file is missing, and so is the folder {total / 'c'}"
    ]


def test_it_goes_on_where_it_stopped(total: Path, tmp_path: Path) -> None:
    cts = write_cts(tmp_path / "cts", "a", "b")
    out = tmp_path / "organs"
    label_folder(cts, out, total, version=2)
    (out / "a.nii.gz").unlink()
    kept = (out / "b.nii.gz").stat().st_mtime_ns
    assert label_folder(cts, out, total, version=2) == OrganBatch(("a",), ("b",), ())
    assert (out / "b.nii.gz").stat().st_mtime_ns == kept


def test_a_case_without_its_glands_fails(total: Path, tmp_path: Path) -> None:
    cts = write_cts(tmp_path / "cts", "a", "b")
    glands = tmp_path / "glands"
    write_image(make_image(np.zeros(SHAPE, np.uint8)), glands / "b.nii.gz")
    assert label_folder(cts, tmp_path / "organs", total, glands, version=2) == OrganBatch(("b",), (), ("a",))


def test_folders_that_are_missing_are_named(total: Path, tmp_path: Path) -> None:
    cts = write_cts(tmp_path / "cts", "a")
    with pytest.raises(CaseError, match=r"absent: holds no CT, expected <case>_0000\.nii\.gz or <case>\.nii\.gz"):
        label_folder(tmp_path / "absent", tmp_path / "organs", total)
    with pytest.raises(CaseError, match="absent: the folder is missing, expected TotalSegmentator's output"):
        label_folder(cts, tmp_path / "organs", total, tmp_path / "absent")
    with pytest.raises(CaseError, match="is a file, expected a folder for the labels of 1 cases"):
        label_folder(cts, cts / "a.nii.gz", total)
