import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from helpers_data import read_stored, write_release
from helpers_dicom import (
    CT_ORIGIN,
    CT_SHAPE,
    CT_SPACING,
    PET_ORIGIN,
    PET_SHAPE,
    PET_SPACING,
    SyntheticStudy,
)
from pydicom.uid import CTImageStorage, generate_uid

from lesionclick.case.geometry import Geometry
from lesionclick.dicom.series import choose_series, find_series
from lesionclick.dicom.suv import read_suv
from lesionclick.errors import CaseError
from lesionclick_training.data.autopet import convert_autopet
from lesionclick_training.data.dicom import DicomStudy, convert_dicom
from lesionclick_training.data.nnunet_layout import UNKNOWN
from lesionclick_training.data.organs import write_organs


@pytest.fixture
def study() -> SyntheticStudy:
    return SyntheticStudy()


def convert(study: SyntheticStudy, folder: Path, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """Images (CT, PET) and label (lesion, organ) of a case as nnU-Net reads them."""
    dataset = folder / "Dataset301_Lung"
    name = convert_dicom(DicomStudy(study.write(folder / "patient 7"), **options), dataset)
    assert name == "patient 7"
    return read_stored(dataset, name)


def test_pet_becomes_suv_on_its_own_grid(study: SyntheticStudy, tmp_path: Path) -> None:
    images, label = convert(study, tmp_path, without_lesions=True)
    pet = read_suv(choose_series(tmp_path, find_series(tmp_path / "patient 7"), "PT"))
    assert np.array_equal(images[1], sitk.GetArrayFromImage(pet.image))
    assert not label[0].any()
    assert (label[1] == UNKNOWN).all()
    stored = sitk.ReadImage(str(tmp_path / "Dataset301_Lung/imagesTr/patient 7_0001.nii.gz"))
    assert Geometry.of(stored).size == PET_SHAPE[::-1]
    assert np.allclose(stored.GetSpacing(), PET_SPACING)
    assert np.allclose(stored.GetOrigin(), PET_ORIGIN)
    assert np.allclose(stored.GetDirection(), np.eye(3).ravel())


def test_ct_is_interpolated_on_the_pet_grid(study: SyntheticStudy, tmp_path: Path) -> None:
    images, _ = convert(study, tmp_path, without_lesions=True)
    z, y, x = (axis.astype(float) for axis in np.indices(PET_SHAPE))
    world = [PET_ORIGIN[axis] + index * PET_SPACING[axis] for axis, index in enumerate((x, y, z))]
    cx, cy, cz = ((world[axis] - CT_ORIGIN[axis]) / CT_SPACING[axis] for axis in range(3))
    inside = (cx <= CT_SHAPE[2] - 1) & (cy <= CT_SHAPE[1] - 1) & (cz <= CT_SHAPE[0] - 1)
    assert inside.sum() > 1
    assert images[0][0, 0, 0] == -1024  # padding, far below air in the file
    inside[0, 0, 0] = False
    assert np.allclose(images[0][inside], (3 * cx + 50 * cz - 500)[inside], atol=1e-3)
    assert images[0].min() == -1024


def test_ct_outside_its_field_of_view_is_air(study: SyntheticStudy, tmp_path: Path) -> None:
    for item in study.ct:
        item.ImagePositionPatient[0] += 8
    images, _ = convert(study, tmp_path, without_lesions=True)
    # the CT begins at x = -8, the PET's columns at -14, -10, -6
    assert (images[0][:, :, :2] == -1024).all()
    assert np.allclose(images[0][0, 0, 3], 3 * 3 + 50 * 1 - 500)


def write_with_lesion(study: SyntheticStudy, folder: Path) -> np.ndarray:
    """Writes a study with a lesion and the liver as segments; returns the lesion, on the PET's grid."""
    lesion, liver = (np.zeros(PET_SHAPE, dtype=np.uint8) for _ in range(2))
    lesion[1, 2, 3] = lesion[1, 2, 4] = lesion[4, 5, 0] = liver[3] = 1
    study.write(folder)
    study.write_segmentation(folder / "seg.dcm", {"Lesion 1": lesion, "Liver": liver}, study.pet)
    return lesion


def test_chosen_segments_become_the_lesion_channel(study: SyntheticStudy, tmp_path: Path) -> None:
    lesion = write_with_lesion(study, tmp_path / "patient 7")
    convert_dicom(DicomStudy(tmp_path / "patient 7", segments=("Lesion *",)), tmp_path / "Dataset301_Lung")
    _, label = read_stored(tmp_path / "Dataset301_Lung", "patient 7")
    assert np.array_equal(label[0], lesion)


def test_outside_of_the_annotated_region_lesions_are_unknown(study: SyntheticStudy, tmp_path: Path) -> None:
    lung, tumor, far = (np.zeros(PET_SHAPE, dtype=np.uint8) for _ in range(3))
    lung[2, 2, 2:4] = tumor[2, 2, 3] = far[0, 0, 7] = 1
    folder, dataset = study.write(tmp_path / "patient 7"), tmp_path / "Dataset301_Lung"
    study.write_segmentation(folder / "seg.dcm", {"Lung": lung - tumor, "FDG-Avid Tumor": tumor | far}, study.pet)
    known = DicomStudy(folder, "everywhere", segments=("FDG-Avid Tumor",))
    region = replace(known, name="region", annotated_segments=("Lung",))
    for case in (known, region, replace(region, name="narrow", annotated_margin=0.0)):
        convert_dicom(case, dataset)
    everywhere, wide, narrow = (read_stored(dataset, name)[1][0] for name in ("everywhere", "region", "narrow"))
    assert np.array_equal(everywhere, tumor | far)
    lesions = (tumor | far) == 1
    assert np.array_equal(narrow, np.where(lesions, 1, np.where(lung - tumor, 0, UNKNOWN)))
    # 10 mm: two voxels of 4 mm along x, three of 3 mm along y, two of 5 mm along z
    z, y, x = np.indices(PET_SHAPE)
    near = (5.0 * (z - 2)) ** 2 + (3.0 * (y - 2)) ** 2 + (4.0 * (x - 2)) ** 2 <= 100
    assert np.array_equal(wide, np.where(lesions, 1, np.where(near, 0, UNKNOWN)))
    assert 0 < near.sum() < near.size


def test_a_study_without_lesions_knows_so_in_its_region_alone(study: SyntheticStudy, tmp_path: Path) -> None:
    lung = np.zeros(PET_SHAPE, dtype=np.uint8)
    lung[2, 2, 2] = 1
    folder = study.write(tmp_path / "patient 7")
    study.write_segmentation(folder / "seg.dcm", {"Lung": lung}, study.pet)
    convert_dicom(
        DicomStudy(folder, annotated_segments=("Lung",), annotated_margin=1, without_lesions=True),
        tmp_path / "Dataset301_Lung",
    )
    label = read_stored(tmp_path / "Dataset301_Lung", "patient 7")[1][0]
    assert np.array_equal(label, np.where(lung, 0, UNKNOWN))


def test_of_an_algorithm_s_lesions_and_their_correction_one_has_to_be_named(
    study: SyntheticStudy, tmp_path: Path
) -> None:
    first, second = (np.zeros(PET_SHAPE, dtype=np.uint8) for _ in range(2))
    first[1, 2, 3], second[3, 2, 4] = 1, 1
    folder, dataset = study.write(tmp_path / "patient 7"), tmp_path / "Dataset301_Lung"
    for name, lesion in (("a", first), ("b", second)):
        study.write_segmentation(folder / f"{name}.dcm", {"Tumor": lesion}, study.pet)
    corrected = str(pydicom.dcmread(folder / "b.dcm").SeriesInstanceUID)
    with pytest.raises(CaseError, match=rf"the segment 'Tumor' is in 2 SEG series, name those that count.*{corrected}"):
        convert_dicom(DicomStudy(folder, segments=("Tumor",)), dataset)
    convert_dicom(DicomStudy(folder, segments=("Tumor",), seg_series=(corrected,)), dataset)
    assert np.array_equal(read_stored(dataset, "patient 7")[1][0], second)


def test_a_study_extends_a_smaller_dataset(
    study: SyntheticStudy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    smaller, dataset = tmp_path / "Dataset221_AutoPET", tmp_path / "Dataset222_More"
    convert_autopet(write_release(tmp_path / "release"), smaller)
    caplog.clear()
    folder = study.write(tmp_path / "patient 7")
    convert_dicom(DicomStudy(folder, without_lesions=True), dataset, extend=smaller)
    before, after = (json.loads((path / "splits_final.json").read_text()) for path in (smaller, dataset))
    assert [fold["val"] for fold in after] == [fold["val"] for fold in before]
    assert all("patient 7" in fold["train"] for fold in after)
    assert caplog.messages == ["1 of 1 cases have no organ label: the organ loss leaves them out"]


def test_a_study_says_whether_it_has_lesions(study: SyntheticStudy, tmp_path: Path) -> None:
    folder, dataset = study.write(tmp_path / "patient 7"), tmp_path / "Dataset301_Lung"
    with pytest.raises(
        CaseError, match="holds no DICOM SEG, expected one unless the study is declared free of lesions"
    ):
        convert_dicom(DicomStudy(folder), dataset)
    write_with_lesion(SyntheticStudy(), tmp_path / "patient 8")
    with pytest.raises(
        CaseError, match=r"is said to be without lesions and has a segment for them \(Lesion 1, Liver\)"
    ):
        convert_dicom(DicomStudy(tmp_path / "patient 8", without_lesions=True), dataset)
    assert not dataset.exists()


def test_organs_on_the_ct_grid_go_to_the_nearest_pet_voxels(study: SyntheticStudy, tmp_path: Path) -> None:
    organ = np.zeros(CT_SHAPE, dtype=np.uint8)
    organ[2:8, 3:9, 4:12] = 3
    reference = sitk.GetImageFromArray(organ)
    reference.SetSpacing(CT_SPACING)
    reference.SetOrigin(CT_ORIGIN)
    write_organs(tmp_path / "organs.nii.gz", organ, reference)
    _, label = convert(study, tmp_path, without_lesions=True, organs=tmp_path / "organs.nii.gz")
    nearest = [
        np.round((PET_ORIGIN[axis] + np.arange(PET_SHAPE[2 - axis]) * PET_SPACING[axis] - CT_ORIGIN[axis]) / spacing)
        for axis, spacing in enumerate(CT_SPACING)
    ]
    on_pet = organ[np.ix_(*(indices.astype(int) for indices in reversed(nearest)))]
    assert on_pet.any()
    assert np.array_equal(label[1], np.where(on_pet > 0, 4, 0))


def test_studies_join_a_dataset_under_names_of_their_own(study: SyntheticStudy, tmp_path: Path) -> None:
    convert(study, tmp_path, without_lesions=True)
    folder, dataset = tmp_path / "patient 7", tmp_path / "Dataset301_Lung"
    with pytest.raises(CaseError, match="has a case patient 7 already"):
        convert_dicom(DicomStudy(folder, without_lesions=True), dataset)
    with pytest.raises(CaseError, match="'a/b' cannot name a case, expected a plain name without folders"):
        convert_dicom(DicomStudy(folder, name="a/b", without_lesions=True), dataset)
    convert_dicom(DicomStudy(folder, name="again", without_lesions=True), dataset)
    assert json.loads((dataset / "dataset.json").read_text())["numTraining"] == 2


def test_series_are_chosen_by_their_uid(study: SyntheticStudy, tmp_path: Path) -> None:
    second = study.make_series(
        "CT", CTImageStorage, np.zeros(CT_SHAPE, np.int16), CT_SPACING, CT_ORIGIN, [1.0] * 12, [7.0] * 12
    )
    study.ct += second
    folder, dataset = study.write(tmp_path / "patient 7"), tmp_path / "Dataset301_Lung"
    with pytest.raises(CaseError, match="holds 2 CT series"):
        convert_dicom(DicomStudy(folder, without_lesions=True), dataset)
    with pytest.raises(CaseError, match=r"holds no PT series 1\.2\.3, only"):
        convert_dicom(DicomStudy(folder, pet_series="1.2.3", without_lesions=True), dataset)
    convert_dicom(DicomStudy(folder, ct_series=second[0].SeriesInstanceUID, without_lesions=True), dataset)
    assert np.allclose(read_stored(dataset, "patient 7")[0][0][0, 0, 0], 7)


def lose_weight(study: SyntheticStudy) -> None:
    for item in study.pet:
        del item.PatientWeight


def drop_slice(study: SyntheticStudy) -> None:
    del study.pet[2]


def part_ct_from_pet(study: SyntheticStudy) -> None:
    uid = generate_uid()
    for item in study.ct:
        item.FrameOfReferenceUID = uid


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lose_weight, r"PatientWeight \(0010,1030\) is missing"),
        (drop_slice, r"mm off its place in a stack of 4 slices"),
        (part_ct_from_pet, r"FrameOfReferenceUID \(0020,0052\) is .*, not the PET's"),
    ],
)
def test_a_broken_study_leaves_nothing(
    study: SyntheticStudy, tmp_path: Path, break_it: Callable[[SyntheticStudy], None], message: str
) -> None:
    break_it(study)
    folder = study.write(tmp_path / "patient 7")
    with pytest.raises(CaseError, match=message):
        convert_dicom(DicomStudy(folder, without_lesions=True), tmp_path / "raw" / "Dataset301_Lung")
    assert not (tmp_path / "raw").exists() or not list((tmp_path / "raw").iterdir())
