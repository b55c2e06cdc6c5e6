import numpy as np
import pytest
import torch
from scipy import ndimage

from lesionclick_training.augmentation.vary_contours import VaryContours
from lesionclick_training.data.nnunet_layout import UNKNOWN

GRID = np.indices((40, 40, 40))


def ball(center: int, radius: float) -> np.ndarray:
    inside: np.ndarray = ((GRID - center) ** 2).sum(0) <= radius**2
    return inside


def varied(label: np.ndarray, seed: int) -> np.ndarray:
    np.random.seed(seed)
    segmentation = torch.from_numpy(np.stack([label, np.full_like(label, 3)]).astype(np.int16))
    changed = VaryContours()(image=None, segmentation=segmentation)["segmentation"].numpy()
    assert (changed[1] == 3).all()  # organs stay
    drawn: np.ndarray = changed[0]
    return drawn


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return float(2 * (first & second).sum() / (first.sum() + second.sum()))


def test_contours_differ_as_much_as_those_of_readers_and_lean_to_no_side() -> None:
    lesion = ball(20, 8).astype(np.int16)
    drawn = [varied(lesion, seed) == 1 for seed in range(60)]
    agreement = [dice(each, lesion == 1) for each in drawn]
    assert 0.8 < np.median(agreement) < 0.95
    assert min(agreement) > 0.5
    assert 0.9 < np.median([each.sum() / lesion.sum() for each in drawn]) < 1.15
    assert all(ndimage.label(each, np.ones((3, 3, 3)))[1] == 1 for each in drawn)


def test_contours_differ_from_place_to_place() -> None:
    lesion = ball(20, 8)
    depth = ndimage.distance_transform_edt(lesion) - ndimage.distance_transform_edt(~lesion)
    drawn = [varied(lesion.astype(np.int16), seed) == 1 for seed in range(30)]
    farthest_out = [(-depth[each & ~lesion]).max(initial=0) for each in drawn]
    deepest_in = [depth[lesion & ~each].max(initial=0) for each in drawn]
    assert sum(out >= 2 and into >= 2 for out, into in zip(farthest_out, deepest_in, strict=True)) > 5


@pytest.mark.parametrize("label", [-1, UNKNOWN])
def test_what_is_outside_or_unknown_stays(label: int) -> None:
    lesion = ball(20, 8).astype(np.int16)
    lesion[:, 22:] = label
    for seed in range(5):
        assert np.array_equal(varied(lesion, seed) == label, lesion == label)


def test_small_lesions_and_patches_without_any_stay() -> None:
    tiny = ball(10, 1).astype(np.int16)
    for seed in range(5):
        assert np.array_equal(varied(tiny, seed), tiny)
        assert not varied(np.zeros_like(tiny), seed).any()
        assert varied(np.ones_like(tiny), seed).any()


def test_lesions_change_apart() -> None:
    lesions = (ball(10, 5) | ball(28, 5)).astype(np.int16)
    drawn = varied(lesions, 3) == 1
    shares = [(drawn & ball(center, 9)).sum() / ball(center, 5).sum() for center in (10, 28)]
    assert shares[0] != shares[1]
    assert min(shares) > 0


def test_numpys_state_decides() -> None:
    lesion = ball(20, 8).astype(np.int16)
    assert np.array_equal(varied(lesion, 1), varied(lesion, 1))
    assert not np.array_equal(varied(lesion, 1), varied(lesion, 2))
