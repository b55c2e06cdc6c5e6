"""Which cases a folder or a list holds, and what is refused of them."""

import re
import shutil
from pathlib import Path

import pytest
import SimpleITK as sitk
from helpers_case import CLICKS, make_labelled_case
from helpers_cohort import write_cases

from lesionclick.case.clicks import write_clicks
from lesionclick.case.geometry import Geometry
from lesionclick.case.images import write_image
from lesionclick.cohort.cases import CohortCase
from lesionclick.cohort.runner import find_cases
from lesionclick.errors import CaseError


def write_pair(ct: Path, pet: Path) -> None:
    case = make_labelled_case().case
    geometry: Geometry = case.geometry
    write_image(case.ct_zyx, geometry, ct)
    write_image(case.pet_zyx, geometry, pet)


def names_of(cases: list[CohortCase]) -> list[str]:
    return [case.name for case in cases]


def refusal(inputs: Path) -> str:
    with pytest.raises(CaseError) as raised:
        find_cases(inputs)
    return str(raised.value)


# ---- a folder


def test_folder_of_studies_whatever_their_layout(tmp_path: Path) -> None:
    write_cases(tmp_path, 1)
    write_pair(tmp_path / "release" / "CTres.nii.gz", tmp_path / "release" / "SUV.nii.gz")
    for study in ("2001", "2002"):
        write_pair(tmp_path / "twice" / study / "CTres.nii.gz", tmp_path / "twice" / study / "SUV.nii.gz")
    shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "release")
    (tmp_path / "notes.txt").touch()
    (tmp_path / ".hidden").mkdir()
    cases = find_cases(tmp_path)
    assert names_of(cases) == ["case-00", "packed", "release", "twice_2001", "twice_2002"]
    for case in cases:
        assert case.open(with_clicks=True).case.ct_zyx.any()


def test_nnunet_layout_with_clicks_beside_it(tmp_path: Path) -> None:
    for name in ("b", "a"):
        images = tmp_path / "imagesTs"
        write_pair(images / f"{name}_0000.nii.gz", images / f"{name}_0001.nii.gz")
    write_clicks(CLICKS, tmp_path / "clicks" / "a_clicks.json")
    first, second = find_cases(tmp_path)
    assert (first.name, second.name) == ("a", "b")
    assert first.open(with_clicks=True).case.clicks == CLICKS
    assert first.open(with_clicks=False).case.clicks == second.open(with_clicks=True).case.clicks == ()
    assert names_of(find_cases(tmp_path / "imagesTs")) == ["a", "b"]


def test_inputs_json_says_where_images_lie(tmp_path: Path) -> None:
    folder = write_cases(tmp_path, 1) / "case-00"
    (folder / "images").rename(folder / "elsewhere")
    sockets = [("ct-image", "elsewhere/ct"), ("pet-image", "elsewhere/pet"), ("lesion-clicks", "lesion-clicks.json")]
    entries = ", ".join(f'{{"socket": {{"slug": "{slug}", "relative_path": "{path}"}}}}' for slug, path in sockets)
    (folder / "inputs.json").write_text(f"[{entries}]")
    (case,) = find_cases(tmp_path)
    assert case.open(with_clicks=True).case.ct_zyx.any()


def test_one_case_is_a_cohort_too_and_what_is_none_is_left_to_fail(tmp_path: Path) -> None:
    write_cases(tmp_path, 1)
    assert names_of(find_cases(tmp_path / "case-00")) == ["case-00"]
    (tmp_path / "empty").mkdir()
    assert names_of(find_cases(tmp_path)) == ["case-00", "empty"]


def test_folder_without_cases_or_none_at_all_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none").endswith("is missing, expected a folder of cases or a list of them (.csv)")
    assert "holds no case" in refusal(tmp_path)


# ---- what tells a case from a changed one


def test_stamp_and_digest_change_with_a_file_and_the_digest_not_with_its_place(tmp_path: Path) -> None:
    (case,) = find_cases(write_cases(tmp_path / "a", 1))
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    (moved,) = find_cases(tmp_path / "b")
    assert moved.digest() == case.digest()
    assert moved.stamp() != case.stamp()
    stamp, digest = case.stamp(), case.digest()
    write_clicks(CLICKS, tmp_path / "a" / "case-00" / "lesion-clicks.json")
    assert case.stamp() != stamp
    assert case.digest() != digest


def test_bodies_of_formats_in_two_files_count(tmp_path: Path) -> None:
    for name in ("x_CT.mhd", "x_PET.mhd", "another.mhd"):
        sitk.WriteImage(sitk.Image(2, 2, 2, sitk.sitkFloat32), str(tmp_path / name))
    case = CohortCase("p", ct=tmp_path / "x_CT.mhd", pet=tmp_path / "x_PET.mhd")
    assert [path.name for path in case.files()] == ["x_CT.mhd", "x_CT.raw", "x_PET.mhd", "x_PET.raw"]


# ---- a list


def write_list(folder: Path, *lines: str) -> Path:
    path = folder / "list.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_list_of_studies_and_of_images_with_paths_from_its_own_folder(tmp_path: Path) -> None:
    write_cases(tmp_path / "data", 1)
    write_pair(tmp_path / "ct.nii.gz", tmp_path / "pet.nii.gz")
    write_clicks(CLICKS, tmp_path / "clicks.json")
    path = write_list(
        tmp_path,
        "Name;study;ct;pet;clicks;age",
        f"one;{tmp_path / 'data' / 'case-00'};;;;50",
        "two;;ct.nii.gz;pet.nii.gz;clicks.json;60",
    )
    first, second = find_cases(path)
    assert (first.name, second.name) == ("one", "two")
    assert first.open(with_clicks=True).case.clicks == ()
    assert second.open(with_clicks=True).case.clicks == CLICKS


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (("name,study", "a,there", "a,there"), "has the case 'a' twice, expected a name of its own for each"),
        (("name,study", "a,there", "b,nowhere"), "line 3: the study of b is missing: .*nowhere"),
        (("name,ct,pet", "a,list.csv,nowhere"), "line 2: the pet of a is missing: .*nowhere"),
        (("name,ct,pet,clicks", "a,list.csv,list.csv,there"), "line 2: the clicks of a is missing: .*there"),
        (("name,ct,pet", "a,list.csv,"), "line 2: a has ct, expected a study, or a ct and a pet"),
        (("name,ct", "a,list.csv"), "has the columns name, ct, expected name and study, or name, ct and pet"),
        (("name,study", ",there"), "line 2: has no name"),
        (("name,study", "../a,there"), "the name '../a' is not fit for the folder of a case"),
        (("name,study", "cases.csv,there"), "the name 'cases.csv' is not fit for the folder of a case"),
        (("name,study",), "names no case, expected a row for each"),
        (("",), "has the columns , expected"),
    ],
)
def test_list_that_cannot_be_right_is_refused(lines: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    text = refusal(write_list(tmp_path, *lines))
    assert re.search(sentence, text), text
    assert "list.csv" in text


def test_list_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(b"\xff\xfe\x00")
    assert "list.csv: cannot be read" in refusal(tmp_path / "list.csv")
