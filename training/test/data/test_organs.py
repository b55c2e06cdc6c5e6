from pathlib import Path

import numpy as np
import pytest
from helpers_data import SHAPE, make_image, write_image, write_masks

from lesionclick.errors import CaseError
from lesionclick_training.data.organ_classes import HEAD_GLANDS
from lesionclick_training.data.organs import (
    OrganSource,
    find_organ_labels,
    label_organs,
    read_organs,
    warn_of_missing_organs,
    write_organs,
)


def numbers_by_hand() -> dict[int, int]:
    """Numbers of TotalSegmentator v2's task "total" -> our organs, written out."""
    return {1: 1, 2: 2, 3: 2, 5: 3, 21: 4, 10: 5, 11: 5, 12: 5, 13: 5, 14: 5, 90: 6, 51: 7, 6: 8, 22: 9}


def test_multilabel_files_of_both_tasks(tmp_path: Path) -> None:
    total = np.arange(120).reshape(5, 4, 6) % 118
    glands = np.zeros((5, 4, 6), dtype=np.uint8)
    glands[0, 0] = [6, 7, 8, 9, 10, 11]
    total_path = write_image(make_image(total.astype(np.uint8)), tmp_path / "total.nii.gz")
    glands_path = write_image(make_image(glands), tmp_path / "glands.nii.gz")
    expected = np.vectorize(lambda number: numbers_by_hand().get(number, 0))(total)

    without_glands = label_organs(make_image(total), total_path)
    assert np.array_equal(without_glands[expected > 0], expected[expected > 0])
    assert set(without_glands[expected == 0]) == {0, 11}  # 11 above the lungs, which lie in slice 0
    expected[0, 0, 1:5] = 10  # over the spleen, the kidneys and so on that the first row holds
    label = label_organs(make_image(total), total_path, glands_path)
    assert label.dtype == np.uint8
    assert np.array_equal(label, expected)


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
    many = write_image(make_image(np.full(SHAPE, 118, np.uint8)), tmp_path / "many.nii.gz")
    with pytest.raises(CaseError, match="holds the value 118, expected whole numbers from 0 to 117"):
        label_organs(reference, many)
    away = write_image(make_image(np.ones(SHAPE, np.uint8), origin=(500.0, 0.0, 0.0)), tmp_path / "away.nii.gz")
    with pytest.raises(CaseError, match=r"away\.nii\.gz: none of its organs lies inside"):
        label_organs(reference, away, version=2)
    with pytest.raises(CaseError, match="holds the value 118, expected whole numbers from 0 to 11"):
        read_organs(many, reference)
    with pytest.raises(CaseError, match=r"must end in \.nii\.gz"):
        write_organs(tmp_path / "label.mha", np.zeros(SHAPE, np.uint8), reference)


def test_without_the_task_for_them_glands_are_unknown_above_the_lungs(tmp_path: Path) -> None:
    total = np.zeros(SHAPE, dtype=np.uint8)
    total[2:4], total[5, 0], total[0, 0, 0] = 14, 90, 110
    path = write_image(make_image(total), tmp_path / "total.nii.gz")
    label = label_organs(make_image(total), path)
    expected = np.zeros(SHAPE, dtype=np.uint8)
    expected[2:4], expected[4:], expected[5, 0] = 5, 11, 6
    assert np.array_equal(label, expected)
    glands = write_image(make_image(np.zeros(SHAPE, np.uint8)), tmp_path / "glands.nii.gz")
    expected[expected == 11] = 0
    assert np.array_equal(label_organs(make_image(total), path, glands), expected)


def test_outside_of_the_label_organs_are_unknown(tmp_path: Path) -> None:
    label = np.zeros(SHAPE, dtype=np.uint8)
    label[2] = 3
    write_organs(tmp_path / "organs.nii.gz", label, make_image(label))
    wider = make_image(np.zeros((6, 8, 12), np.float32))
    read = read_organs(tmp_path / "organs.nii.gz", wider)
    assert np.array_equal(read[:, :, :10], label)
    assert (read[:, :, 10:] == 11).all()


def test_unknown_organs_are_written_and_read(tmp_path: Path) -> None:
    label = np.arange(480, dtype=np.uint8).reshape(SHAPE) % 12
    write_organs(tmp_path / "organs.nii.gz", label, make_image(label))
    assert np.array_equal(read_organs(tmp_path / "organs.nii.gz", make_image(label)), label)
    with pytest.raises(CaseError, match="holds the value 11, expected whole numbers from 0 to 10"):
        read_organs(tmp_path / "organs.nii.gz", make_image(label), OrganSource.PUBLISHED)


def test_glands_of_the_published_labels_are_unknown(tmp_path: Path) -> None:
    label = np.zeros(SHAPE, dtype=np.uint8)
    label[2], label[0, 0], label[5, 1], label[5, 2] = 5, 9, 10, 6
    path = write_image(make_image(label), tmp_path / "published.nii.gz")
    expected = label.copy()
    expected[3:][label[3:] == 0] = expected[label == 10] = 11  # above the lungs
    assert np.array_equal(read_organs(path, make_image(label), OrganSource.PUBLISHED), expected)


def test_cases_without_an_organ_label_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_image(make_image(np.zeros(SHAPE, np.uint8)), tmp_path / "a.nii.gz")
    assert find_organ_labels(tmp_path, ["a", "b"]) == {"a": path}
    assert find_organ_labels(None, ["a", "b"]) == {}
    for folder, names in ((tmp_path, ["b"]), (tmp_path / "absent", ["a"])):
        with pytest.raises(CaseError, match=f"{folder}: holds an organ label for none of the cases"):
            find_organ_labels(folder, names)
    warn_of_missing_organs(0, 1611)
    assert not caplog.messages
    warn_of_missing_organs(12, 1611)
    assert caplog.messages == ["12 of 1611 cases have no organ label: the organ loss leaves them out"]
