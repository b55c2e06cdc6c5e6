import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from helpers_data import (
    AUTOPET_CASES,
    SHAPE,
    file_names,
    make_image,
    read_stored,
    write_image,
    write_points,
    write_release,
    write_release_clicks,
)
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

from lesionclick.errors import CaseError
from lesionclick_training.data.autopet import convert_autopet
from lesionclick_training.data.nnunet_layout import UNKNOWN
from lesionclick_training.data.organs import OrganSource, write_organs


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return write_release(tmp_path / "release")


@pytest.fixture
def clicks(tmp_path: Path) -> Path:
    return write_release_clicks(tmp_path / "clicks")


def test_autopet_becomes_two_channel_labels_with_images_splits_and_clicks(
    release: Path, clicks: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "official.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in clicks.iterdir():
            file.write(path, f"some folder/{path.name}")
    dataset = tmp_path / "raw" / "Dataset221_AutoPET"
    organ = np.zeros(SHAPE, dtype=np.uint8)
    organ[0, 0, :10] = np.arange(1, 11)
    for name in AUTOPET_CASES:
        write_organs(tmp_path / "organs" / f"{name}.nii.gz", organ, make_image(organ))

    names = convert_autopet(release, dataset, clicks=archive, organs=tmp_path / "organs")

    assert names == sorted(AUTOPET_CASES)
    assert file_names(tmp_path / "raw") == [dataset.name]
    for index, name in enumerate(AUTOPET_CASES):
        images, label = read_stored(dataset, name)
        source, _ = SimpleITKIO().read_images(
            [str(release / f"imagesTr/{name}_000{channel}.nii.gz") for channel in (0, 1)]
        )
        truth = sitk.GetArrayFromImage(sitk.ReadImage(str(release / f"labelsTr/{name}.nii.gz")))
        assert np.array_equal(images, source)
        assert np.array_equal(label[0], truth)
        assert np.array_equal(label[1], np.where(organ > 0, organ + 1, 0))
        stored = json.loads((dataset / "clicks" / f"{name}_clicks.json").read_text())
        assert stored["points"] == [{"point": [9 - index, 7, 5], "name": "tumor"}]
    assert len(file_names(dataset / "clicks")) == len(AUTOPET_CASES)
    assert json.loads((dataset / "splits_final.json").read_text()) == json.loads(
        (release / "splits_final.json").read_text()
    )
    assert json.loads((dataset / "dataset.json").read_text())["numTraining"] == len(AUTOPET_CASES)
    assert (dataset / f"imagesTr/{AUTOPET_CASES[0]}_0000.nii.gz").is_symlink()


def test_autopet_copies_survive_the_release(release: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "Dataset221_AutoPET"
    convert_autopet(release, dataset, copy=True)
    shutil.rmtree(release)
    images, _ = read_stored(dataset, AUTOPET_CASES[0])
    assert images.shape == (2, *SHAPE)
    assert not (dataset / "clicks").exists()


def test_autopet_without_organs_knows_none(release: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    convert_autopet(release, tmp_path / "Dataset221_AutoPET")
    assert (read_stored(tmp_path / "Dataset221_AutoPET", AUTOPET_CASES[1])[1][1] == UNKNOWN).all()
    assert caplog.messages == ["4 of 4 cases have no organ label: the organ loss leaves them out"]


def test_autopet_cases_without_an_organ_label_are_unknown_and_counted(
    release: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    organ = np.full(SHAPE, 3, dtype=np.uint8)
    for name in AUTOPET_CASES[:3]:
        write_organs(tmp_path / "organs" / f"{name}.nii.gz", organ, make_image(organ))
    convert_autopet(release, tmp_path / "Dataset221_AutoPET", organs=tmp_path / "organs")
    for name, expected in zip(AUTOPET_CASES, (4, 4, 4, UNKNOWN), strict=True):
        assert (read_stored(tmp_path / "Dataset221_AutoPET", name)[1][1] == expected).all()
    assert caplog.messages == ["1 of 4 cases have no organ label: the organ loss leaves them out"]


def test_autopet_with_published_organs_does_not_trust_their_glands(release: Path, tmp_path: Path) -> None:
    organ = np.zeros(SHAPE, dtype=np.uint8)
    organ[1], organ[5, 0], organ[4, 0] = 5, 10, 6
    for name in AUTOPET_CASES:
        write_organs(tmp_path / "organs" / f"{name}.nii.gz", organ, make_image(organ))
    dataset = tmp_path / "Dataset221_AutoPET"
    convert_autopet(release, dataset, organs=tmp_path / "organs", organ_source=OrganSource.PUBLISHED)
    expected = np.zeros(SHAPE)
    expected[1], expected[2:], expected[4, 0] = 6, UNKNOWN, 7
    assert np.array_equal(read_stored(dataset, AUTOPET_CASES[0])[1][1], expected)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("other", ["second/fdg_b_1_clicks.json", "first/fdg_b_1_clicks.json"])
def test_autopet_refuses_clicks_of_equal_names_in_a_zip(
    other: str, release: Path, clicks: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "official.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in clicks.iterdir():
            file.write(path, f"first/{path.name}")
        file.write(clicks / "fdg_b_1_clicks.json", other)
    with pytest.raises(CaseError, match=rf"official\.zip: holds both first/fdg_b_1_clicks\.json and {other}, expected"):
        convert_autopet(release, tmp_path / "Dataset221_AutoPET", clicks=archive)


def test_autopet_reads_clicks_in_lists_by_label(release: Path, clicks: Path, tmp_path: Path) -> None:
    (clicks / "fdg_b_1_clicks.json").write_text('{"tumor": [[1, 2, 3]], "background": [[4, 5, 0]]}')
    dataset = tmp_path / "Dataset221_AutoPET"
    convert_autopet(release, dataset, clicks=clicks)
    stored = json.loads((dataset / "clicks" / "fdg_b_1_clicks.json").read_text())["points"]
    assert stored == [{"point": [1, 2, 3], "name": "tumor"}, {"point": [4, 5, 0], "name": "background"}]


def lose_pet(release: Path) -> None:
    (release / "imagesTr" / "fdg_b_1_0001.nii.gz").unlink()


def lose_label(release: Path) -> None:
    (release / "labelsTr" / "fdg_b_1.nii.gz").unlink()


def shift_pet(release: Path) -> None:
    write_image(
        make_image(np.ones(SHAPE, np.float32), origin=(-5.0, 7.0, 11.1)), release / "imagesTr/fdg_b_1_0001.nii.gz"
    )


def shorten_label(release: Path) -> None:
    write_image(make_image(np.ones((5, 8, 10), np.uint8)), release / "labelsTr/fdg_b_1.nii.gz")


def mislabel(release: Path) -> None:
    write_image(make_image(np.full(SHAPE, 2, np.uint8)), release / "labelsTr/fdg_b_1.nii.gz")


def damage_pet(release: Path) -> None:
    (release / "imagesTr" / "fdg_b_1_0001.nii.gz").write_bytes(b"nothing")


def rename_case(release: Path) -> None:
    (release / "labelsTr" / "fdg_b_1.nii.gz").rename(release / "labelsTr" / "ct_b_1.nii.gz")


def three_channels(release: Path) -> None:
    edit_json(release / "dataset.json", lambda content: content["channel_names"].update({"2": "MR"}))


def split_names_missing_case(release: Path) -> None:
    edit_json(release / "splits_final.json", lambda splits: splits[1]["val"].append("psma_e_4"))


def split_overlaps(release: Path) -> None:
    edit_json(release / "splits_final.json", lambda splits: splits[0]["train"].append("fdg_b_1"))


def edit_json(path: Path, change: Callable[[Any], Any]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lose_pet, r"imagesTr/fdg_b_1_0001\.nii\.gz: the PET of a labeled case is missing"),
        (lose_label, r"imagesTr/fdg_b_1_0000\.nii\.gz: is neither the CT nor the PET of a labeled case"),
        (
            shift_pet,
            r"CT and PET are on different grids: origin .* and \(-5, 7, 11\.1\) in .*_1_0001\.nii\.gz",
        ),
        (
            shorten_label,
            r"CT and label .* size .* and \(10, 8, 5\) in .*labelsTr/fdg_b_1\.nii\.gz",
        ),
        (mislabel, r"labelsTr/fdg_b_1\.nii\.gz: holds the value 2, expected whole numbers from 0 to 1"),
        (damage_pet, r"fdg_b_1_0001\.nii\.gz: is not an image that can be read"),
        (rename_case, r"the case ct_b_1 starts neither with fdg_ nor with psma_"),
        (three_channels, r"dataset\.json: 'channel_names' is .*, expected two channels"),
        (
            split_names_missing_case,
            r"splits_final\.json: fold 1 names the case psma_e_4 under 'val', which is not there",
        ),
        (split_overlaps, r"splits_final\.json: fold 0 has the case fdg_b_1 in both 'train' and 'val'"),
    ],
)
def test_autopet_refuses_a_broken_release_and_leaves_nothing(
    release: Path, tmp_path: Path, break_it: Callable[[Path], None], message: str
) -> None:
    break_it(release)
    with pytest.raises(CaseError, match=message):
        convert_autopet(release, tmp_path / "raw" / "Dataset221_AutoPET")
    assert file_names(tmp_path / "raw") == []


def test_autopet_checks_clicks(release: Path, clicks: Path, tmp_path: Path) -> None:
    write_points(clicks / "psma_c_2_clicks.json", [[1, 1, 1], [10, 0, 0]])
    with pytest.raises(CaseError, match=r"psma_c_2_clicks\.json: point 1 has x = 10, outside the image \(0 to 9\)"):
        convert_autopet(release, tmp_path / "Dataset221_AutoPET", clicks=clicks)
    (clicks / "psma_c_2_clicks.json").unlink()
    with pytest.raises(CaseError, match=r"psma_c_2_clicks\.json: the clicks file is missing"):
        convert_autopet(release, tmp_path / "Dataset221_AutoPET", clicks=clicks)
    with pytest.raises(CaseError, match=r"dataset\.json: neither a folder nor a zip"):
        convert_autopet(release, tmp_path / "Dataset221_AutoPET", clicks=release / "dataset.json")
    assert not (tmp_path / "Dataset221_AutoPET").exists()


def test_autopet_makes_a_new_dataset_only(release: Path, tmp_path: Path) -> None:
    (tmp_path / "Dataset221_AutoPET").mkdir()
    with pytest.raises(CaseError, match="exists already"):
        convert_autopet(release, tmp_path / "Dataset221_AutoPET")
    with pytest.raises(CaseError, match="expected a name like Dataset221_AutoPET"):
        convert_autopet(release, tmp_path / "AutoPET")
