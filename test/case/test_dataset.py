from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import body, image_from
from helpers_case import CLICKS, GEOMETRY, SHAPE, make_lesions, write_labelled_case

from lesionclick.case.clicks import Click, write_clicks
from lesionclick.case.dataset import Dataset, tracer_of
from lesionclick.errors import CaseError

SPACING = GEOMETRY.spacing


def write_container(folder: Path) -> None:
    write_labelled_case(folder, make_lesions())


def write_nnunet(folder: Path, name: str) -> None:
    ct, pet = body(SHAPE)
    images = {f"imagesTr/{name}_0000": ct, f"imagesTr/{name}_0001": pet, f"labelsTr/{name}": make_lesions()}
    for place, image in images.items():
        path = folder / f"{place}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(image_from(image, SPACING), str(path))


@pytest.mark.parametrize(
    ("name", "tracer"),
    [
        ("fdg_00ab_2003-NA", "fdg"),
        ("base_PSMA_001", "psma"),
        ("x-FDG-1", "fdg"),
        ("pfdg_1", "unknown"),
        ("a", "unknown"),
    ],
)
def test_tracer(name: str, tracer: str) -> None:
    assert tracer_of(name) == tracer


def test_both_layouts_give_the_same_case(tmp_path: Path) -> None:
    write_container(tmp_path / "container" / "a")
    write_nnunet(tmp_path / "nnunet", "a")
    (tmp_path / "nnunet" / "clicks").mkdir()
    write_clicks(CLICKS, tmp_path / "nnunet" / "clicks" / "a_clicks.json")
    first, second = (Dataset.find(tmp_path / layout).read("a") for layout in ("container", "nnunet"))
    for found in (first, second):
        np.testing.assert_array_equal(found.lesion_zyx, make_lesions())
        assert found.has_click_file
        assert found.case.clicks == CLICKS
        assert found.case.name == "a"  # not the name of the files
    np.testing.assert_array_equal(first.case.ct_zyx, second.case.ct_zyx)
    np.testing.assert_array_equal(first.case.pet_zyx, second.case.pet_zyx)


def test_lesions_are_the_first_channel_of_a_label(tmp_path: Path) -> None:
    write_nnunet(tmp_path, "a")
    channels = [image_from(channel, SPACING) for channel in (make_lesions(), make_lesions() * 5)]
    sitk.WriteImage(sitk.JoinSeries(channels), str(tmp_path / "labelsTr" / "a.nii.gz"))
    np.testing.assert_array_equal(Dataset.find(tmp_path).read("a").lesion_zyx, make_lesions())


def test_clicks_are_those_of_the_file_where_there_is_one(tmp_path: Path) -> None:
    write_container(tmp_path / "container" / "a")
    (tmp_path / "container" / "a" / "lesion-clicks.json").unlink()
    for name in ("b", "c"):
        write_nnunet(tmp_path / "nnunet", name)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    write_clicks(CLICKS, elsewhere / "b_clicks.json")
    write_clicks((), elsewhere / "c_clicks.json")
    a = Dataset.find(tmp_path / "container").read("a")
    dataset = Dataset.find(tmp_path / "nnunet")
    assert dataset.names == ("b", "c")
    b, c = (dataset.read(name, elsewhere) for name in dataset.names)
    found = [(each.case.clicks, each.has_click_file) for each in (a, dataset.read("b"), b, c)]
    assert found == [((), False), ((), False), (CLICKS, True), ((), True)]


def break_case(kind: str, folder: Path) -> None:
    truth = folder / "truth.mha"
    if kind == "no truth":
        truth.unlink()
    elif kind == "another size":
        sitk.WriteImage(image_from(make_lesions()[1:], SPACING), str(truth))
    elif kind == "another grid":
        sitk.WriteImage(image_from(make_lesions(), (1, 1, 1)), str(truth))
    elif kind == "other values":
        sitk.WriteImage(image_from(make_lesions() * 2, SPACING), str(truth))
    elif kind == "PET of another size":
        sitk.WriteImage(image_from(body(SHAPE)[1][1:], SPACING), str(folder / "images" / "pet" / "uuid.mha"))
    else:
        write_clicks([Click(99, 0, 0, "tumor")], folder / "lesion-clicks.json")


BROKEN = {
    "no truth": "truth.mha: the truth is missing",
    "another size": "CT and mask are on different grids: size is (16, 15, 14) in the case and (16, 15, 13) in",
    "another grid": "CT and mask are on different grids: spacing is",
    "other values": "truth.mha: holds values other than 0 and 1",
    "PET of another size": "CT and PET are on different grids: size is",
    "clicks for another case": "lesion-clicks.json: point 0 has x = 99, outside the image (0 to 15)",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_case_is_one_sentence(kind: str, tmp_path: Path) -> None:
    write_container(tmp_path / "a")
    break_case(kind, tmp_path / "a")
    with pytest.raises(CaseError) as raised:
        Dataset.find(tmp_path).read("a")
    assert BROKEN[kind] in str(raised.value)


@pytest.mark.parametrize("part", ["imagesTr/a_0000", "imagesTr/a_0001", "labelsTr/a"])
def test_broken_nnunet_case_is_one_sentence(part: str, tmp_path: Path) -> None:
    write_nnunet(tmp_path, "a")
    dataset = Dataset.find(tmp_path)
    path = tmp_path / f"{part}.nii.gz"
    path.write_bytes(b"text")
    with pytest.raises(CaseError, match=rf"{part}\.nii\.gz: is not an image"):
        dataset.read("a")
    path.unlink()
    with pytest.raises(CaseError, match=rf"{part}\.nii\.gz: the (file|truth) is missing"):
        dataset.read("a")


def test_folder_without_cases_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match=rf"^{tmp_path}: holds no case, expected "):
        Dataset.find(tmp_path)
    with pytest.raises(CaseError, match=r"nowhere: the folder is missing, expected a dataset$"):
        Dataset.find(tmp_path / "nowhere")
