import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from helpers_dicom import CT_SHAPE, PET_SHAPE, SyntheticStudy

from lesionclick.cli.main import main
from lesionclick.dicom.study import open_study


@pytest.fixture(autouse=True)
def cpu(monkeypatch: pytest.MonkeyPatch, model_folder: Path) -> None:
    monkeypatch.setenv("LESIONCLICK_DEVICE", "cpu")
    monkeypatch.setenv("LESIONCLICK_BACKEND", "torch")
    monkeypatch.setenv("LESIONCLICK_PRECISION", "float32")
    monkeypatch.setenv("LESIONCLICK_MODEL", str(model_folder))


@pytest.fixture
def segment(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs `lesionclick segment`, expects success and returns what it printed to stderr."""

    def run(*arguments: object) -> str:
        with pytest.raises(SystemExit) as stopped:
            main(["segment", *map(str, arguments)])
        captured = capsys.readouterr()
        assert stopped.value.code == 0, captured.err
        return captured.err

    return run


def read(path: Path) -> np.ndarray:
    array: np.ndarray = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    return array


def test_dicom_gives_the_mask_of_the_same_images_in_grand_challenge_layout(
    tmp_path: Path, segment: Callable[..., str]
) -> None:
    study = SyntheticStudy().write(tmp_path / "study")
    error = segment(study, "--out", tmp_path / "a")
    assert "INFO found: DICOM, CT (number 1, 'CT WB', 12 slices" in error
    assert "PET (number 1, 'PT WB', 5 slices" in error
    open_study(study).case.write(tmp_path / "case")
    segment(tmp_path / "case", "--out", tmp_path / "b")
    mask = read(tmp_path / "a" / "lesions.nii.gz")
    assert mask.shape == PET_SHAPE
    assert mask.any()
    assert np.array_equal(mask, read(tmp_path / "b" / "lesions.nii.gz"))


def test_all_outputs_agree(tmp_path: Path, segment: Callable[..., str]) -> None:
    study = SyntheticStudy().write(tmp_path / "study")
    out = tmp_path / "out"
    segment(study, "--out", out, "--formats", "nii.gz,dicom-seg,rtstruct,dicom-sr")
    mask = read(out / "lesions.nii.gz")
    count = json.loads((out / "lesions.json").read_text())["case"]["lesion_count"]
    segmentation = pydicom.dcmread(out / "lesions.seg.dcm")
    assert count > 0
    assert len(segmentation.SegmentSequence) == count
    assert np.count_nonzero(segmentation.pixel_array) == mask.sum()
    assert len(pydicom.dcmread(out / "lesions.rtstruct.dcm").StructureSetROISequence) == count
    assert pydicom.dcmread(out / "lesions.sr.dcm").Modality == "SR"
    assert "lesions.seg.dcm" in json.loads((out / "report.json").read_text())["files"]


def test_one_segment_may_hold_all_lesions(tmp_path: Path, segment: Callable[..., str]) -> None:
    study, out = SyntheticStudy().write(tmp_path / "study"), tmp_path / "out"
    segment(study, "--out", out, "--dicom-segments", "single")
    mask = read(out / "lesions.nii.gz")
    segmentation = pydicom.dcmread(out / "lesions.seg.dcm")
    assert [item.SegmentLabel for item in segmentation.SegmentSequence] == ["Lesions"]
    assert np.count_nonzero(segmentation.pixel_array) == mask.sum()


def test_the_mask_may_come_on_the_grid_of_the_ct(tmp_path: Path, segment: Callable[..., str]) -> None:
    study = SyntheticStudy().write(tmp_path / "study")
    segment(study, "--out", tmp_path / "out", "--grid", "ct", "--formats", "mha")
    assert read(tmp_path / "out" / "lesions.mha").shape == CT_SHAPE


def test_what_was_given_for_suv_is_used_and_recorded(
    tmp_path: Path, segment: Callable[..., str], refused: Callable[..., str]
) -> None:
    made = SyntheticStudy()
    for item in made.pet:
        del item.PatientWeight
    study = made.write(tmp_path / "study")
    assert "--weight" in refused("segment", study, "--out", tmp_path / "out")
    segment(study, "--out", tmp_path / "out", "--weight", "80", "--injection-time", "09:30")
    suv = json.loads((tmp_path / "out" / "report.json").read_text())["suv"]
    assert suv["weight_kg"] == 80
    assert suv["given"] == {"weight_kg": 80, "injection_time": "09:30:00"}


def test_what_no_object_can_refer_to_is_refused_before_the_model_is_read(
    tmp_path: Path, refused: Callable[..., str]
) -> None:
    made = SyntheticStudy()
    for item in made.pet:
        del item.StudyInstanceUID
    study = made.write(tmp_path / "study")
    sentence = refused("segment", study, "--out", tmp_path / "out", "--model", tmp_path / "missing")
    assert "StudyInstanceUID (0020,000D) is missing" in sentence


def test_a_ct_without_a_pet_is_refused(tmp_path: Path, refused: Callable[..., str]) -> None:
    made = SyntheticStudy()
    made.pet = []
    study = made.write(tmp_path / "study")
    assert "PET" in refused("segment", study, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()
