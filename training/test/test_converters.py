import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
from typer.testing import CliRunner

from lesionclick.dicom.testing import PET_SHAPE, PET_SPACING, SyntheticStudy
from lesionclick.errors import CaseError
from lesionclick_training.cli.convert import convert_app
from lesionclick_training.data.autopet import convert_autopet
from lesionclick_training.data.deep_psma import convert_deep_psma
from lesionclick_training.data.nnunet_layout import ORGANS, adding_cases, stack_label, write_case
from lesionclick_training.data.organs import (
    CLASSES,
    HEAD_GLANDS,
    PRECEDENCE,
    TOTAL,
    Task,
    label_organs,
    read_organs,
    write_organs,
)

SHAPE = (6, 8, 10)  # z, y, x
SPACING = (2.0, 3.0, 4.0)  # x, y, z, mm


def make_image(
    array: np.ndarray,
    spacing: tuple[float, ...] = SPACING,
    origin: tuple[float, ...] = (-5.0, 7.0, 11.0),
) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    return image


def write(image: sitk.Image, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))
    return path


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


# --- autoPET

AUTOPET = ("fdg_0011f3deaf_03-23-2003-NA-PET-CT Ganzkoerper  primaer mit KM-10445", "fdg_b_1", "psma_c_2", "psma_d_3")


@pytest.fixture
def release(tmp_path: Path) -> Path:
    folder = tmp_path / "release"
    random = np.random.default_rng(1)
    for name in AUTOPET:
        write(make_image(random.normal(size=SHAPE).astype(np.float32)), folder / f"imagesTr/{name}_0000.nii.gz")
        write(make_image(random.random(SHAPE).astype(np.float32)), folder / f"imagesTr/{name}_0001.nii.gz")
        write(make_image((random.random(SHAPE) > 0.9).astype(np.uint8)), folder / f"labelsTr/{name}.nii.gz")
    content = {
        "channel_names": {"0": "CT", "1": "PET"},
        "labels": {"background": 0, "tumor": 1},
        "numTraining": len(AUTOPET),
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(content))
    splits = [
        {"train": list(AUTOPET[2:]), "val": list(AUTOPET[:2])},
        {"train": list(AUTOPET[:2]), "val": list(AUTOPET[2:])},
    ]
    (folder / "splits_final.json").write_text(json.dumps(splits))
    return folder


@pytest.fixture
def clicks(tmp_path: Path) -> Path:
    folder = tmp_path / "clicks"
    folder.mkdir()
    for index, name in enumerate((*AUTOPET, "fdg_of_no_interest")):
        write_points(folder / f"{name}_clicks.json", [[9 - index, 7, 5]])
    return folder


def write_points(path: Path, points: list[list[int]]) -> None:
    listed = [{"point": point, "name": "tumor"} for point in points]
    path.write_text(json.dumps({"version": {"major": 1, "minor": 0}, "type": "Multiple points", "points": listed}))


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
    for name in AUTOPET:
        write_organs(tmp_path / "organs" / f"{name}.nii.gz", organ, make_image(organ))

    names = convert_autopet(release, dataset, clicks=archive, organs=tmp_path / "organs")

    assert names == sorted(AUTOPET)
    assert names_in(tmp_path / "raw") == [dataset.name]
    for index, name in enumerate(AUTOPET):
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
    assert len(names_in(dataset / "clicks")) == len(AUTOPET)
    assert json.loads((dataset / "splits_final.json").read_text()) == json.loads(
        (release / "splits_final.json").read_text()
    )
    assert json.loads((dataset / "dataset.json").read_text())["numTraining"] == len(AUTOPET)
    assert (dataset / f"imagesTr/{AUTOPET[0]}_0000.nii.gz").is_symlink()


def test_autopet_copies_survive_the_release(release: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "Dataset221_AutoPET"
    convert_autopet(release, dataset, copy=True)
    shutil.rmtree(release)
    images, _ = read_stored(dataset, AUTOPET[0])
    assert images.shape == (2, *SHAPE)
    assert not (dataset / "clicks").exists()


def test_autopet_without_organs_has_an_empty_organ_channel(release: Path, tmp_path: Path) -> None:
    convert_autopet(release, tmp_path / "Dataset221_AutoPET")
    assert not read_stored(tmp_path / "Dataset221_AutoPET", AUTOPET[1])[1][1].any()


def lose_pet(release: Path) -> None:
    (release / "imagesTr" / "fdg_b_1_0001.nii.gz").unlink()


def lose_label(release: Path) -> None:
    (release / "labelsTr" / "fdg_b_1.nii.gz").unlink()


def shift_pet(release: Path) -> None:
    write(make_image(np.ones(SHAPE, np.float32), origin=(-5.0, 7.0, 11.1)), release / "imagesTr/fdg_b_1_0001.nii.gz")


def shorten_label(release: Path) -> None:
    write(make_image(np.ones((5, 8, 10), np.uint8)), release / "labelsTr/fdg_b_1.nii.gz")


def mislabel(release: Path) -> None:
    write(make_image(np.full(SHAPE, 2, np.uint8)), release / "labelsTr/fdg_b_1.nii.gz")


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
        (lose_pet, r"imagesTr/fdg_b_1_0001\.nii\.gz: the PET of a labelled case is missing"),
        (lose_label, r"imagesTr/fdg_b_1_0000\.nii\.gz: is neither the CT nor the PET of a labelled case"),
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
    assert names_in(tmp_path / "raw") == []


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


def test_cases_added_later_join_the_training_side_of_every_fold(release: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "Dataset221_AutoPET"
    convert_autopet(release, dataset)
    before = json.loads((dataset / "splits_final.json").read_text())
    edit_json(dataset / "dataset.json", lambda content: content.update(description="for tests"))
    image = make_image(np.zeros(SHAPE, np.float32))

    with adding_cases(dataset) as staged:
        write_case(staged, "more", image, image, stack_label(np.zeros(SHAPE, np.uint8)))

    after = json.loads((dataset / "splits_final.json").read_text())
    assert after == [{"train": [*fold["train"], "more"], "val": fold["val"]} for fold in before]
    content = json.loads((dataset / "dataset.json").read_text())
    assert (content["numTraining"], content["description"]) == (len(AUTOPET) + 1, "for tests")
    with pytest.raises(CaseError, match="has a case more already"), adding_cases(dataset) as staged:
        write_case(staged, "more", image, image, stack_label(np.zeros(SHAPE, np.uint8)))


# --- organs


def test_every_organ_is_made_of_known_classes() -> None:
    assert tuple(CLASSES) == ORGANS
    assert sorted(PRECEDENCE) == sorted(ORGANS)
    known = {**TOTAL.indices, **HEAD_GLANDS.indices}
    assert {name for classes in CLASSES.values() for name in classes} == set(known)
    for task in (TOTAL, HEAD_GLANDS):
        assert min(task.indices.values()) > 0
        assert max(task.indices.values()) <= task.class_count


def numbers_by_hand() -> dict[int, int]:
    """Numbers of TotalSegmentator v2's task "total" -> our organs, written out."""
    return {1: 1, 2: 2, 3: 2, 5: 3, 21: 4, 10: 5, 11: 5, 12: 5, 13: 5, 14: 5, 90: 6, 51: 7, 6: 8, 22: 9}


def test_multilabel_files_of_both_tasks(tmp_path: Path) -> None:
    total = np.arange(120).reshape(5, 4, 6) % 118
    glands = np.zeros((5, 4, 6), dtype=np.uint8)
    glands[0, 0] = [6, 7, 8, 9, 10, 11]
    total_path = write(make_image(total.astype(np.uint8)), tmp_path / "total.nii.gz")
    glands_path = write(make_image(glands), tmp_path / "glands.nii.gz")
    expected = np.vectorize(lambda number: numbers_by_hand().get(number, 0))(total)

    assert np.array_equal(label_organs(make_image(total), total_path), expected)
    expected[0, 0, 1:5] = 10  # over the spleen, the kidneys and so on that the first row holds
    label = label_organs(make_image(total), total_path, glands_path)
    assert label.dtype == np.uint8
    assert np.array_equal(label, expected)


def write_masks(folder: Path, masks: dict[str, np.ndarray], shape: tuple[int, ...], task: Task = TOTAL) -> Path:
    for name in task.indices:
        mask = masks.get(name, np.zeros(shape, dtype=np.uint8))
        write(
            make_image(mask.astype(np.uint8), spacing=(4.0, 6.0, 8.0), origin=(-4.0, 8.5, 13.0)),
            folder / f"{name}.nii.gz",
        )
    return folder


def test_folders_of_masks_on_a_coarser_grid_with_overlaps(tmp_path: Path) -> None:
    # each voxel of the masks is 2 x 2 x 2 of the reference's
    coarse = (3, 4, 5)
    liver, lung, kidney = (np.zeros(coarse, dtype=np.uint8) for _ in range(3))
    liver[0:2, 1, 1], lung[1:3, 1, 1], kidney[1, 1, 1:3] = 1, 1, 1
    parotid = np.zeros(coarse, dtype=np.uint8)
    parotid[2, 3, 4] = parotid[0, 1, 1] = 1
    total = write_masks(tmp_path / "t", {"liver": liver, "lung_middle_lobe_right": lung, "kidney_left": kidney}, coarse)
    glands = write_masks(tmp_path / "g", {"parotid_gland_left": parotid}, coarse, HEAD_GLANDS)

    label = label_organs(make_image(np.zeros(SHAPE, np.float32)), total, glands)

    by_hand = np.zeros(coarse, dtype=np.uint8)
    by_hand[2, 1, 1] = 5
    by_hand[1, 1, 1:3] = 2  # the kidney is before liver and lungs
    by_hand[0, 1, 1] = by_hand[2, 3, 4] = 10  # the glands before all
    assert np.array_equal(label, by_hand.repeat(2, 0).repeat(2, 1).repeat(2, 2))


def test_organs_refuse_what_is_not_of_the_task(tmp_path: Path) -> None:
    reference = make_image(np.zeros(SHAPE, np.float32))
    folder = write_masks(tmp_path / "t", {}, (3, 4, 5))
    (folder / "prostate.nii.gz").unlink()
    with pytest.raises(CaseError, match=r"t/prostate\.nii\.gz: the file is missing"):
        label_organs(reference, folder)
    many = write(make_image(np.full(SHAPE, 118, np.uint8)), tmp_path / "many.nii.gz")
    with pytest.raises(CaseError, match="holds the value 118, expected whole numbers from 0 to 117"):
        label_organs(reference, many)
    away = write(make_image(np.ones(SHAPE, np.uint8), origin=(500.0, 0.0, 0.0)), tmp_path / "away.nii.gz")
    with pytest.raises(CaseError, match=r"away\.nii\.gz: none of its organs lies inside"):
        label_organs(reference, away)
    with pytest.raises(CaseError, match="holds the value 118, expected whole numbers from 0 to 10"):
        read_organs(many, reference)
    with pytest.raises(CaseError, match=r"must end in \.nii\.gz"):
        write_organs(tmp_path / "label.mha", np.zeros(SHAPE, np.uint8), reference)


# --- DEEP-PSMA


@pytest.fixture
def challenge(tmp_path: Path) -> Path:
    folder = tmp_path / "deep-psma"
    for number in ("0001", "0012"):
        for tracer, uptake in (("PSMA", 2.0), ("FDG", 3.0)):
            study = folder / f"train_{number}" / tracer
            pet = np.full(SHAPE, uptake)
            pet[2, 3, 4] = 20
            write(make_image(pet), study / "PET.nii.gz")  # float64
            write(make_image((pet > 10).astype(np.uint8)), study / "TTB.nii.gz")
            # the CT: half the spacing, one PET voxel shorter at the start of x; HU rise by 10 a mm of x
            x = np.arange(18) * 1.0
            ct = np.broadcast_to(10 * x, (12, 16, 18)).astype(np.int16)
            grid = {"spacing": (1.0, 1.5, 2.0), "origin": (-3.0, 7.0, 11.0)}
            write(make_image(ct, **grid), study / "CT.nii.gz")
            organs = np.zeros((12, 16, 18), dtype=np.uint8)
            organs[:, :, 4:6] = 90
            organs[0, 0, 0] = 25
            write(make_image(organs, **grid), study / "totseg_24.nii.gz")
            (study / "threshold.json").write_text('{"suv_threshold": 3.0}')
            (study / "rigid.tfm").write_text("#Insight Transform File V1.0\n")
    (folder / "readme.txt").write_text("")
    return folder


def test_deep_psma_resamples_ct_and_organs_to_the_pet(challenge: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "Dataset300_DeepPSMA"
    names = convert_deep_psma(challenge, dataset)
    expected = ["deep-psma_0001_psma", "deep-psma_0001_fdg", "deep-psma_0012_psma", "deep-psma_0012_fdg"]
    assert names == expected
    assert json.loads((dataset / "dataset.json").read_text())["numTraining"] == 4
    for name, uptake in ((expected[0], 2), (expected[3], 3)):
        images, label = read_stored(dataset, name)
        # x of the PET's voxels: -5, -3, -1, ... 13; the CT begins at -3 and ends at 14
        row = np.array([-1024, 0, 20, 40, 60, 80, 100, 120, 140, 160])
        assert np.allclose(images[0, 2, 3], row)
        assert images[1, 2, 3, 4] == 20
        assert images[1, 0, 0, 0] == uptake
        assert np.argwhere(label[0]).tolist() == [[2, 3, 4]]
        # the CT's columns 4 and 5 (x = 1 and 2): the PET's column 3 alone has its centre (1) there
        assert np.unique(np.argwhere(label[1] == 7)[:, 2]).tolist() == [3]
        assert (label[1][:, :, 3] == 7).all()


def test_deep_psma_takes_organ_labels_with_glands(challenge: Path, tmp_path: Path) -> None:
    organ = np.full(SHAPE, 10, dtype=np.uint8)
    for number in ("0001", "0012"):
        for tracer in ("psma", "fdg"):
            write_organs(tmp_path / "organs" / f"deep-psma_{number}_{tracer}.nii.gz", organ, make_image(organ))
    convert_deep_psma(challenge, tmp_path / "Dataset300_DeepPSMA", organs=tmp_path / "organs")
    assert (read_stored(tmp_path / "Dataset300_DeepPSMA", "deep-psma_0001_fdg")[1][1] == 11).all()


def test_deep_psma_refuses_other_layouts(challenge: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "raw" / "Dataset300_DeepPSMA"
    study = challenge / "train_0012" / "FDG"
    write(make_image(np.full(SHAPE, 24, np.uint8)), study / "totseg_24.nii.gz")
    with pytest.raises(CaseError, match=r"FDG/totseg_24\.nii\.gz: its largest value is 24, so it holds no bone"):
        convert_deep_psma(challenge, dataset)
    write(make_image(np.ones((12, 16, 18), np.uint8), spacing=(1.0, 1.5, 2.0)), study / "TTB.nii.gz")
    with pytest.raises(CaseError, match=r"PET and label .* size is .* and \(18, 16, 12\) in .*FDG/TTB\.nii\.gz"):
        convert_deep_psma(challenge, dataset)
    (study / "PET.nii.gz").unlink()
    with pytest.raises(CaseError, match=r"train_0012/FDG/PET\.nii\.gz: the file is missing from the study"):
        convert_deep_psma(challenge, dataset)
    with pytest.raises(CaseError, match="holds no folder train_<number>"):
        convert_deep_psma(challenge / "train_0001", dataset)
    assert names_in(tmp_path / "raw") == []


# --- command line


def run(*arguments: object) -> str:
    result = CliRunner().invoke(convert_app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def study() -> SyntheticStudy:
    return SyntheticStudy()


def test_commands(release: Path, clicks: Path, challenge: Path, study: SyntheticStudy, tmp_path: Path) -> None:
    dataset = tmp_path / "Dataset400_All"
    assert "4 cases" in run("autopet", release, dataset, "--clicks", clicks, "--copy")
    assert "4 cases added" in run("deep-psma", challenge, dataset)
    lesion = np.zeros(PET_SHAPE, dtype=np.uint8)
    lesion[2, 2, 2] = 1
    study.write_segmentation(tmp_path / "seg.dcm", {"Lesion 1": lesion, "Liver": 1 - lesion}, study.pet)
    folder = study.write(tmp_path / "patient 7")
    shutil.move(tmp_path / "seg.dcm", folder)
    masks = write_masks(tmp_path / "masks", {"liver": np.ones((3, 4, 5), np.uint8)}, (3, 4, 5))
    ct = write(make_image(np.zeros(PET_SHAPE, np.float32), PET_SPACING, (-4.0, 8.5, 13.0)), tmp_path / "ct.nii.gz")
    organs = tmp_path / "label" / "organs.nii.gz"
    assert str(organs) in run("organs", ct, organs, "--total", masks)
    assert set(np.unique(sitk.GetArrayFromImage(sitk.ReadImage(str(organs))))) == {0, 3}
    run("dicom", folder, dataset, "--segment", "Lesion*", "--name", "lung-7")

    assert len(names_in(dataset / "labelsTr")) == 9
    assert len(names_in(dataset / "imagesTr")) == 18
    assert np.array_equal(read_stored(dataset, "lung-7")[1][0], lesion)
    for fold in json.loads((dataset / "splits_final.json").read_text()):
        assert {"lung-7", "deep-psma_0012_fdg"} < set(fold["train"])
        assert len(fold["val"]) == 2


def test_commands_let_errors_through(release: Path, tmp_path: Path) -> None:
    lose_pet(release)
    with pytest.raises(CaseError, match="the PET of a labelled case is missing"):
        run("autopet", release, tmp_path / "Dataset400_All")
