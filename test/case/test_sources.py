from pathlib import Path

import pytest

from lesionclick.case.sources import find_images, given_pair
from lesionclick.errors import CaseError


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("names", "ct", "pet"),
    [
        (["images/ct/1.mha", "images/pet/2.mha"], "images/ct/1.mha", "images/pet/2.mha"),
        (["CT.nii.gz", "CTres.nii.gz", "PET.nii.gz", "SUV.nii.gz", "SEG.nii.gz"], "CTres.nii.gz", "SUV.nii.gz"),
        (["p/s/CT.nii.gz", "p/s/SUV.nii.gz"], "p/s/CT.nii.gz", "p/s/SUV.nii.gz"),
        (["a b_0000.nii.gz", "a b_0001.nii.gz"], "a b_0000.nii.gz", "a b_0001.nii.gz"),
        (["imagesTs/a_0000.mha", "imagesTs/a_0001.mha", "x.txt"], "imagesTs/a_0000.mha", "imagesTs/a_0001.mha"),
        (["PET_patient-7.CT.NRRD", "patient-7 pet.nrrd"], "PET_patient-7.CT.NRRD", "patient-7 pet.nrrd"),
        (["ct.hdr", "ct.img", "pet.hdr", "pet.img"], "ct.hdr", "pet.hdr"),
        (["CT.nii", "PT.nii", "PT_seg.nii", ".CT.nii"], "CT.nii", "PT.nii"),
    ],
)
def test_every_layout_is_found(tmp_path: Path, names: list[str], ct: str, pet: str) -> None:
    pair = find_images(touch(tmp_path, *names))
    assert pair is not None
    assert (pair.ct, pair.pet, pair.clicks) == (tmp_path / ct, tmp_path / pet, None)
    assert f"CT {pair.ct}, PET (SUV) {pair.pet}" in pair.describe()
    assert f"CT {ct}, PET (SUV) {pet}" in pair.describe(tmp_path)


def test_the_full_ct_is_taken_on_request_and_what_is_passed_over_is_said(tmp_path: Path) -> None:
    pair = find_images(touch(tmp_path, "CT.nii.gz", "CTres.nii.gz", "PET.nii.gz", "SUV.nii.gz"), full_ct=True)
    assert pair is not None
    assert pair.ct.name == "CT.nii.gz"
    assert pair.describe().endswith(" (passed over: CTres.nii.gz, PET.nii.gz)")


def test_clicks_beside_the_images_belong_to_them(tmp_path: Path) -> None:
    pair = find_images(touch(tmp_path, "images/ct/1.mha", "images/pet/2.mha", "lesion-clicks.json"))
    assert pair is not None
    assert pair.clicks == tmp_path / "lesion-clicks.json"


def test_nothing_that_looks_like_a_case_is_left_to_dicom(tmp_path: Path) -> None:
    assert (
        find_images(touch(tmp_path, "CT/1.dcm", "CT/2.dcm", "PET/IM0001", "a/b/c/d/CT.nii", "a/b/c/d/PET.nii")) is None
    )
    assert find_images(touch(tmp_path / "exported", "CT.1.2.img", "CT.1.3.img", "PT.1.2.img")) is None


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["a_0000.nii.gz", "a_0001.nii.gz", "b_0000.nii.gz"], "{}: holds 2 cases (a, b), name one by --ct and --pet"),
        (["a_0000.nii.gz"], "{}: a_0001 is missing, which is the PET in nnU-Net's layout"),
        (["CT.nii.gz", "SEG.nii.gz"], "{}: holds CT.nii.gz and no image whose name says that it is the PET"),
        (["SUV.nii.gz"], "{}: holds SUV.nii.gz and no image whose name says that it is the CT"),
        (
            ["ct1.nii.gz", "1_ct.nii.gz", "2_ct.nii.gz", "pet.nii.gz"],
            "{}: 3 images can be the CT (1_ct.nii.gz, 2_ct.nii.gz, ct1.nii.gz), name one by --ct and --pet",
        ),
        (
            ["a/CT.nii", "a/PET.nii", "b/CT.nii", "b/PET.nii"],
            "{}: holds 2 studies ({}/a, {}/b), name the folder of one",
        ),
        (["images/ct/1.mha"], "{}/images/pet: the folder is missing, expected one .mha image in it"),
    ],
)
def test_what_is_ambiguous_or_incomplete_is_one_sentence(tmp_path: Path, names: list[str], sentence: str) -> None:
    with pytest.raises(CaseError) as refusal:
        find_images(touch(tmp_path, *names))
    assert str(refusal.value) == sentence.format(*[tmp_path] * 3)


def test_named_files_are_checked(tmp_path: Path) -> None:
    touch(tmp_path, "a.nrrd", "b.nii.gz", "c.tiff")
    pair = given_pair(tmp_path / "a.nrrd", tmp_path / "b.nii.gz")
    assert (pair.name, pair.ct.name, pair.pet.name) == ("a", "a.nrrd", "b.nii.gz")
    with pytest.raises(CaseError, match=r"x\.nii: the PET is missing"):
        given_pair(tmp_path / "a.nrrd", tmp_path / "x.nii")
    with pytest.raises(CaseError, match=r"the CT is a folder, expected an image file \(DICOM: give the study's folder"):
        given_pair(tmp_path, tmp_path / "b.nii.gz")
    with pytest.raises(CaseError, match=r"c\.tiff: the CT is in no format that says where voxels lie in the world"):
        given_pair(tmp_path / "c.tiff", tmp_path / "b.nii.gz")
    with pytest.raises(CaseError, match="is given both as CT and as PET"):
        given_pair(tmp_path / "a.nrrd", tmp_path / "a.nrrd")
