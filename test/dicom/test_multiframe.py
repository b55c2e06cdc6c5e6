import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("pydicom")
pytest.importorskip("highdicom")

from helpers_dicom import DOSE, HALF_LIFE, PET_ORIGIN, PET_SHAPE, PET_SPACING, WEIGHT, SyntheticStudy
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedPETImageStorage, LegacyConvertedEnhancedPETImageStorage

from lesionclick.dicom.series import choose_series, find_series
from lesionclick.dicom.suv import SuvVolume, read_suv
from lesionclick.errors import CaseError


def item_of(**fields: Any) -> list[Dataset]:
    """A sequence of one item."""
    item = Dataset()
    for keyword, value in fields.items():
        setattr(item, keyword, value)
    return [item]


def enhanced_pet(study: SyntheticStudy, unit: str | None = "Bq/ml") -> Dataset:
    """The study's PET as one enhanced object, its frames in no order; takes the place of the slices.

    With a unit, the frames' real world values have it; without one the object is legacy converted and says Units.
    """
    order = [3, 0, 4, 1, 2]
    whole = copy.deepcopy(study.pet[0])
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(whole, keyword)
    for keyword in ("RescaleSlope", "RescaleIntercept", "AcquisitionDate", "AcquisitionTime", "Units"):
        delattr(whole, keyword)
    for keyword in ("CorrectedImage", "DecayCorrection"):
        delattr(whole, keyword)
    whole.SOPClassUID = EnhancedPETImageStorage if unit else LegacyConvertedEnhancedPETImageStorage
    whole.file_meta.MediaStorageSOPClassUID = whole.SOPClassUID
    whole.NumberOfFrames = len(order)
    whole.PixelData = np.stack([study.pet_stored[index] for index in order]).tobytes()
    whole.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    shared = Dataset()
    shared.PixelMeasuresSequence = item_of(PixelSpacing=[PET_SPACING[1], PET_SPACING[0]], SliceThickness=PET_SPACING[2])
    shared.PlaneOrientationSequence = item_of(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    if unit:
        whole.AttenuationCorrected, whole.DecayCorrected = "YES", "YES"
        whole.DecayCorrectionDateTime = "20200301093000.5+0000"
        whole.TimezoneOffsetFromUTC = "+0100"
    else:
        shared.UnassignedSharedConvertedAttributesSequence = item_of(
            Units="BQML", CorrectedImage=["ATTN", "DECY"], DecayCorrection="START"
        )
    whole.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for index in order:
        frame = Dataset()
        frame.PlanePositionSequence = item_of(ImagePositionPatient=study.pet[index].ImagePositionPatient)
        rescaling = item_of(
            RescaleSlope=study.slopes[index], RescaleIntercept=study.intercepts[index], RescaleType="US"
        )
        if unit:
            mapping = item_of(RealWorldValueSlope=study.slopes[index], RealWorldValueIntercept=study.intercepts[index])
            mapping[0].MeasurementUnitsCodeSequence = item_of(CodeValue=unit, CodingSchemeDesignator="UCUM")
            frame.RealWorldValueMappingSequence = mapping
            frame.FrameContentSequence = item_of(
                FrameAcquisitionDateTime=f"2020030110{31 + index}00", FrameAcquisitionDuration=120000.0
            )
        else:
            frame.UnassignedPerFrameConvertedAttributesSequence = item_of(
                AcquisitionDate="20200301", AcquisitionTime=f"10{31 + index}00"
            )
        frame.PixelValueTransformationSequence = rescaling
        frames.append(frame)
    whole.PerFrameFunctionalGroupsSequence = frames
    study.pet[:] = [whole]
    return whole


def read(study: SyntheticStudy, folder: Path) -> SuvVolume:
    study.write(folder / "study")
    found = find_series(folder / "study")
    series = choose_series(folder, found, "PT")
    assert (series.images, series.extent) == (PET_SHAPE[0], PET_SPACING[2] * (PET_SHAPE[0] - 1))
    return read_suv(series)


def becquerels(study: SyntheticStudy) -> np.ndarray:
    planes = zip(study.pet_stored, study.slopes, study.intercepts, strict=True)
    return np.stack([plane * slope + intercept for plane, slope, intercept in planes])


@pytest.mark.parametrize("unit", ["Bq/ml", None])
def test_frames_become_slices_with_slopes_units_and_times_of_their_own(tmp_path: Path, unit: str | None) -> None:
    study = SyntheticStudy()
    enhanced_pet(study, unit)
    pet = read(study, tmp_path)
    expected = becquerels(study) * WEIGHT * 1000 / (DOSE * 0.5 ** (3600 / HALF_LIFE))
    assert np.allclose(sitk.GetArrayFromImage(pet.image), expected, rtol=1e-5)
    assert pet.image.GetOrigin() == PET_ORIGIN
    assert np.allclose(pet.image.GetSpacing(), PET_SPACING)
    assert [item.AcquisitionTime[:4] for item in pet.slices] == [f"10{31 + index}" for index in range(5)]
    assert pet.suv.units == "BQML"
    assert pet.suv.warnings == ()


def test_frames_without_decay_correction_go_by_their_own_times(tmp_path: Path) -> None:
    study = SyntheticStudy()
    whole = enhanced_pet(study)
    whole.DecayCorrected = "NO"
    del whole.DecayCorrectionDateTime
    pet = read(study, tmp_path)
    assert pet.suv.decay_correction == "NONE"
    assert pet.suv.factors[1] / pet.suv.factors[0] == pytest.approx(2 ** (240 / HALF_LIFE), rel=1e-6)


def test_frames_in_suv_are_taken_as_they_are(tmp_path: Path) -> None:
    study = SyntheticStudy()
    enhanced_pet(study, "{SUVbw}g/ml")
    pet = read(study, tmp_path)
    assert np.allclose(sitk.GetArrayFromImage(pet.image), becquerels(study), rtol=1e-6)
    assert (pet.suv.units, pet.suv.suv_type) == ("GML", "BW")


def test_a_pet_without_attenuation_correction_is_not_meant(tmp_path: Path) -> None:
    study = SyntheticStudy()
    enhanced_pet(study).AttenuationCorrected = "NO"
    with pytest.raises(CaseError, match=r"5 slices, UID .*, not corrected for attenuation"):
        read(study, tmp_path)


def test_frames_that_are_not_described_are_refused(tmp_path: Path) -> None:
    study = SyntheticStudy()
    whole = enhanced_pet(study)
    del whole.PerFrameFunctionalGroupsSequence
    study.write(tmp_path / "study")
    assert [series.modality for series in find_series(tmp_path / "study")] == ["CT"]


def test_as_many_frames_as_are_described(tmp_path: Path) -> None:
    study = SyntheticStudy()
    whole = enhanced_pet(study)
    whole.PerFrameFunctionalGroupsSequence = whole.PerFrameFunctionalGroupsSequence[:4]
    series = choose_series(tmp_path, find_series(study.write(tmp_path / "study")), "PT")
    with pytest.raises(CaseError, match=r"holds 5 frames and describes 4"):
        read_suv(series)
