import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("pydicom")
pytest.importorskip("highdicom")

import pydicom
from helpers_dicom import PET_ORIGIN, PET_SHAPE, PET_SPACING, SyntheticStudy
from pydicom.dataset import Dataset

from lesionclick.dicom.series import choose_series, find_series
from lesionclick.dicom.volume import SeriesVolume, read_ct, read_volume, require_frame_of_reference
from lesionclick.errors import CaseError

# folders of real studies, axial, with a folder CT each; none unless the variable names the folder that holds them
REAL_STUDIES = sorted(path.parent for path in Path(os.environ.get("LESIONCLICK_DICOM_STUDIES", "")).glob("*/CT"))


@pytest.fixture
def study() -> SyntheticStudy:
    return SyntheticStudy()


def read(study: SyntheticStudy, folder: Path, modality: str = "PT") -> SeriesVolume:
    uid = (study.ct if modality == "CT" else study.pet)[0].SeriesInstanceUID
    return read_volume(choose_series(folder, find_series(study.write(folder / "study")), modality, uid))


def becquerels(study: SyntheticStudy) -> np.ndarray:
    """Bq/ml, from the stored pixels."""
    planes = zip(study.pet_stored, study.slopes, study.intercepts, strict=True)
    return np.stack([plane * slope + intercept for plane, slope, intercept in planes]).astype(np.float32)


def place(image: sitk.Image, x: int, y: int, z: int) -> tuple[float, ...]:
    """Where a voxel's center lies, mm."""
    return tuple(image.TransformIndexToPhysicalPoint((x, y, z)))


def test_slices_are_sorted_and_each_is_rescaled_by_its_own_slope(study: SyntheticStudy, tmp_path: Path) -> None:
    pet = read(study, tmp_path)
    assert np.array_equal(sitk.GetArrayFromImage(pet.image), becquerels(study))
    assert [item.SOPInstanceUID for item in pet.slices] == [item.SOPInstanceUID for item in study.pet]
    assert not any("PixelData" in item for item in pet.slices)
    assert pet.uid == study.pet[0].SeriesInstanceUID
    assert pet.frame_of_reference == study.frame_of_reference


def test_geometry_comes_from_positions_and_directions(study: SyntheticStudy, tmp_path: Path) -> None:
    pet = read(study, tmp_path)
    assert pet.image.GetSize() == PET_SHAPE[::-1]
    assert np.allclose(pet.image.GetSpacing(), PET_SPACING, atol=1e-9)
    assert pet.image.GetOrigin() == PET_ORIGIN
    assert np.allclose(pet.image.GetDirection(), np.eye(3).ravel(), atol=1e-9)
    assert pet.slice_spacing == pytest.approx(PET_SPACING[2])


def test_sagittal_slices_stacked_from_right_to_left(study: SyntheticStudy, tmp_path: Path) -> None:
    # rows run along y, columns down along -z: the slices' normal is y x -z = -x, so they are already in order
    for index, item in enumerate(study.pet):
        item.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
        item.ImagePositionPatient = [10.0 - 5 * index, -9.0, 120.0]
    pet = read(study, tmp_path)
    assert np.array_equal(sitk.GetArrayFromImage(pet.image), becquerels(study))
    assert np.allclose(place(pet.image, 2, 3, 1), (10 - 5, -9 + 2 * 4, 120 - 3 * 3))


def test_slices_stored_from_the_head_down_are_turned_round(study: SyntheticStudy, tmp_path: Path) -> None:
    for index, item in enumerate(study.pet):
        item.ImagePositionPatient = [-14.0, -9.0, 120.0 - 5 * index]
    pet = read(study, tmp_path)
    assert np.array_equal(sitk.GetArrayFromImage(pet.image), becquerels(study)[::-1])
    assert np.allclose(place(pet.image, 0, 0, 1), (-14, -9, 105))
    assert pet.slices[0].InstanceNumber == PET_SHAPE[0]


def oblique_directions() -> np.ndarray:
    """Unit vectors along a row, a column and the normal, one a line, of a stack that is turned about two axes."""
    cos, sin = np.cos(0.3), np.sin(0.3)
    about_x = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    about_z = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    return np.asarray((about_x @ about_z).T)


@pytest.mark.parametrize("digits", [3, 6])
def test_rounded_directions_become_perpendicular_unit_vectors(
    study: SyntheticStudy, tmp_path: Path, digits: int
) -> None:
    directions = oblique_directions()
    for index, item in enumerate(study.pet):
        item.ImageOrientationPatient = directions[:2].round(digits).ravel().tolist()
        item.ImagePositionPatient = (np.array(PET_ORIGIN) + 5 * index * directions[2]).round(6).tolist()
    image = read(study, tmp_path).image
    direction = np.reshape(image.GetDirection(), (3, 3))
    assert np.allclose(direction.T @ direction, np.eye(3), atol=1e-12)
    assert np.allclose(direction, directions.T, atol=2 * 10.0**-digits)
    assert np.allclose(image.GetSpacing(), PET_SPACING, atol=5 * 10.0 ** (-2 * digits) + 1e-6)
    assert image.GetOrigin() == PET_ORIGIN
    assert np.array_equal(sitk.GetArrayFromImage(image), becquerels(study))


def test_positions_with_one_decimal_and_spacings_that_differ_by_rounding(study: SyntheticStudy, tmp_path: Path) -> None:
    for index, item in enumerate(study.pet):
        item.ImagePositionPatient = [-14.0, -9.0, round(100 + index * 3.27, 1)]
    study.pet[2].PixelSpacing = [3.0, 4.0000001]
    image = read(study, tmp_path).image
    assert np.allclose(image.GetSpacing(), (4, 3, 3.275), atol=1e-6)


def test_directions_that_differ_a_little_are_taken_for_one(study: SyntheticStudy, tmp_path: Path) -> None:
    study.pet[2].ImageOrientationPatient = [1, 0.0012, 0, -0.0012, 1, 0]
    assert np.array_equal(sitk.GetArrayFromImage(read(study, tmp_path).image), becquerels(study))


def test_values_are_rescaled_whatever_else_a_viewer_would_apply(study: SyntheticStudy, tmp_path: Path) -> None:
    for item in study.pet:
        mapping = Dataset()
        mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = 5.0, 1.0
        mapping.RealWorldValueFirstValueMapped, mapping.RealWorldValueLastValueMapped = 0, 30000
        item.RealWorldValueMappingSequence = [mapping]
        item.PhotometricInterpretation = "MONOCHROME1"
    assert np.array_equal(sitk.GetArrayFromImage(read(study, tmp_path).image), becquerels(study))


def test_ct_in_hounsfield_units_is_nowhere_below_air(study: SyntheticStudy, tmp_path: Path) -> None:
    ct = read_ct(choose_series(tmp_path, find_series(study.write(tmp_path / "study")), "CT"))
    expected = study.hu.copy()
    expected[1, 0, 1] = -1024  # padding, stored as -3024
    assert ct.image.GetPixelID() == sitk.sitkFloat32
    assert np.array_equal(sitk.GetArrayFromImage(ct.image), expected)


def test_frames_of_reference_are_compared(study: SyntheticStudy, tmp_path: Path) -> None:
    pet = read(study, tmp_path)
    header = pydicom.dcmread(next((tmp_path / "study" / "CT").iterdir()))
    require_frame_of_reference(header, pet)
    header.FrameOfReferenceUID = "1.2.3"
    with pytest.raises(CaseError, match=r"FrameOfReferenceUID \(0020,0052\) is 1\.2\.3, not the PET's"):
        require_frame_of_reference(header, pet)


def drop_slice(slices: list[Dataset]) -> None:
    del slices[2]


def repeat_slice(slices: list[Dataset]) -> None:
    slices[3].ImagePositionPatient = slices[2].ImagePositionPatient


def repeat_slice_nearby(slices: list[Dataset]) -> None:
    slices[3].ImagePositionPatient = [*PET_ORIGIN[:2], PET_ORIGIN[2] + 10.05]


def tilt_gantry(slices: list[Dataset]) -> None:
    for index, item in enumerate(slices):
        item.ImagePositionPatient[1] += 0.5 * index


def tilt_gantry_slightly(slices: list[Dataset]) -> None:
    for index, item in enumerate(slices):
        item.ImagePositionPatient[1] += 0.1 * index  # 1.1 degrees


def stay_in_place(slices: list[Dataset]) -> None:
    for index, item in enumerate(slices):
        item.ImagePositionPatient = [*PET_ORIGIN[:2], PET_ORIGIN[2] + 0.01 * index]


def shift_within_plane(slices: list[Dataset]) -> None:
    for index, item in enumerate(slices):
        item.ImagePositionPatient = [PET_ORIGIN[0] + index, *PET_ORIGIN[1:]]


def turn_slice(slices: list[Dataset]) -> None:
    slices[3].ImageOrientationPatient = [0, 1, 0, 1, 0, 0]


def skew_directions(slices: list[Dataset]) -> None:
    for item in slices:
        item.ImageOrientationPatient = [1, 0, 0, 0.01, 1, 0]


def widen_slice(slices: list[Dataset]) -> None:
    slices[3].PixelSpacing = [3, 4.01]


def move_to_another_frame(slices: list[Dataset]) -> None:
    slices[3].FrameOfReferenceUID = "1.2.3"


def cut_pixels(slices: list[Dataset]) -> None:
    slices[3].PixelData = slices[3].PixelData[:-20]


def lose_slope(slices: list[Dataset]) -> None:
    del slices[3].RescaleSlope


def lose_position(slices: list[Dataset]) -> None:
    del slices[3].ImagePositionPatient


def hold_two_frames(slices: list[Dataset]) -> None:
    slices[3].NumberOfFrames = 2


def leave_one(slices: list[Dataset]) -> None:
    del slices[1:]


@pytest.mark.filterwarnings("ignore:.*pixel data:UserWarning")
@pytest.mark.parametrize(
    ("break_it", "number", "message"),
    [
        # the third of five is lost: the stack looks 20 / 3 mm apart
        (drop_slice, 2, r"lies 1\.67 mm off its place in a stack of 4 slices 6\.667 mm apart, expected slices evenly"),
        (repeat_slice, None, r"ImagePositionPatient \(0020,0032\) is also that of .*, expected one slice a place"),
        (repeat_slice_nearby, 4, r"lies 4\.95 mm off its place in a stack of 5 slices 5 mm apart"),
        (tilt_gantry, 2, r"lies 0\.50 mm off .* \(the gantry was tilted by 5\.7 degrees\)$"),
        (tilt_gantry_slightly, 3, r"lies 0\.20 mm off .* \(the gantry was tilted by 1\.1 degrees\)$"),
        (stay_in_place, None, r"the slices of its series have almost the same ImagePositionPatient \(0020,0032\)"),
        (shift_within_plane, None, r"almost the same ImagePositionPatient \(0020,0032\) along their normal"),
        (turn_slice, None, r"ImageOrientationPatient \(0020,0037\) differs from that of "),
        (skew_directions, None, r"ImageOrientationPatient \(0020,0037\) is not two perpendicular unit vectors"),
        (widen_slice, None, r"PixelSpacing \(0028,0030\) differs from that of "),
        (move_to_another_frame, None, r"FrameOfReferenceUID \(0020,0052\) differs from that of "),
        (cut_pixels, 4, r"its pixels cannot be read"),
        (lose_slope, 4, r"RescaleSlope \(0028,1053\) is missing"),
        (lose_position, 4, r"ImagePositionPatient \(0020,0032\) is missing"),
        (hold_two_frames, 4, r"is multi-frame, expected one slice a file"),
        (leave_one, 1, r"is the only slice of its series, expected several"),
    ],
)
def test_a_broken_series_is_refused_and_the_slice_named(
    study: SyntheticStudy, tmp_path: Path, break_it: Callable[[list[Dataset]], None], number: int | None, message: str
) -> None:
    """`number` is the InstanceNumber of the slice to blame, None where it could be one or the other."""
    break_it(study.pet)
    with pytest.raises(CaseError, match=message) as raised:
        read(study, tmp_path)
    named = Path(str(raised.value).partition(": ")[0])
    assert named.is_file()
    if number is not None:
        assert pydicom.dcmread(named).InstanceNumber == number


@pytest.mark.parametrize("folder", REAL_STUDIES, ids=lambda folder: folder.name)
@pytest.mark.parametrize("modality", ["CT", "PT"])
def test_real_axial_series(folder: Path, modality: str) -> None:
    series = choose_series(folder, find_series(folder), modality)
    image = read_volume(series).image
    slices = sorted(map(pydicom.dcmread, series.paths), key=lambda item: item.ImagePositionPatient[2])
    first, last = slices[0], slices[-1]
    rescaled = [item.pixel_array * item.RescaleSlope + item.RescaleIntercept for item in slices]
    assert np.array_equal(sitk.GetArrayFromImage(image), np.array(rescaled, dtype=np.float32))
    assert np.allclose(image.GetSpacing()[:2], first.PixelSpacing[::-1], atol=1e-6)
    assert np.allclose(place(image, 0, 0, 0), first.ImagePositionPatient, atol=1e-6)
    assert np.allclose(place(image, 0, 0, len(slices) - 1), last.ImagePositionPatient, atol=1e-6)
    assert np.allclose(image.GetDirection(), np.eye(3).ravel(), atol=1e-6)
