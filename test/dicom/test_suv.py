import math
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("pydicom")
pytest.importorskip("highdicom")

from helpers_dicom import DOSE, HALF_LIFE, PET_SHAPE, WEIGHT, SyntheticStudy
from pydicom.dataset import Dataset

from lesionclick.dicom.series import choose_series, find_series
from lesionclick.dicom.suv import read_suv
from lesionclick.errors import CaseError


@pytest.fixture
def study() -> SyntheticStudy:
    return SyntheticStudy()


def read(study: SyntheticStudy, folder: Path) -> np.ndarray:
    series = choose_series(folder, find_series(study.write(folder / "study")), "PT", study.pet[0].SeriesInstanceUID)
    image = read_suv(series).image
    assert image.GetPixelID() == sitk.sitkFloat32
    suv_zyx: np.ndarray = sitk.GetArrayFromImage(image)
    return suv_zyx


def expected_suv(study: SyntheticStudy, seconds: float) -> np.ndarray:
    """SUV from stored numbers, for a dose that decays for so long until the scan."""
    becquerels = np.stack([study.pet_stored[z] * study.slopes[z] + study.intercepts[z] for z in range(PET_SHAPE[0])])
    return becquerels / (DOSE * math.exp(-math.log(2) * seconds / HALF_LIFE)) * WEIGHT * 1000


def test_dose_is_decayed_from_the_injection_to_the_scan(study: SyntheticStudy, tmp_path: Path) -> None:
    assert np.allclose(read(study, tmp_path), expected_suv(study, 3600), rtol=1e-5)


def test_dose_is_not_decayed_where_the_image_is_corrected_to_the_administration(
    study: SyntheticStudy, tmp_path: Path
) -> None:
    for item in study.pet:
        item.DecayCorrection = "ADMIN"
    assert np.allclose(read(study, tmp_path), expected_suv(study, 0), rtol=1e-5)


def radiopharmaceutical_of(item: Dataset) -> Dataset:
    stored: Dataset = item.RadiopharmaceuticalInformationSequence[0]
    return stored


@pytest.mark.parametrize(
    ("keyword", "value", "message"),
    [
        ("PatientWeight", None, r"PatientWeight \(0010,1030\) is missing"),
        ("PatientWeight", 0, r"PatientWeight \(0010,1030\) is 0, expected more than 0"),
        ("AcquisitionTime", "", r"AcquisitionTime \(0008,0032\) is missing"),
        (
            "PatientWeight",
            71000,
            r"PatientWeight \(0010,1030\) is 71000, expected 1 to 400 kg; --weight gives it by hand",
        ),
        ("PatientWeight", "0.071", r"PatientWeight \(0010,1030\) is 0\.071, expected 1 to 400 kg; --weight"),
        (
            "Units",
            "PROPCNTS",
            r"Units \(0054,1001\) is PROPCNTS, expected BQML \(Bq/ml\), GML \(SUV\) or Philips' CNTS",
        ),
        ("Units", None, r"Units \(0054,1001\) is missing, expected BQML"),
        (
            "DecayCorrection",
            None,
            r"DecayCorrection \(0054,1102\) is missing, expected START or ADMIN or NONE; --decay-c",
        ),
        (
            "DecayCorrection",
            "NONE",
            r"CorrectedImage \(0028,0051\) has DECY while DecayCorrection \(0054,1102\) is NONE",
        ),
        ("CorrectedImage", ["NORM", "DECY"], r"CorrectedImage \(0028,0051\) lacks ATTN"),
        ("CorrectedImage", ["NORM", "ATTN"], r"CorrectedImage \(0028,0051\) lacks DECY"),
        ("RadiopharmaceuticalInformationSequence", None, r"InformationSequence \(0054,0016\) is missing"),
    ],
)
def test_a_pet_without_what_suv_needs_is_refused(
    study: SyntheticStudy, tmp_path: Path, keyword: str, value: object, message: str
) -> None:
    for item in study.pet:
        setattr(item, keyword, value)
    with pytest.raises(CaseError, match=message):
        read(study, tmp_path)


@pytest.mark.parametrize(
    ("keyword", "value", "message"),
    [
        ("RadionuclideTotalDose", None, r"RadionuclideTotalDose \(0018,1074\) is missing"),
        (
            "RadionuclideTotalDose",
            370,
            r"RadionuclideTotalDose \(0018,1074\) is 370, expected 1e\+06 to 1e\+10 becquerels",
        ),
        (
            "RadionuclideTotalDose",
            3.9e11,
            r"RadionuclideTotalDose \(0018,1074\) is 3\.9e\+11, expected .*; --dose gives it",
        ),
        (
            "RadionuclideHalfLife",
            1.83,
            r"RadionuclideHalfLife \(0018,1075\) is 1\.83, expected 60 to 1e\+06 s; --half-life",
        ),
        ("RadionuclideHalfLife", None, r"RadionuclideHalfLife \(0018,1075\) is missing"),
        ("RadiopharmaceuticalStartTime", None, r"RadiopharmaceuticalStartTime \(0018,1072\) is missing"),
        ("RadiopharmaceuticalStartTime", "104000", r"StartTime \(0018,1072\) is 85800 s before the scan"),
        ("RadiopharmaceuticalStartDateTime", "20200301120000", r"\(0018,1078\) is -5400 s before the scan"),
    ],
)
def test_a_radiopharmaceutical_that_cannot_be_is_refused(
    study: SyntheticStudy, tmp_path: Path, keyword: str, value: object, message: str
) -> None:
    for item in study.pet:
        setattr(radiopharmaceutical_of(item), keyword, value)
    with pytest.raises(CaseError, match=message):
        read(study, tmp_path)
