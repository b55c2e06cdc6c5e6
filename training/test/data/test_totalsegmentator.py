from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from helpers_data import SHAPE, make_image, write_image, write_masks

from lesionclick.errors import CaseError
from lesionclick_training.data.nnunet_layout import ORGANS
from lesionclick_training.data.organ_classes import (
    CLASSES,
    HEAD_GLANDS,
    PRECEDENCE,
    TOTAL_V1,
    TOTAL_V2,
    Task,
    organs_of,
)
from lesionclick_training.data.totalsegmentator import read_head_glands, read_total


def test_every_organ_is_made_of_known_classes() -> None:
    assert tuple(CLASSES) == ORGANS
    assert sorted(PRECEDENCE) == sorted(ORGANS)
    known = {**TOTAL_V1.indices, **TOTAL_V2.indices, **HEAD_GLANDS.indices}
    assert {name for classes in CLASSES.values() for name in classes} == set(known)
    for task in (TOTAL_V1, TOTAL_V2, HEAD_GLANDS):
        assert min(task.indices.values()) > 0
        assert max(task.indices.values()) <= task.class_count
    assert organs_of(TOTAL_V1) == set(ORGANS) - {"prostate", "glands"}
    assert organs_of(TOTAL_V2) == set(ORGANS) - {"glands"}


V1 = {1: 1, 2: 2, 3: 2, 5: 3, 104: 4, 13: 5, 14: 5, 15: 5, 16: 5, 17: 5, 50: 6, 44: 7, 45: 7, 46: 7, 47: 7, 48: 7, 6: 8}
"""Numbers of version 1 -> our organs, written out."""

V2 = {1: 1, 2: 2, 3: 2, 5: 3, 21: 4, 10: 5, 11: 5, 12: 5, 13: 5, 14: 5, 90: 6, 51: 7, 6: 8, 22: 9}
"""Those of version 2."""


def write_label(path: Path, counts: dict[int, int]) -> Path:
    """Writes a label that holds each number as often as given."""
    label = np.zeros(480, dtype=np.uint8)
    values = np.repeat(list(counts), list(counts.values()))
    label[: values.size] = values
    return write_image(make_image(label.reshape(SHAPE)), path)


def organs_in(path: Path, version: int | None = None, fallback: int | None = None) -> np.ndarray:
    image, _ = read_total(path, version, fallback)
    organs: np.ndarray = sitk.GetArrayFromImage(image)
    return organs


def mapped(path: Path, numbers: dict[int, int]) -> np.ndarray:
    stored = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    organs: np.ndarray = np.vectorize(lambda number: numbers.get(number, 0))(stored)
    return organs


CHEST = {1: 10, 2: 10, 5: 30, 6: 10, 21: 5, 22: 5, 44: 6, 50: 5, 51: 5, 90: 8}


def test_versions_are_told_by_veins_adrenals_and_lungs(tmp_path: Path) -> None:
    # version 1: veins of 12 voxels, adrenal glands of 2; version 2: adrenal glands of 2, lobes of 60
    first = write_label(tmp_path / "v1.nii.gz", {**CHEST, 8: 6, 9: 6, 11: 1, 12: 1, 13: 30, 17: 30, 104: 5})
    second = write_label(tmp_path / "v2.nii.gz", {**CHEST, 8: 1, 9: 1, 11: 30, 12: 30})
    assert np.array_equal(organs_in(first), mapped(first, V1))
    assert np.array_equal(organs_in(second), mapped(second, V2))
    assert read_total(first)[1] == organs_of(TOTAL_V1)
    assert read_total(second)[1] == organs_of(TOTAL_V2)


def test_a_number_above_104_is_of_version_2(tmp_path: Path) -> None:
    path = write_label(tmp_path / "total.nii.gz", {**CHEST, 8: 6, 9: 6, 105: 1})
    assert np.array_equal(organs_in(path), mapped(path, V2))
    with pytest.raises(CaseError, match="holds the value 105, expected whole numbers from 0 to 104"):
        read_total(path, 1)


def test_where_the_version_is_not_clear_it_has_to_be_given(tmp_path: Path) -> None:
    path = write_label(tmp_path / "total.nii.gz", {**CHEST, 8: 3, 9: 3, 11: 3, 12: 6})
    with pytest.raises(CaseError, match=r"total\.nii\.gz: it cannot be told whether version 1 or 2 .* to be given"):
        read_total(path)
    assert np.array_equal(organs_in(path, 1), mapped(path, V1))
    assert np.array_equal(organs_in(path, 2), mapped(path, V2))
    assert np.array_equal(organs_in(path, fallback=2), mapped(path, V2))


def name_classes(path: Path, names: dict[int, str]) -> None:
    """Adds a table of classes to a NIfTI's header, as TotalSegmentator does."""
    image = nibabel.Nifti1Image.from_filename(path)
    labels = "\n".join(f'<Label Key="{key}" Red="1"><![CDATA[{name}]]></Label>' for key, name in names.items())
    xml = f'<?xml version="1.0" encoding="UTF-8"?> <CaretExtension><VolumeInformation Index="0"><LabelTable>{labels}'
    xml += "</LabelTable></VolumeInformation></CaretExtension>\n              "
    data = np.asarray(image.dataobj)
    named = nibabel.Nifti1Image(data, image.affine, image.header)  # type: ignore[no-untyped-call]
    named.header.extensions.append(nibabel.nifti1.Nifti1Extension(0, xml.encode()))
    nibabel.save(named, path)


def names_of(task: Task) -> dict[int, str]:
    return {number: name for name, number in task.indices.items()}


def test_names_in_the_header_tell_more_than_the_labels(tmp_path: Path) -> None:
    path = write_label(tmp_path / "total.nii.gz", {**CHEST, 8: 1, 9: 1, 11: 30, 12: 30})
    name_classes(path, names_of(TOTAL_V1))
    assert np.array_equal(organs_in(path), mapped(path, V1))
    with pytest.raises(CaseError, match=r"its header names other classes than those of .* task total \(version 2\)"):
        read_total(path, 2)
    with pytest.raises(CaseError, match=r"its header names other classes than those of .* task head_glands_cavities"):
        read_head_glands(path)
    name_classes(write_label(path, {**CHEST, 8: 6, 9: 6}), {**names_of(TOTAL_V2), 7: "pancreas"})
    assert np.array_equal(organs_in(path), mapped(path, V2))
    name_classes(write_label(path, CHEST), {1: "spleen", 2: "liver"})
    with pytest.raises(CaseError, match=r"other classes than .* total \(version 1\) or total \(version 2\)"):
        read_total(path)


def test_names_of_files_tell_the_version_of_a_folder(tmp_path: Path) -> None:
    shape = (3, 4, 5)
    atrium = np.zeros(shape, dtype=np.uint8)
    atrium[1, 1, 1] = 1
    first = write_masks(tmp_path / "v1", {"heart_atrium_left": atrium}, shape, TOTAL_V1)
    image, labeled = read_total(first)
    assert np.array_equal(sitk.GetArrayFromImage(image), atrium * 7)
    assert "prostate" not in labeled
    second = write_masks(tmp_path / "v2", {"heart": atrium}, shape)
    assert np.array_equal(organs_in(second), atrium * 7)
    write_label(second / "heart_myocardium.nii.gz", {})  # of version 2's task "heartchambers_highres"
    assert "prostate" in read_total(second)[1]
    with pytest.raises(CaseError, match=r"v1/.*\.nii\.gz: the file is missing"):
        read_total(first, 2)
