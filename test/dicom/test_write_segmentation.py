import dataclasses
import datetime
import warnings
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pydicom")
pytest.importorskip("highdicom")

import highdicom
import pydicom
from helpers_dicom import PET_ORIGIN, PET_SHAPE, PET_SPACING, SyntheticStudy
from helpers_dicom_output import (
    CREATED,
    PHANTOM_MODEL,
    REAL_STUDIES,
    make_mask,
    make_result,
    needs_dciodvfy,
    read_pet,
    read_with_dcmqi,
    validation_errors,
    write_as_one_object,
)
from pydicom.uid import PositronEmissionTomographyImageStorage

from lesionclick.case.organs import ORGANS
from lesionclick.case.results import OutputFormat
from lesionclick.dicom.result import ORGAN_CODES, write_object
from lesionclick.dicom.segmentation import read_segments, segment_labels
from lesionclick.dicom.volume import SeriesVolume
from lesionclick.dicom.write_objects import write_objects
from lesionclick.dicom.write_segmentation import make_segmentation
from lesionclick.errors import CaseError


@pytest.fixture
def study() -> SyntheticStudy:
    return SyntheticStudy()


@pytest.fixture
def pet(study: SyntheticStudy, tmp_path: Path) -> SeriesVolume:
    return read_pet(study.write(tmp_path / "study"))


@pytest.mark.parametrize("united", [False, True])
def test_segments_come_back_voxel_for_voxel(pet: SeriesVolume, tmp_path: Path, united: bool) -> None:
    result = make_result(pet)
    assert result.count == 3
    expected = np.minimum(result.lesions_zyx, 1) if united else result.lesions_zyx
    path = tmp_path / "new" / "seg.dcm"
    write_object(make_segmentation(result, united=united), path)
    labels = segment_labels(path)
    assert list(labels.values()) == (["Lesions"] if united else ["Lesion 1", "Lesion 2", "Lesion 3"])
    for number in labels:
        assert np.array_equal(read_segments({path: [number]}, pet, pet), expected == number)
    assert np.array_equal(read_with_dcmqi(path, tmp_path / "dcmqi", pet), expected)


def test_object_without_lesions_has_an_empty_segment(pet: SeriesVolume, tmp_path: Path) -> None:
    path = tmp_path / "seg.dcm"
    write_object(make_segmentation(make_result(pet, np.zeros(PET_SHAPE, dtype=np.uint8))), path)
    segmentation = highdicom.seg.segread(path)
    assert segmentation.number_of_segments == 1
    assert segmentation.get_volume().array.shape[:3] == PET_SHAPE
    assert not segmentation.get_volume().array.any()


@pytest.mark.parametrize("oblique", [False, True])
def test_slices_in_any_direction(study: SyntheticStudy, tmp_path: Path, oblique: bool) -> None:
    """Feet first, where the image's slices run against z, and turned by 30 degrees about x."""
    turn = np.deg2rad(30 if oblique else 180)
    down = np.array([0, np.cos(turn), np.sin(turn)])
    normal = np.cross([1, 0, 0], down)
    for index, item in enumerate(study.pet):
        item.ImageOrientationPatient = [1, 0, 0, *down.round(6)]
        item.ImagePositionPatient = [*(np.array([-14, -9, 100]) + 5 * index * normal).round(6)]
    pet = read_pet(study.write(tmp_path / "study"))
    result = make_result(pet)
    path = tmp_path / "seg.dcm"
    write_object(make_segmentation(result), path)
    assert np.array_equal(read_segments({path: [1, 2, 3]}, pet, pet), make_mask(PET_SHAPE))
    assert np.array_equal(read_with_dcmqi(path, tmp_path / "dcmqi", pet), result.lesions_zyx)


def test_frames_of_one_object_are_referred_to_by_number(study: SyntheticStudy, tmp_path: Path) -> None:
    pet = read_pet(write_as_one_object(study, tmp_path / "study" / "pet.dcm").parent)
    result = make_result(pet)
    path = tmp_path / "seg.dcm"
    write_object(make_segmentation(result), path)
    assert np.array_equal(read_with_dcmqi(path, tmp_path / "dcmqi", pet), result.lesions_zyx)
    written = pydicom.dcmread(path)
    (instance,) = written.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    source = pet.slices[0]
    for frame in written.PerFrameFunctionalGroupsSequence:
        image = frame.DerivationImageSequence[0].SourceImageSequence[0]
        for reference in (instance, image):
            assert reference.ReferencedSOPInstanceUID == source.SOPInstanceUID
            assert reference.ReferencedSOPClassUID == source.SOPClassUID != PositronEmissionTomographyImageStorage
        z = float(frame.PlanePositionSequence[0].ImagePositionPatient[2])
        assert image.ReferencedFrameNumber == PET_SHAPE[0] - round((z - PET_ORIGIN[2]) / PET_SPACING[2])


@pytest.mark.parametrize("multi_frame", [False, True])
def test_source_stays_as_it_is(study: SyntheticStudy, tmp_path: Path, multi_frame: bool) -> None:
    for item in study.pet:
        item.PatientSex, item.StudyID = "M", None
    folder = tmp_path / "study"
    pet = read_pet(write_as_one_object(study, folder / "pet.dcm").parent if multi_frame else study.write(folder))
    for item in pet.slices:
        item.PatientSex = "unknown"
    before = [item.to_json() for item in pet.slices]
    make_segmentation(make_result(pet))
    assert [item.to_json() for item in pet.slices] == before


def test_object_says_what_it_is_and_what_made_it(pet: SeriesVolume) -> None:
    segmentation = make_segmentation(make_result(pet, model=PHANTOM_MODEL, organs={2: "liver", 3: "elsewhere"}))
    assert segmentation.StudyInstanceUID == pet.slices[0].StudyInstanceUID
    assert segmentation.FrameOfReferenceUID == pet.frame_of_reference
    assert [item.SeriesInstanceUID for item in segmentation.ReferencedSeriesSequence] == [pet.uid]
    assert (segmentation.Manufacturer, segmentation.DeviceSerialNumber) == ("LesionClick", PHANTOM_MODEL.fingerprint)
    assert "not for patients" in segmentation.SeriesDescription
    assert "not for patients" in segmentation.ContentDescription
    segments = segmentation.SegmentSequence
    assert [segment.SegmentLabel for segment in segments] == ["Lesion 1", "Lesion 2 (liver)", "Lesion 3 (elsewhere)"]
    assert ["AnatomicRegionSequence" in segment for segment in segments] == [False, True, False]
    assert segments[1].AnatomicRegionSequence[0].CodeValue == "10200004"
    for segment in segments:
        assert segment.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
        assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "108369006"
        assert segment.SegmentAlgorithmType == "SEMIAUTOMATIC"
        assert segment.SegmentDescription == "Model: trained on synthetic phantoms, not for patients"
        algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
        assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("LesionClick", segmentation.SoftwareVersions)
        assert PHANTOM_MODEL.fingerprint in algorithm.AlgorithmParameters
    assert len({segment.TrackingUID for segment in segments}) == 3


def test_without_clicks_and_warning(pet: SeriesVolume) -> None:
    segmentation = make_segmentation(make_result(pet, uses_clicks=False))
    assert segmentation.SegmentSequence[0].SegmentAlgorithmType == "AUTOMATIC"
    assert segmentation.SeriesDescription == "LesionClick lesions"
    assert "SegmentDescription" not in segmentation.SegmentSequence[0]


def test_organs_of_the_networks_have_codes() -> None:
    assert set(ORGAN_CODES) == set(ORGANS)


def test_same_result_gives_the_same_bytes(pet: SeriesVolume, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("first.dcm", "second.dcm")]
    for path in paths:
        write_object(make_segmentation(make_result(pet)), path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_identifiers_follow_what_they_name(pet: SeriesVolume) -> None:
    result = make_result(pet)
    later = make_segmentation(make_result(pet, created=CREATED + datetime.timedelta(seconds=1)))
    other = make_segmentation(dataclasses.replace(result, lesions_zyx=result.lesions_zyx * (result.lesions_zyx < 3)))
    first = make_segmentation(result)
    united = make_segmentation(result, united=True)
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID"):
        assert len({item[keyword].value for item in (first, later, other, united)}) == 4
    tracked = [[segment.TrackingUID for segment in item.SegmentSequence] for item in (first, later, other)]
    assert tracked[0] == tracked[1]  # the lesions are the same
    assert tracked[0][:2] == tracked[2]
    assert f"{first.ContentDate} {first.ContentTime}" == "20240506 070809"


def test_patient_without_fields_is_written(study: SyntheticStudy, tmp_path: Path) -> None:
    for item in study.pet:
        del item.PatientBirthDate, item.StudyID, item.AccessionNumber
        item.PatientSex = "unknown"
    result = make_result(read_pet(study.write(tmp_path / "study")))
    path = tmp_path / "seg.dcm"
    write_object(make_segmentation(result), path)
    written = pydicom.dcmread(path)
    assert (written.PatientBirthDate, written.StudyID, written.PatientSex, written.PatientID) == ("", "", "", "1")


def test_name_keeps_its_characters(study: SyntheticStudy, tmp_path: Path) -> None:
    for item in study.pet:
        item.SpecificCharacterSet, item.PatientName = "ISO_IR 100", "Müller^Jörg"
    result = make_result(read_pet(study.write(tmp_path / "study")))
    path = tmp_path / "seg.dcm"
    write_object(make_segmentation(result), path)
    assert str(pydicom.dcmread(path).PatientName) == "Müller^Jörg"


@pytest.mark.filterwarnings("error")
def test_fields_against_the_standard_are_taken_over_without_a_word(study: SyntheticStudy, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for item in study.pet:
            item.StudyID, item.PatientBirthDate = "longer than 16 characters", "unknown"
        folder = study.write(tmp_path / "study")
    write_objects(make_result(read_pet(folder)), [], [OutputFormat.dicom_seg, OutputFormat.rtstruct], tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        written = pydicom.dcmread(tmp_path / "lesions.seg.dcm")
        assert (written.StudyID, written.PatientBirthDate) == ("longer than 16 characters", "")


def test_header_that_cannot_be_taken_over(study: SyntheticStudy, tmp_path: Path) -> None:
    for item in study.pet:
        del item.StudyInstanceUID
    pet = read_pet(study.write(tmp_path / "study"))
    with pytest.raises(CaseError, match=r"PT/\d+: .*StudyInstanceUID"):
        make_segmentation(make_result(pet))


def test_more_lesions_than_segments(pet: SeriesVolume) -> None:
    numbers = np.zeros(PET_SHAPE, dtype=np.int64)
    numbers[0, 0, 0] = 65536
    with pytest.raises(CaseError, match="65536 lesions, expected at most 65535"):
        dataclasses.replace(make_result(pet), lesions_zyx=numbers)


@needs_dciodvfy
@pytest.mark.parametrize("kind", ["each", "united", "empty"])
def test_validator_finds_no_error_in_segmentation(pet: SeriesVolume, tmp_path: Path, kind: str) -> None:
    mask = make_mask(PET_SHAPE) * (kind != "empty")
    path = tmp_path / "seg.dcm"
    result = make_result(pet, mask, PHANTOM_MODEL, organs={1: "lungs"} if mask.any() else {})
    write_object(make_segmentation(result, united=kind == "united"), path)
    assert not validation_errors(path)


@pytest.mark.skipif(not REAL_STUDIES, reason="LESIONCLICK_DICOM_STUDIES names no folder of studies")
@pytest.mark.parametrize("folder", REAL_STUDIES, ids=lambda path: path.name)
def test_real_study_as_segmentation(folder: Path, tmp_path: Path) -> None:
    pet = read_pet(folder)
    result = make_result(pet)
    path = tmp_path / "seg.dcm"
    write_object(make_segmentation(result), path)
    assert np.array_equal(read_with_dcmqi(path, tmp_path / "dcmqi", pet), result.lesions_zyx)
    assert np.array_equal(read_segments({path: [1, 2, 3]}, pet, pet), result.lesions_zyx > 0)


@needs_dciodvfy
@pytest.mark.skipif(not REAL_STUDIES, reason="LESIONCLICK_DICOM_STUDIES names no folder of studies")
@pytest.mark.parametrize("folder", REAL_STUDIES, ids=lambda path: path.name)
def test_validator_finds_no_new_error_in_segmentation_of_a_real_study(folder: Path, tmp_path: Path) -> None:
    pet = read_pet(folder)
    path = tmp_path / "seg.dcm"
    write_object(make_segmentation(make_result(pet)), path)
    assert validation_errors(path) <= validation_errors(Path(pet.slices[0].filename))
