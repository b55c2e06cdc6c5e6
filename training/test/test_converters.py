import json
import math
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from highdicom.sr.coding import CodedConcept
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    ExplicitVRLittleEndian,
    PositronEmissionTomographyImageStorage,
    generate_uid,
)
from typer.testing import CliRunner

from lesionclick.case.geometry import Geometry
from lesionclick.errors import CaseError
from lesionclick_training.cli.convert import convert_app
from lesionclick_training.data.autopet import convert_autopet
from lesionclick_training.data.deep_psma import convert_deep_psma
from lesionclick_training.data.dicom import convert_dicom
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


# --- DICOM

PET_SHAPE, PET_SPACING, PET_ORIGIN = (5, 6, 8), (4.0, 3.0, 5.0), (-14.0, -9.0, 100.0)  # z y x; x y z; x y z
CT_SHAPE, CT_SPACING, CT_ORIGIN = (12, 14, 18), (2.0, 1.5, 2.5), (-16.0, -9.0, 97.5)
HALF_LIFE, DOSE, WEIGHT = 6586.2, 3.7e8, 72.5


class Study:
    """A study's slices before they are written, for tests to break."""

    def __init__(self) -> None:
        random = np.random.default_rng(2)
        self.frame_of_reference = generate_uid()
        self.study_uid = generate_uid()
        self.pet_stored = random.integers(0, 30000, PET_SHAPE).astype(np.int16)
        self.slopes = [0.5 + 0.25 * index for index in range(PET_SHAPE[0])]
        self.intercepts = [0.0, 0.0, 12.0, 0.0, -3.0]
        self.pet = self.make_series(
            "PT",
            PositronEmissionTomographyImageStorage,
            self.pet_stored,
            PET_SPACING,
            PET_ORIGIN,
            self.slopes,
            self.intercepts,
        )
        for index, item in enumerate(self.pet):
            item.Units, item.CorrectedImage, item.DecayCorrection = "BQML", ["NORM", "DECY", "ATTN", "SCAT"], "START"
            item.SeriesDate, item.SeriesTime = "20200301", "103000.5"
            item.AcquisitionDate, item.AcquisitionTime = "20200301", f"10{31 + index}00"
            item.PatientWeight = WEIGHT
            drug = Dataset()
            drug.RadionuclideTotalDose, drug.RadionuclideHalfLife = DOSE, HALF_LIFE
            drug.RadiopharmaceuticalStartTime = "093000.5"
            item.RadiopharmaceuticalInformationSequence = [drug]
        # HU rise by 3 a voxel of x and by 50 a slice; one voxel is padding
        z, _, x = np.indices(CT_SHAPE)
        self.hu = 3.0 * x + 50.0 * z - 500
        stored = (self.hu + 1024).astype(np.int16)
        stored[1, 0, 1] = -2000  # just where the PET's first voxel is
        self.ct = self.make_series(
            "CT", CTImageStorage, stored, CT_SPACING, CT_ORIGIN, [1.0] * CT_SHAPE[0], [-1024.0] * CT_SHAPE[0]
        )

    def make_series(
        self,
        modality: str,
        sop_class: UID,
        stored: np.ndarray,
        spacing: tuple[float, ...],
        origin: tuple[float, ...],
        slopes: list[float],
        intercepts: list[float],
    ) -> list[Dataset]:
        uid = generate_uid()
        slices = []
        for index, pixels in enumerate(stored):
            item = Dataset()
            item.file_meta = FileMetaDataset()
            item.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            item.SOPClassUID, item.SOPInstanceUID = sop_class, generate_uid()
            item.file_meta.MediaStorageSOPClassUID = item.SOPClassUID
            item.file_meta.MediaStorageSOPInstanceUID = item.SOPInstanceUID
            item.StudyInstanceUID, item.SeriesInstanceUID = self.study_uid, uid
            item.FrameOfReferenceUID = self.frame_of_reference
            item.Modality, item.SeriesDescription = modality, f"{modality} WB"
            item.PatientID, item.PatientName, item.PatientBirthDate, item.PatientSex = "1", "A^B", "", "O"
            item.StudyDate, item.StudyTime, item.AccessionNumber, item.StudyID = "20200301", "100000", "", ""
            item.ReferringPhysicianName, item.SeriesNumber, item.InstanceNumber = "", 1, index + 1
            item.PositionReferenceIndicator, item.Manufacturer = "", "test"
            item.ImagePositionPatient = [origin[0], origin[1], origin[2] + index * spacing[2]]
            item.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
            item.PixelSpacing, item.SliceThickness = [spacing[1], spacing[0]], spacing[2]
            item.Rows, item.Columns = pixels.shape
            item.SamplesPerPixel, item.PhotometricInterpretation = 1, "MONOCHROME2"
            item.BitsAllocated, item.BitsStored, item.HighBit, item.PixelRepresentation = 16, 16, 15, 1
            item.RescaleSlope, item.RescaleIntercept = slopes[index], intercepts[index]
            item.PixelData = np.ascontiguousarray(pixels).tobytes()
            slices.append(item)
        return slices

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True)
        order = np.random.default_rng(3).permutation(len(self.ct) + len(self.pet))
        for number, item in zip(order, [*self.ct, *self.pet], strict=True):
            path = folder / item.Modality / f"{number:03d}"
            path.parent.mkdir(exist_ok=True)
            item.save_as(path, enforce_file_format=True)
        (folder / "LICENSE").write_text("not DICOM, and long enough to be taken for a preamble" * 10)
        return folder

    def write_segmentation(self, path: Path, segments: dict[str, np.ndarray], source: list[Dataset]) -> None:
        """A DICOM SEG on the grid of a series; frames without voxels are left out."""
        code = CodedConcept("108369006", "SCT", "Neoplasm")
        descriptions = [
            highdicom.seg.SegmentDescription(
                segment_number=number,
                segment_label=label,
                segmented_property_category=CodedConcept("49755003", "SCT", "Morphologically Abnormal Structure"),
                segmented_property_type=code,
                algorithm_type="MANUAL",
            )
            for number, label in enumerate(segments, start=1)
        ]
        segmentation = highdicom.seg.Segmentation(
            source_images=source,
            pixel_array=np.stack(list(segments.values()), axis=-1).astype(np.uint8),
            segmentation_type="BINARY",
            segment_descriptions=descriptions,
            series_instance_uid=generate_uid(),
            series_number=9,
            sop_instance_uid=generate_uid(),
            instance_number=1,
            manufacturer="test",
            manufacturer_model_name="test",
            software_versions="1",
            device_serial_number="1",
            omit_empty_frames=True,
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        segmentation.save_as(path)


@pytest.fixture
def study() -> Study:
    return Study()


def expected_suv(study: Study, seconds: float) -> np.ndarray:
    """SUV from stored numbers, for a dose that decays for so long until the scan."""
    becquerels = np.stack([study.pet_stored[z] * study.slopes[z] + study.intercepts[z] for z in range(PET_SHAPE[0])])
    return becquerels / (DOSE * math.exp(-math.log(2) * seconds / HALF_LIFE)) * WEIGHT * 1000


def convert(study: Study, folder: Path, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    name = convert_dicom(study.write(folder / "patient 7"), folder / "Dataset301_Lung", **options)
    assert name == "patient 7"
    return read_stored(folder / "Dataset301_Lung", name)


def test_dicom_suv_and_grid(study: Study, tmp_path: Path) -> None:
    images, label = convert(study, tmp_path, without_lesions=True)
    assert np.allclose(images[1], expected_suv(study, 3600), rtol=1e-5)
    assert not label.any()
    stored = sitk.ReadImage(str(tmp_path / "Dataset301_Lung/imagesTr/patient 7_0001.nii.gz"))
    assert Geometry.of(stored).size == PET_SHAPE[::-1]
    assert np.allclose(stored.GetSpacing(), PET_SPACING)
    assert np.allclose(stored.GetOrigin(), PET_ORIGIN)
    assert np.allclose(stored.GetDirection(), np.eye(3).ravel())


def test_dicom_ct_is_interpolated_on_the_pet_grid(study: Study, tmp_path: Path) -> None:
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


def test_dicom_ct_outside_its_field_of_view_is_air(study: Study, tmp_path: Path) -> None:
    for item in study.ct:
        item.ImagePositionPatient[0] += 8
    images, _ = convert(study, tmp_path, without_lesions=True)
    # the CT begins at x = -8, the PET's columns at -14, -10, -6
    assert (images[0][:, :, :2] == -1024).all()
    assert np.allclose(images[0][0, 0, 3], 3 * 3 + 50 * 1 - 500)


def test_dicom_decay_to_administration(study: Study, tmp_path: Path) -> None:
    for item in study.pet:
        item.DecayCorrection = "ADMIN"
    images, _ = convert(study, tmp_path, without_lesions=True)
    assert np.allclose(images[1], expected_suv(study, 0), rtol=1e-5)


def set_start_datetime(study: Study) -> None:
    for item in study.pet:
        item.RadiopharmaceuticalInformationSequence[0].RadiopharmaceuticalStartDateTime = "20200301091500.000000"


def cross_midnight(study: Study) -> None:
    for index, item in enumerate(study.pet):
        item.SeriesTime, item.AcquisitionTime = "002000", f"00{20 + index}00"
        item.RadiopharmaceuticalInformationSequence[0].RadiopharmaceuticalStartTime = "233000"


def reconstruct_later(study: Study) -> None:
    for item in study.pet:
        item.SeriesTime = "180000"


def reconstruct_later_at_ge(study: Study) -> None:
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
    study: Study, tmp_path: Path, change: Callable[[Study], None], seconds: float
) -> None:
    change(study)
    images, _ = convert(study, tmp_path, without_lesions=True)
    assert np.allclose(images[1], expected_suv(study, seconds), rtol=1e-5)


def test_dicom_slices_stacked_in_another_plane(study: Study, tmp_path: Path) -> None:
    # sagittal slices, stored from right to left of the normal (rows run along y, columns down along -z)
    for index, item in enumerate(study.pet):
        item.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
        item.ImagePositionPatient = [10.0 - 5 * index, -9.0, 120.0]
    images, _ = convert(study, tmp_path, without_lesions=True)
    # nnU-Net reads the array as stored; the slices' normal is y x -z = -x, so they are already in order
    assert np.allclose(images[1], expected_suv(study, 3600), rtol=1e-5)
    stored = sitk.ReadImage(str(tmp_path / "Dataset301_Lung/imagesTr/patient 7_0001.nii.gz"))
    assert np.allclose(stored.TransformIndexToPhysicalPoint((2, 3, 1)), (10 - 5, -9 + 2 * 4, 120 - 3 * 3), atol=1e-4)


def test_dicom_seg_on_the_pet_grid_lands_voxel_by_voxel(study: Study, tmp_path: Path) -> None:
    lesion = np.zeros(PET_SHAPE, dtype=np.uint8)
    lesion[1, 2, 3] = lesion[1, 2, 4] = lesion[4, 5, 0] = 1  # slices 2 and 3 have no frame
    study.write_segmentation(tmp_path / "patient 7" / "seg.dcm", {"Lesion": lesion}, study.pet)
    _move_in(study, tmp_path)
    images, label = read_converted(tmp_path)
    assert np.array_equal(label[0], lesion)
    assert np.allclose(images[1], expected_suv(study, 3600), rtol=1e-5)


def _move_in(study: Study, tmp_path: Path) -> None:
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
    study: Study, tmp_path: Path, keep_spacing: bool
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


def test_dicom_seg_with_several_segments_needs_a_choice(study: Study, tmp_path: Path) -> None:
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


def test_dicom_segs_of_several_files_are_united(study: Study, tmp_path: Path) -> None:
    first, second = (np.zeros(PET_SHAPE, dtype=np.uint8) for _ in range(2))
    first[1, 1, 1] = second[2, 2, 2:5] = 1
    study.write_segmentation(tmp_path / "patient 7" / "a.dcm", {"Lesion": first}, study.pet)
    study.write_segmentation(tmp_path / "patient 7" / "b.dcm", {"Lesion": second}, study.pet)
    study.write(tmp_path / "images")
    (tmp_path / "images").rename(tmp_path / "patient 7" / "images")
    convert_dicom(tmp_path / "patient 7", tmp_path / "Dataset301_Lung", segments=["Lesion"])
    assert np.array_equal(read_converted(tmp_path)[1][0], first | second)


def test_dicom_seg_must_belong_to_the_study(study: Study, tmp_path: Path) -> None:
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


def test_dicom_takes_organs_and_joins_a_dataset(study: Study, tmp_path: Path) -> None:
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


def test_dicom_asks_which_series(study: Study, tmp_path: Path) -> None:
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


def drug_without(keyword: str) -> Callable[[Study], None]:
    def change(study: Study) -> None:
        for item in study.pet:
            delattr(item.RadiopharmaceuticalInformationSequence[0], keyword)

    return change


def pet_without(keyword: str) -> Callable[[Study], None]:
    def change(study: Study) -> None:
        for item in study.pet:
            delattr(item, keyword)

    return change


def pet_with(keyword: str, value: object) -> Callable[[Study], None]:
    def change(study: Study) -> None:
        for item in study.pet:
            setattr(item, keyword, value)

    return change


def drug_with(keyword: str, value: object) -> Callable[[Study], None]:
    def change(study: Study) -> None:
        for item in study.pet:
            setattr(item.RadiopharmaceuticalInformationSequence[0], keyword, value)

    return change


def drop_slice(study: Study) -> None:
    del study.pet[2]


def double_slice(study: Study) -> None:
    study.pet[3].ImagePositionPatient = study.pet[2].ImagePositionPatient


def tilt_gantry(study: Study) -> None:
    for index, item in enumerate(study.ct):
        item.ImagePositionPatient[1] += 0.5 * index


def turn_slice(study: Study) -> None:
    study.ct[3].ImageOrientationPatient = [0, 1, 0, 1, 0, 0]


def part_ct_from_pet(study: Study) -> None:
    for item in study.ct:
        item.FrameOfReferenceUID = generate_uid()


def cut_pixels(study: Study) -> None:
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
    study: Study, tmp_path: Path, break_it: Callable[[Study], None], message: str
) -> None:
    break_it(study)
    folder = study.write(tmp_path / "patient 7")
    with pytest.raises(CaseError, match=message):
        convert_dicom(folder, tmp_path / "raw" / "Dataset301_Lung", without_lesions=True)
    assert names_in(tmp_path / "raw") == []


def test_dicom_without_segmentation_must_be_said_to_be_free_of_lesions(study: Study, tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="holds no DICOM SEG; a study that is free of lesions has to be said to be so"):
        convert(study, tmp_path)


# --- command line


def run(*arguments: object) -> str:
    result = CliRunner().invoke(convert_app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_commands(release: Path, clicks: Path, challenge: Path, study: Study, tmp_path: Path) -> None:
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
