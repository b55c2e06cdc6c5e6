from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pydicom")
pytest.importorskip("highdicom")

import pydicom
from helpers_dicom import PET_SHAPE, SyntheticStudy
from helpers_dicom_output import (
    PHANTOM_MODEL,
    REAL_STUDIES,
    fill_even_odd,
    make_mask,
    make_result,
    needs_dciodvfy,
    read_pet,
    read_regions,
    validation_errors,
    write_as_one_object,
)
from matplotlib.path import Path as Polygon

from lesionclick.dicom.result import write_object
from lesionclick.dicom.volume import SeriesVolume
from lesionclick.dicom.write_rtstruct import keyhole_contours, make_rtstruct


@pytest.fixture
def study() -> SyntheticStudy:
    return SyntheticStudy()


@pytest.fixture
def pet(study: SyntheticStudy, tmp_path: Path) -> SeriesVolume:
    return read_pet(study.write(tmp_path / "study"))


def fill_nonzero(points_yx: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Voxels around whose centers the polygon winds."""
    centers = np.indices(shape).reshape(2, -1).T
    inside: np.ndarray = Polygon(np.concatenate([points_yx, points_yx[:1]])).contains_points(centers)
    return inside.reshape(shape)


FILLS: Mapping[str, object] = {"even-odd": fill_even_odd, "nonzero": fill_nonzero}


@pytest.mark.parametrize("density", [0.2, 0.5, 0.8, 1.0])
def test_filled_contours_are_the_mask(density: float) -> None:
    """Noise has holes in parts, parts in holes and voxels that touch by corners; both rules of filling agree."""
    random = np.random.default_rng(5)
    for _ in range(5):
        mask = random.random((23, 31)) < density
        for fill in (fill_even_odd, fill_nonzero):
            filled = np.zeros(mask.shape, dtype=int)
            for points in keyhole_contours(mask):
                filled += fill(points, mask.shape)
            assert np.array_equal(filled, mask)


def test_contour_of_one_voxel_lies_around_its_center() -> None:
    (points,) = keyhole_contours(np.ones((1, 1)))
    assert sorted(points.tolist()) == [[-0.5, 0], [0, -0.5], [0, 0.5], [0.5, 0]]


def test_a_part_is_one_contour_with_its_holes() -> None:
    mask = np.ones((9, 9))
    mask[2, 2] = mask[2, 5] = mask[4:7, 3:6] = 0
    mask[5, 4] = 1  # a part in a hole
    assert len(list(keyhole_contours(mask))) == 2


def test_regions_come_back_voxel_for_voxel(pet: SeriesVolume, tmp_path: Path) -> None:
    result = make_result(pet)
    path = tmp_path / "new" / "rt.dcm"
    write_object(make_rtstruct(result), path)
    assert np.array_equal(read_regions(path, pet), result.lesions_zyx)


@pytest.mark.parametrize("degrees", [30, 180])
def test_contours_of_slices_in_any_direction(study: SyntheticStudy, tmp_path: Path, degrees: float) -> None:
    turn = np.deg2rad(degrees)
    down = np.array([0, np.cos(turn), np.sin(turn)])
    normal = np.cross([1, 0, 0], down)
    for index, item in enumerate(study.pet):
        item.ImageOrientationPatient = [1, 0, 0, *down.round(6)]
        item.ImagePositionPatient = [*(np.array([-14, -9, 100]) + 5 * index * normal).round(6)]
    pet = read_pet(study.write(tmp_path / "study"))
    result = make_result(pet)
    path = tmp_path / "rt.dcm"
    write_object(make_rtstruct(result), path)
    assert np.array_equal(read_regions(path, pet), result.lesions_zyx)


def test_contours_on_frames_of_one_object(study: SyntheticStudy, tmp_path: Path) -> None:
    pet = read_pet(write_as_one_object(study, tmp_path / "study" / "pet.dcm").parent)
    result = make_result(pet)
    path = tmp_path / "rt.dcm"
    write_object(make_rtstruct(result), path)
    assert np.array_equal(read_regions(path, pet), result.lesions_zyx)


def test_structure_set_refers_to_the_series_and_says_what_made_it(pet: SeriesVolume) -> None:
    structures = make_rtstruct(make_result(pet, model=PHANTOM_MODEL, organs={1: "lungs"}))
    assert structures.StudyInstanceUID == pet.slices[0].StudyInstanceUID
    frame = structures.ReferencedFrameOfReferenceSequence[0]
    assert frame.FrameOfReferenceUID == structures.FrameOfReferenceUID == pet.frame_of_reference
    series = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    assert series.SeriesInstanceUID == pet.uid
    assert [item.ReferencedSOPInstanceUID for item in series.ContourImageSequence] == [
        item.SOPInstanceUID for item in pet.slices
    ]
    assert "not for patients" in structures.SeriesDescription
    assert PHANTOM_MODEL.fingerprint in structures.StructureSetDescription
    assert PHANTOM_MODEL.description in structures.StructureSetDescription
    regions = structures.StructureSetROISequence
    assert [region.ROIName for region in regions] == ["Lesion 1 (lungs)", "Lesion 2", "Lesion 3"]
    assert {region.ROIGenerationAlgorithm for region in regions} == {"SEMIAUTOMATIC"}
    observation = structures.RTROIObservationsSequence[0]
    assert observation.RTROIIdentificationCodeSequence[0].CodeValue == "108369006"
    assert observation.AnatomicRegionSequence[0].CodeValue == "39607008"


def test_structure_set_without_lesions(pet: SeriesVolume, tmp_path: Path) -> None:
    path = tmp_path / "rt.dcm"
    write_object(make_rtstruct(make_result(pet, np.zeros(PET_SHAPE, dtype=np.uint8))), path)
    assert [region.ROIName for region in pydicom.dcmread(path).StructureSetROISequence] == ["No lesions"]
    assert not read_regions(path, pet).any()


def test_name_of_the_patient_keeps_its_characters(study: SyntheticStudy, tmp_path: Path) -> None:
    for item in study.pet:
        item.SpecificCharacterSet, item.PatientName = "ISO_IR 100", "Müller^Jörg"
    path = tmp_path / "rt.dcm"
    write_object(make_rtstruct(make_result(read_pet(study.write(tmp_path / "study")))), path)
    assert str(pydicom.dcmread(path).PatientName) == "Müller^Jörg"


def test_same_lesions_give_the_same_structure_set(pet: SeriesVolume, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("first.dcm", "second.dcm")]
    for path in paths:
        write_object(make_rtstruct(make_result(pet)), path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


@needs_dciodvfy
@pytest.mark.parametrize("lesions", [True, False])
def test_validator_finds_no_error_in_structure_set(pet: SeriesVolume, tmp_path: Path, lesions: bool) -> None:
    path = tmp_path / "rt.dcm"
    result = make_result(pet, make_mask(PET_SHAPE) * lesions, PHANTOM_MODEL, organs={1: "liver"} if lesions else {})
    write_object(make_rtstruct(result), path)
    assert not validation_errors(path)


@pytest.mark.skipif(not REAL_STUDIES, reason="LESIONCLICK_DICOM_STUDIES names no folder of studies")
@pytest.mark.parametrize("folder", REAL_STUDIES, ids=lambda path: path.name)
def test_real_study_as_structure_set(folder: Path, tmp_path: Path) -> None:
    pet = read_pet(folder)
    result = make_result(pet)
    path = tmp_path / "rt.dcm"
    write_object(make_rtstruct(result), path)
    assert np.array_equal(read_regions(path, pet), result.lesions_zyx)


@needs_dciodvfy
@pytest.mark.skipif(not REAL_STUDIES, reason="LESIONCLICK_DICOM_STUDIES names no folder of studies")
@pytest.mark.parametrize("folder", REAL_STUDIES, ids=lambda path: path.name)
def test_validator_finds_no_new_error_in_structure_set_of_a_real_study(folder: Path, tmp_path: Path) -> None:
    pet = read_pet(folder)
    path = tmp_path / "rt.dcm"
    write_object(make_rtstruct(make_result(pet)), path)
    assert validation_errors(path) <= validation_errors(Path(pet.slices[0].filename))
