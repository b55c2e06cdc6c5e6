import numpy as np
import pytest

from lesionclick.case.geometry import Geometry
from lesionclick_training.data.nnunet_layout import organ_number
from lesionclick_training.data.unknown_organs import mark_unlabeled

UP = Geometry((3, 2, 10), (2.0, 3.0, 4.0), (0.0, 0.0, -50.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
DOWN = Geometry(UP.size, UP.spacing, UP.origin, (1, 0, 0, 0, -1, 0, 0, 0, -1))
LUNGS, LIVER, BLADDER = organ_number("lungs"), organ_number("liver"), organ_number("urinary bladder")


def body() -> np.ndarray:
    """From feet (z = 0) to head: the bladder in slice 2, lungs in slices 4 to 6, liver in a part of slices 3 and 8."""
    label = np.zeros((10, 2, 3), dtype=np.uint8)
    label[2, 0, 0], label[4:7] = BLADDER, LUNGS
    label[3, 0], label[8, 0] = LIVER, LIVER
    return label


@pytest.mark.parametrize("geometry", [UP, DOWN])
def test_glands_may_be_anywhere_above_the_lungs(geometry: Geometry) -> None:
    label = body() if geometry is UP else body()[::-1]
    before = label.copy()
    marked = mark_unlabeled(label, geometry, ["glands"])
    if geometry is DOWN:
        marked, before = marked[::-1], before[::-1]
    expected = before.copy()
    expected[7], expected[8, 1], expected[9] = 11, 11, 11
    assert np.array_equal(marked, expected)
    assert np.array_equal(label, body() if geometry is UP else body()[::-1])


def test_the_axis_from_feet_to_head_may_be_any_of_the_grid() -> None:
    # x of the grid runs from head to feet, y and z of the grid are y and x of the world
    geometry = Geometry((10, 2, 3), (4.0, 3.0, 2.0), (0.0, 0.0, 90.0), (0, 0, 1, 0, 1, 0, -1, 0, 0))
    label = np.ascontiguousarray(body()[::-1].transpose(2, 1, 0))
    marked = mark_unlabeled(label, geometry, ["glands"])
    assert np.array_equal(marked.transpose(2, 1, 0)[::-1], mark_unlabeled(body(), UP, ["glands"]))


def test_stray_lung_above_does_not_lift_the_top_of_the_lungs() -> None:
    geometry = Geometry((30, 20, 10), UP.spacing, UP.origin, UP.direction)
    label = np.zeros((10, 20, 30), dtype=np.uint8)
    label[4:7] = LUNGS
    label[9, 5, 5] = LUNGS
    marked = mark_unlabeled(label, geometry, ["glands"])
    assert (marked[7:9] == 11).all()
    assert not marked[:4].any()


def test_without_lungs_glands_may_be_anywhere() -> None:
    label = body()
    label[label == LUNGS] = 0
    marked = mark_unlabeled(label, UP, ["glands"])
    assert np.array_equal(marked, np.where(label == 0, 11, label))


def test_the_prostate_may_be_anywhere_below_the_top_of_the_bladder_or_else_below_the_lungs() -> None:
    label = body()
    expected = label.copy()
    expected[:3][label[:3] == 0] = 11
    assert np.array_equal(mark_unlabeled(label, UP, ["prostate"]), expected)
    label[label == BLADDER] = 0
    expected = label.copy()
    expected[:4][label[:4] == 0] = 11
    assert np.array_equal(mark_unlabeled(label, UP, ["prostate"]), expected)


def test_any_other_organ_may_be_anywhere_and_none_leaves_the_label() -> None:
    label = body()
    assert np.array_equal(mark_unlabeled(label, UP, ["spleen"]), np.where(label == 0, 11, label))
    assert np.array_equal(mark_unlabeled(label, UP, []), label)
