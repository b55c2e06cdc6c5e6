import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("pydicom")
pytest.importorskip("highdicom")

import pydicom
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
from pydicom.uid import CTImageStorage, generate_uid

from lesionclick.case.geometry import Geometry
from lesionclick.dicom.testing import (
    CT_ORIGIN,
    CT_SHAPE,
    CT_SPACING,
    DOSE,
    HALF_LIFE,
    PET_ORIGIN,
    PET_SHAPE,
    PET_SPACING,
    WEIGHT,
    SyntheticStudy,
)
from lesionclick.errors import CaseError
from lesionclick_training.data.dicom import convert_dicom
from lesionclick_training.data.organs import write_organs


def make_image(
    array: np.ndarray,
    spacing: tuple[float, ...],
    origin: tuple[float, ...],
) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    return image


def read_stored(dataset: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (CT, PET) and label (lesion, organ) of a case as nnU-Net reads them, which also checks their spacings."""
    reader = SimpleITKIO()
    images, properties = reader.read_images(
        [str(dataset / f"imagesTr/{name}_000{channel}.nii.gz") for channel in (0, 1)]
    )
    label, label_properties = reader.read_seg(str(dataset / f"labelsTr/{name}.nii.gz"))
    assert np.allclose(properties["spacing"], label_properties["spacing"])
    assert label.shape == images.shape
    return images, label


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.fixture
def study() -> SyntheticStudy:
    return SyntheticStudy()


def expected_suv(study: SyntheticStudy, seconds: float) -> np.ndarray:
    """SUV from stored numbers, for a dose that decays for so long until the scan."""
    becquerels = np.stack([study.pet_stored[z] * study.slopes[z] + study.intercepts[z] for z in range(PET_SHAPE[0])])
    return becquerels / (DOSE * math.exp(-math.log(2) * seconds / HALF_LIFE)) * WEIGHT * 1000


def convert(study: SyntheticStudy, folder: Path, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    name = convert_dicom(study.write(folder / "patient 7"), folder / "Dataset301_Lung", **options)
    assert name == "patient 7"
    return read_stored(folder / "Dataset301_Lung", name)


def test_dicom_suv_and_grid(study: SyntheticStudy, tmp_path: Path) -> None:
    images, label = convert(study, tmp_path, without_lesions=True)
    assert np.allclose(images[1], expected_suv(study, 3600), rtol=1e-5)
    assert not label.any()
    stored = sitk.ReadImage(str(tmp_path / "Dataset301_Lung/imagesTr/patient 7_0001.nii.gz"))
    assert Geometry.of(stored).size == PET_SHAPE[::-1]
    assert np.allclose(stored.GetSpacing(), PET_SPACING)
    assert np.allclose(stored.GetOrigin(), PET_ORIGIN)
    assert np.allclose(stored.GetDirection(), np.eye(3).ravel())


def test_dicom_ct_is_interpolated_on_the_pet_grid(study: SyntheticStudy, tmp_path: Path) -> None:
    images, _ = convert(study, tmp_path, without_lesions=True)
    z, y, x = (axis.astype(float) for axis in np.indices(PET_SHAPE))
    world = [PET_ORIGIN[axis] + index * PET_SPACING[axis] for axis, index in enumerate((x, y, z))]
    cx, cy, cz = ((world[axis] - CT_ORIGIN[axis]) / CT_SPACING[axis] for axis in range(3))
    inside = (cx <= CT_SHAPE[2] - 1) & (cy <= CT_SHAPE[1] - 1) & (cz <= CT_SHAPE[0] - 1)
    assert inside.sum() > 1
    assert images[0][0, 0, 0] == -1024
    inside[0, 0, 0] = False
    assert np.allclose(images[0][inside], (3 * cx + 50 * cz - 500)[inside], atol=1e-3)
    assert images[0].min() == -1024


def test_dicom_ct_outside_its_field_of_view_is_air(study: SyntheticStudy, tmp_path: Path) -> None:
    for item in study.ct:
        item.ImagePositionPatient[0] += 8
    images, _ = convert(study, tmp_path, without_lesions=True)
    # the CT begins at x = -8, the PET's columns at -14, -10, -6
    assert (images[0][:, :, :2] == -1024).all()
    assert np.allclose(images[0][0, 0, 3], 3 * 3 + 50 * 1 - 500)


def test_dicom_decay_to_administration(study: SyntheticStudy, tmp_path: Path) -> None:
    for item in study.pet:
        item.DecayCorrection = "ADMIN"
    images, _ = convert(study, tmp_path, without_lesions=True)
    assert np.allclose(images[1], expected_suv(study, 0), rtol=1e-5)


def set_start_datetime(study: SyntheticStudy) -> None:
    for item in study.pet:
        item.RadiopharmaceuticalInformationSequence[0].RadiopharmaceuticalStartDateTime = "20200301091500.000000"


def cross_midnight(study: SyntheticStudy) -> None:
    for index, item in enumerate(study.pet):
        item.SeriesTime, item.AcquisitionTime = "002000", f"00{20 + index}00"
        item.RadiopharmaceuticalInformationSequence[0].RadiopharmaceuticalStartTime = "233000"


def reconstruct_later(study: SyntheticStudy) -> None:
    for item in study.pet:
        item.SeriesTime = "180000"


def reconstruct_later_at_ge(study: SyntheticStudy) -> None:
    for item in study.pet:
        item.SeriesTime = "180000"
        item.private_block(0x0009, "GEMS_PETD_01", create=True).add_new(0x0D, "DT", "20200301103045.00")


@pytest.mark.parametrize(
    ("change", "seconds"),
    [
        (set_start_datetime, 4500.5),
        (cross_midnight, 3000.0),
        (reconstruct_later, 3659.5),  # to the earliest acquisition, 10:31:00
        (reconstruct_later_at_ge, 3644.5),
    ],
)
def test_dicom_time_from_injection_to_scan(
    study: SyntheticStudy, tmp_path: Path, change: Callable[[SyntheticStudy], None], seconds: float
) -> None:
    change(study)
    images, _ = convert(study, tmp_path, without_lesions=True)
    assert np.allclose(images[1], expected_suv(study, seconds), rtol=1e-5)


def test_dicom_slices_stacked_in_another_plane(study: SyntheticStudy, tmp_path: Path) -> None:
    # sagittal slices, stored from right to left of the normal (rows run along y, columns down along -z)
    for index, item in enumerate(study.pet):
        item.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
        item.ImagePositionPatient = [10.0 - 5 * index, -9.0, 120.0]
    images, _ = convert(study, tmp_path, without_lesions=True)
    # nnU-Net reads the array as stored; the slices' normal is y x -z = -x, so they are already in order
    assert np.allclose(images[1], expected_suv(study, 3600), rtol=1e-5)
    stored = sitk.ReadImage(str(tmp_path / "Dataset301_Lung/imagesTr/patient 7_0001.nii.gz"))
    assert np.allclose(stored.TransformIndexToPhysicalPoint((2, 3, 1)), (10 - 5, -9 + 2 * 4, 120 - 3 * 3), atol=1e-4)


def test_dicom_seg_on_the_pet_grid_lands_voxel_by_voxel(study: SyntheticStudy, tmp_path: Path) -> None:
    lesion = np.zeros(PET_SHAPE, dtype=np.uint8)
    lesion[1, 2, 3] = lesion[1, 2, 4] = lesion[4, 5, 0] = 1  # slices 2 and 3 have no frame
    study.write_segmentation(tmp_path / "patient 7" / "seg.dcm", {"Lesion": lesion}, study.pet)
    _move_in(study, tmp_path)
    images, label = read_converted(tmp_path)
    assert np.array_equal(label[0], lesion)
    assert np.allclose(images[1], expected_suv(study, 3600), rtol=1e-5)


def _move_in(study: SyntheticStudy, tmp_path: Path) -> None:
    """Writes CT and PET beside a segmentation that is there already, and converts."""
    study.write(tmp_path / "images")
    (tmp_path / "images").rename(tmp_path / "patient 7" / "images")
    convert_dicom(tmp_path / "patient 7", tmp_path / "Dataset301_Lung")


def read_converted(tmp_path: Path) -> tuple[np.ndarray, np.ndarray]:
    return read_stored(tmp_path / "Dataset301_Lung", "patient 7")


def nearest_ct_voxels() -> tuple[np.ndarray, ...]:
    """For each PET voxel's centre the nearest CT voxel, z y x, by hand; no centre lies halfway."""
    indices = np.indices(PET_SHAPE)
    nearest = []
    for axis in range(3):
        world = PET_ORIGIN[2 - axis] + indices[axis] * PET_SPACING[2 - axis]
        position = (world - CT_ORIGIN[2 - axis]) / CT_SPACING[2 - axis]
        assert not np.isclose(position % 1, 0.5).any()
        nearest.append(np.round(position).astype(int))
    return tuple(nearest)


def make_ct_lesion() -> np.ndarray:
    lesion = np.zeros(CT_SHAPE, dtype=np.uint8)
    lesion[1:4, 2:5, 3:8] = 1
    lesion[9, 8, 5] = 1
    return lesion


@pytest.mark.parametrize("keep_spacing", [True, False])
def test_dicom_seg_on_the_ct_grid_goes_to_the_nearest_pet_voxels(
    study: SyntheticStudy, tmp_path: Path, keep_spacing: bool
) -> None:
    lesion = make_ct_lesion()
    lesion[2:4] = 0  # frames 1 and 9 alone: their distance is not that of the slices
    path = tmp_path / "patient 7" / "seg.dcm"
    study.write_segmentation(path, {"Lesion": lesion}, study.ct)
    stored = pydicom.dcmread(path)
    measures = stored.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert measures.SpacingBetweenSlices == CT_SPACING[2]
    if not keep_spacing:
        del measures.SpacingBetweenSlices
        stored.save_as(path)
    _move_in(study, tmp_path)
    expected = lesion[nearest_ct_voxels()]
    assert expected.sum() > 1
    assert np.array_equal(read_converted(tmp_path)[1][0], expected)


def test_dicom_seg_with_several_segments_needs_a_choice(study: SyntheticStudy, tmp_path: Path) -> None:
    first, second, liver = (np.zeros(PET_SHAPE, dtype=np.uint8) for _ in range(3))
    first[1, 1, 1] = second[2, 2, 2:5] = liver[3] = 1
    segments = {"Lesion 1": first, "Liver": liver, "Lesion 2": second}
    study.write_segmentation(tmp_path / "patient 7" / "seg.dcm", segments, study.pet)
    with pytest.raises(CaseError, match=r"holds 3 segments \(Lesion 1, Lesion 2, Liver\), name those that are lesions"):
        _move_in(study, tmp_path)
    arguments = (tmp_path / "patient 7", tmp_path / "Dataset301_Lung")
    with pytest.raises(CaseError, match="no segment is called 'Tumor', there are Lesion 1, Lesion 2, Liver"):
        convert_dicom(*arguments, segments=["Tumor", "Lesion *"])
    with pytest.raises(CaseError, match="a segmentation in a study that was said to be without lesions"):
        convert_dicom(*arguments, without_lesions=True)
    convert_dicom(*arguments, segments=["Lesion *"])
    assert np.array_equal(read_converted(tmp_path)[1][0], first | second)


def test_dicom_segs_of_several_files_are_united(study: SyntheticStudy, tmp_path: Path) -> None:
    first, second = (np.zeros(PET_SHAPE, dtype=np.uint8) for _ in range(2))
    first[1, 1, 1] = second[2, 2, 2:5] = 1
    study.write_segmentation(tmp_path / "patient 7" / "a.dcm", {"Lesion": first}, study.pet)
    study.write_segmentation(tmp_path / "patient 7" / "b.dcm", {"Lesion": second}, study.pet)
    study.write(tmp_path / "images")
    (tmp_path / "images").rename(tmp_path / "patient 7" / "images")
    convert_dicom(tmp_path / "patient 7", tmp_path / "Dataset301_Lung", segments=["Lesion"])
    assert np.array_equal(read_converted(tmp_path)[1][0], first | second)


def test_dicom_seg_must_belong_to_the_study(study: SyntheticStudy, tmp_path: Path) -> None:
    lesion = make_ct_lesion()
    path = tmp_path / "patient 7" / "seg.dcm"
    study.write_segmentation(path, {"Lesion": lesion}, study.ct)
    stored = pydicom.dcmread(path)
    stored.FrameOfReferenceUID = generate_uid()
    stored.save_as(path)
    with pytest.raises(CaseError, match=r"seg\.dcm: FrameOfReferenceUID \(0020,0052\) is .*, not the PET's"):
        _move_in(study, tmp_path)
    # a voxel of the CT that is no PET voxel's nearest
    lesion[:] = 0
    lesion[2, 3, 4] = 1
    study.write_segmentation(path, {"Lesion": lesion}, study.ct)
    with pytest.raises(CaseError, match=r"seg\.dcm: its chosen segments leave no voxel on the PET's grid"):
        convert_dicom(tmp_path / "patient 7", tmp_path / "Dataset301_Lung")
    assert not (tmp_path / "Dataset301_Lung").exists()


def test_dicom_takes_organs_and_joins_a_dataset(study: SyntheticStudy, tmp_path: Path) -> None:
    organ = np.zeros(CT_SHAPE, dtype=np.uint8)
    organ[2:8, 3:9, 4:12] = 3
    reference = make_image(organ, CT_SPACING, CT_ORIGIN)
    write_organs(tmp_path / "organs.nii.gz", organ, reference)
    _, label = convert(study, tmp_path, without_lesions=True, organs=tmp_path / "organs.nii.gz")
    assert np.array_equal(label[1], np.where(organ[nearest_ct_voxels()] > 0, 4, 0))
    with pytest.raises(CaseError, match="has a case patient 7 already"):
        convert_dicom(tmp_path / "patient 7", tmp_path / "Dataset301_Lung", without_lesions=True)
    convert_dicom(tmp_path / "patient 7", tmp_path / "Dataset301_Lung", name="again", without_lesions=True)
    assert json.loads((tmp_path / "Dataset301_Lung/dataset.json").read_text())["numTraining"] == 2


def test_dicom_asks_which_series(study: SyntheticStudy, tmp_path: Path) -> None:
    second = study.make_series(
        "CT", CTImageStorage, np.zeros(CT_SHAPE, np.int16), CT_SPACING, CT_ORIGIN, [1.0] * 12, [7.0] * 12
    )
    uid = study.ct[0].SeriesInstanceUID
    study.ct += second
    folder = study.write(tmp_path / "patient 7")
    with pytest.raises(CaseError, match=rf"holds 2 CT series, name one by its UID: .*{uid} \(CT WB, 12 files\)"):
        convert_dicom(folder, tmp_path / "Dataset301_Lung", without_lesions=True)
    with pytest.raises(CaseError, match=r"holds no PT series 1\.2\.3, only"):
        convert_dicom(folder, tmp_path / "Dataset301_Lung", pet_series="1.2.3", without_lesions=True)
    convert_dicom(folder, tmp_path / "Dataset301_Lung", ct_series=second[0].SeriesInstanceUID, without_lesions=True)
    assert np.allclose(read_converted(tmp_path)[0][0][0, 0, 0], 7)


def drug_without(keyword: str) -> Callable[[SyntheticStudy], None]:
    def change(study: SyntheticStudy) -> None:
        for item in study.pet:
            delattr(item.RadiopharmaceuticalInformationSequence[0], keyword)

    return change


def pet_without(keyword: str) -> Callable[[SyntheticStudy], None]:
    def change(study: SyntheticStudy) -> None:
        for item in study.pet:
            delattr(item, keyword)

    return change


def pet_with(keyword: str, value: object) -> Callable[[SyntheticStudy], None]:
    def change(study: SyntheticStudy) -> None:
        for item in study.pet:
            setattr(item, keyword, value)

    return change


def drug_with(keyword: str, value: object) -> Callable[[SyntheticStudy], None]:
    def change(study: SyntheticStudy) -> None:
        for item in study.pet:
            setattr(item.RadiopharmaceuticalInformationSequence[0], keyword, value)

    return change


def drop_slice(study: SyntheticStudy) -> None:
    del study.pet[2]


def double_slice(study: SyntheticStudy) -> None:
    study.pet[3].ImagePositionPatient = study.pet[2].ImagePositionPatient


def tilt_gantry(study: SyntheticStudy) -> None:
    for index, item in enumerate(study.ct):
        item.ImagePositionPatient[1] += 0.5 * index


def turn_slice(study: SyntheticStudy) -> None:
    study.ct[3].ImageOrientationPatient = [0, 1, 0, 1, 0, 0]


def part_ct_from_pet(study: SyntheticStudy) -> None:
    for item in study.ct:
        item.FrameOfReferenceUID = generate_uid()


def cut_pixels(study: SyntheticStudy) -> None:
    study.pet[1].PixelData = study.pet[1].PixelData[:-20]


@pytest.mark.filterwarnings("ignore:.*pixel data:UserWarning")
@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (pet_without("PatientWeight"), r"PatientWeight \(0010,1030\) is missing"),
        (pet_with("PatientWeight", 0), r"PatientWeight \(0010,1030\) is 0, expected more than 0"),
        (pet_without("RadiopharmaceuticalInformationSequence"), r"InformationSequence \(0054,0016\) is missing"),
        (drug_without("RadionuclideTotalDose"), r"RadionuclideTotalDose \(0018,1074\) is missing"),
        (drug_with("RadionuclideTotalDose", 370), r"RadionuclideTotalDose \(0018,1074\) is 370, expected becquerels"),
        (drug_without("RadionuclideHalfLife"), r"RadionuclideHalfLife \(0018,1075\) is missing"),
        (drug_without("RadiopharmaceuticalStartTime"), r"RadiopharmaceuticalStartTime \(0018,1072\) is missing"),
        (drug_with("RadiopharmaceuticalStartTime", "104000"), r"StartTime \(0018,1072\) is 85800 s before the scan"),
        (
            drug_with("RadiopharmaceuticalStartDateTime", "20200301"),
            r"\(0018,1078\) is '20200301', not a date and time",
        ),
        (drug_with("RadiopharmaceuticalStartDateTime", "20200301120000"), r"\(0018,1078\) is -5400 s before the scan"),
        (pet_without("SeriesTime"), r"SeriesTime \(0008,0031\) is missing"),
        (pet_with("AcquisitionTime", ""), r"AcquisitionTime \(0008,0032\) is missing"),
        (pet_with("Units", "CNTS"), r"Units \(0054,1001\) is CNTS, expected BQML"),
        (pet_with("DecayCorrection", "NONE"), r"DecayCorrection \(0054,1102\) is NONE, expected START or ADMIN"),
        (pet_with("CorrectedImage", ["NORM", "DECY"]), r"CorrectedImage \(0028,0051\) lacks ATTN"),
        (pet_without("RescaleSlope"), r"RescaleSlope \(0028,1053\) is missing"),
        (drop_slice, r"mm off its place in a stack of 4 slices"),
        (double_slice, r"mm off its place in a stack of 5 slices"),
        (tilt_gantry, r"mm off its place in a stack of 12 slices"),
        (turn_slice, r"ImageOrientationPatient \(0020,0037\) differs from that of"),
        (part_ct_from_pet, r"FrameOfReferenceUID \(0020,0052\) is .*, not the PET's"),
        (cut_pixels, r"its pixels cannot be read"),
        (lambda study: study.pet.clear(), r"holds no series of modality PT"),
        (lambda study: study.pet.__delitem__(slice(1, None)), r"is the only slice of its series"),
    ],
)
def test_dicom_refuses_broken_studies(
    study: SyntheticStudy, tmp_path: Path, break_it: Callable[[SyntheticStudy], None], message: str
) -> None:
    break_it(study)
    folder = study.write(tmp_path / "patient 7")
    with pytest.raises(CaseError, match=message):
        convert_dicom(folder, tmp_path / "raw" / "Dataset301_Lung", without_lesions=True)
    assert names_in(tmp_path / "raw") == []


def test_dicom_without_segmentation_must_be_said_to_be_free_of_lesions(study: SyntheticStudy, tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="holds no DICOM SEG; a study that is free of lesions has to be said to be so"):
        convert(study, tmp_path)
