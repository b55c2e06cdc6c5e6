"""A phantom from the DICOM of three vendors gives what the challenge's layout of the same images gives."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("pydicom")
pytest.importorskip("highdicom")

import highdicom
from conftest import write_case
from helpers_dicom_output import read_pet, read_regions, values_of
from helpers_model import write_threshold_model
from helpers_vendors import LESIONS, VENDORS, challenge_images, write_vendor_study

from lesionclick.case.case import Case
from lesionclick.cli.main import main
from lesionclick.dicom.segmentation import read_segments, segment_labels
from lesionclick.dicom.study import StudyChoices, open_study
from lesionclick.dicom.volume import SeriesVolume


@pytest.fixture(scope="module")
def threshold_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_threshold_model(tmp_path_factory.mktemp("models") / "threshold")


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, threshold_model: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Runs a command with a model that marks what is hot, expects success and returns what it printed to stderr."""
    monkeypatch.setenv("LESIONCLICK_DEVICE", "cpu")
    monkeypatch.setenv("LESIONCLICK_BACKEND", "torch")
    monkeypatch.setenv("LESIONCLICK_PRECISION", "float32")
    monkeypatch.setenv("LESIONCLICK_MODEL", str(threshold_model))

    def run_command(*arguments: object) -> str:
        with pytest.raises(SystemExit) as stopped:
            main([*map(str, arguments)])
        captured = capsys.readouterr()
        assert stopped.value.code == 0, captured.err
        return captured.err

    return run_command


def read_mask(path: Path) -> np.ndarray:
    mask: np.ndarray = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    return mask


def dice_of(first: np.ndarray, second: np.ndarray) -> float:
    return 2 * np.count_nonzero(first & second) / (np.count_nonzero(first) + np.count_nonzero(second))


@pytest.mark.parametrize("name", VENDORS)
def test_a_vendors_study_is_the_case_in_the_challenges_layout(name: str, tmp_path: Path) -> None:
    vendor = VENDORS[name]
    study = open_study(write_vendor_study(vendor, tmp_path / "study"), StudyChoices(ct_series="2"))
    case = Case.read(write_case(tmp_path / "case", *challenge_images(vendor)))
    assert np.abs(study.case.ct_zyx - case.ct_zyx)[case.pet_zyx > 0.5].max() < 0.1  # HU in the body
    assert np.abs(study.case.pet_zyx - case.pet_zyx).max() < 0.001 * case.pet_zyx.max()
    assert not study.warnings


@pytest.mark.parametrize("name", VENDORS)
def test_a_vendors_study_gives_the_mask_of_the_challenges_layout(
    name: str, tmp_path: Path, run: Callable[..., str], refused: Callable[..., str]
) -> None:
    vendor = VENDORS[name]
    study, out = write_vendor_study(vendor, tmp_path / "study"), tmp_path / "out"
    if vendor.same_length:
        sentence = refused("segment", study, "--out", out)
        assert "number 2, 'CT WB 5.0 B30f', 26 slices" in sentence
        assert "number 3, 'CT 5.0 B80f', 26 slices" in sentence
        assert "--ct-series" in sentence
        assert "Topogram" not in sentence
    choice = ("--ct-series", "2") if vendor.same_length else ()
    error = run("segment", study, "--out", out, "--formats", "nii.gz,dicom-seg,rtstruct,dicom-sr", *choice)
    assert "INFO found: DICOM, CT (number 2, 'CT WB 5.0 B30f', 26 slices" in error
    assert f"PET (number 4, 'PET WB AC', {vendor.size[2]} slices" in error

    case = write_case(tmp_path / "case", *challenge_images(vendor))
    run("predict", "--input", case, "--output", tmp_path / "predicted")
    predicted = read_mask(tmp_path / "predicted" / "images" / "tumor-lesion-segmentation" / "case.mha")
    mask = read_mask(out / "lesions.nii.gz")
    assert predicted.any()
    assert dice_of(mask, predicted) >= 0.98

    with (out / "lesions.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == len(LESIONS)
    require_agreement(out, mask, read_pet(study), [float(row["volume_ml"]) for row in table])
    hottest = sorted(float(row["suv_max"]) for row in table)
    assert hottest == pytest.approx(sorted(uptake + 1 for _, _, uptake in LESIONS), rel=0.1)
    groups = highdicom.sr.srread(out / "lesions.sr.dcm").content.get_volumetric_roi_measurement_groups()
    for group, row in zip(groups, table, strict=True):
        values = values_of(group)
        assert values["118565006", None, "cm3"] == pytest.approx(float(row["volume_ml"]), rel=1e-5)
        assert values["126401", "56851009", "g/ml{SUVbw}"] == pytest.approx(float(row["suv_max"]), rel=1e-5)
        assert values["126033", None, "g"] == pytest.approx(float(row["tlg"]), rel=1e-5)


def require_agreement(out: Path, mask: np.ndarray, pet: SeriesVolume, volumes_ml: list[float]) -> None:
    """SEG and RTSTRUCT are the mask voxel for voxel, and lesion n has the n-th volume in both."""
    seg, voxel_ml = out / "lesions.seg.dcm", float(np.prod(pet.image.GetSpacing())) / 1000
    regions = read_regions(out / "lesions.rtstruct.dcm", pet)
    assert np.array_equal(regions > 0, mask > 0)
    assert list(segment_labels(seg)) == list(range(1, len(volumes_ml) + 1))
    for number, volume_ml in enumerate(volumes_ml, start=1):
        segment = read_segments({seg: [number]}, pet, pet)
        assert np.array_equal(segment > 0, regions == number)
        assert segment.sum() * voxel_ml == pytest.approx(volume_ml, rel=1e-5)
