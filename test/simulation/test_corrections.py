import time

import numpy as np
import pytest
from scipy import ndimage

from lesionclick.case.clicks import Click
from lesionclick.simulation.corrections import corrective_click, corrective_scribble, largest_error
from lesionclick.simulation.interaction import Scribble

NEIGHBORS_18, NEIGHBORS_26 = (ndimage.generate_binary_structure(3, rank) for rank in (2, 3))


def make_masks(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A prediction and a truth of any size and place, those at the border included, of which either may be empty."""
    generator = np.random.default_rng(seed)
    shape = tuple(generator.integers(6, 18, size=3))
    masks = []
    for _ in range(2):
        smooth = ndimage.gaussian_filter(generator.normal(size=shape), generator.uniform(0.4, 2))
        masks.append((smooth > np.quantile(smooth, generator.choice([0.7, 0.95, 1.0]))).astype(np.uint8))
    return masks[0], masks[1]


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def points_of(clicks: tuple[Click, ...]) -> tuple[np.ndarray, ...]:
    """Where clicks are: z, y and x."""
    return tuple(np.array([(click.z, click.y, click.x) for click in clicks]).T)


def errors(prediction: np.ndarray, truth: np.ndarray, neighbors: np.ndarray) -> dict[str, np.ndarray]:
    """The numbered components of what was missed and what is false, by the label that corrects them."""
    parts = {"tumor": (truth == 1) & (prediction == 0), "background": (truth == 0) & (prediction == 1)}
    return {label: ndimage.label(part, neighbors)[0] for label, part in parts.items()}


# ---- clicks


@pytest.mark.parametrize("seed", range(60))
def test_a_click_lies_in_the_largest_error_and_says_what_is_there(seed: int) -> None:
    prediction, truth = make_masks(seed)
    clicks = corrective_click(prediction, truth)
    numbers = errors(prediction, truth, NEIGHBORS_18)
    largest = max(np.bincount(each.ravel())[1:].max(initial=0) for each in numbers.values())
    if not largest:
        assert clicks == ()
        return
    (click,) = clicks
    number = numbers[click.label][click.z, click.y, click.x]
    assert number > 0
    assert (numbers[click.label] == number).sum() == largest


def test_of_equal_errors_the_missed_lesion_goes_first_and_corners_do_not_connect() -> None:
    prediction, truth = np.zeros((2, 6, 8, 10), dtype=np.uint8)
    prediction[1, 1, 1] = prediction[2, 2, 2] = 1  # two of one voxel
    truth[4, 4, 4] = 1
    error = largest_error(prediction, truth)
    assert error is not None
    assert (error[0].tolist(), error[1]) == ([np.ravel_multi_index((4, 4, 4), truth.shape)], "tumor")
    prediction[1, 1, 2] = 1
    error = largest_error(prediction, truth)
    assert error is not None
    assert (error[0].size, error[1]) == (3, "background")  # (1, 1, 2) and (2, 2, 2) share an edge


def test_a_click_falls_on_the_deepest_voxel() -> None:
    truth = np.zeros((20, 20, 20), dtype=np.uint8)
    truth[3:10, 4:11, 5:12] = 1
    truth[6, 7, 12:20] = 1
    (click,) = corrective_click(np.zeros_like(truth), truth)
    assert (click.z, click.y, click.x) == (6, 7, 8)


# ---- scribbles


@pytest.mark.parametrize("kind", Scribble)
@pytest.mark.parametrize("seed", range(150))
def test_a_scribble_lies_in_one_slice_of_the_largest_error_of_its_kind(seed: int, kind: Scribble) -> None:
    prediction, truth = make_masks(seed)
    clicks = corrective_scribble(prediction, truth, kind, generator(seed))
    if not truth.any() or (prediction == truth).all():
        assert clicks == ()
        return
    (label,) = {click.label for click in clicks}
    (z,) = {click.z for click in clicks}
    assert len(set(clicks)) == len(clicks)
    numbers = errors(prediction, truth, NEIGHBORS_26)[label]
    (number,) = set(numbers[points_of(clicks)])
    assert number > 0
    error = numbers == number
    assert error.sum() == np.bincount(numbers.ravel())[1:].max()
    areas = error.sum(axis=(1, 2))
    assert areas[z] == areas.max()
    assert clicks == corrective_scribble(prediction, truth, kind, generator(seed))


@pytest.mark.parametrize("seed", range(100))
def test_the_scribble_of_more_voxels_decides_whether_tumor_or_background_is_marked(seed: int) -> None:
    prediction, truth = make_masks(seed)
    if not truth.any():
        return
    both = prediction & truth
    missed = corrective_scribble(both, truth, Scribble.centerline, generator())
    false = corrective_scribble(prediction, both, Scribble.centerline, generator())
    if not both.any():  # an empty truth gets none, so the false part is looked at beside a lesion that was found
        wider, truth_of_one = (np.pad(mask, ((0, 2), (0, 0), (0, 0))) for mask in (prediction, both))
        wider[-1, 0, 0] = truth_of_one[-1, 0, 0] = 1
        false = corrective_scribble(wider, truth_of_one, Scribble.centerline, generator())
    assert corrective_scribble(prediction, truth, Scribble.centerline, generator()) == (
        missed if len(missed) >= len(false) else false
    )


def test_a_long_thin_error_goes_before_a_larger_one_that_gets_a_shorter_scribble() -> None:
    prediction, truth = np.zeros((2, 12, 30, 60), dtype=np.uint8)
    truth[2:9, 2:10, 2:12] = 1  # 560 voxels
    prediction[5, 20, 5:50] = 1  # 45
    clicks = corrective_scribble(prediction, truth, Scribble.centerline, generator())
    assert {click.label for click in clicks} == {"background"}
    assert len(clicks) == 45 - 2 * 4
    assert corrective_click(prediction, truth)[0].label == "tumor"


def test_corners_connect() -> None:
    prediction, truth = np.zeros((2, 8, 8, 8), dtype=np.uint8)
    truth[1, 1, 1] = truth[2, 2, 2] = truth[2, 2, 3] = truth[2, 2, 4] = 1
    truth[0, 5, 4:7] = 1
    clicks = corrective_scribble(prediction, truth, Scribble.centerline, generator())
    assert {click.z for click in clicks} == {2}  # of four voxels, though one hangs on by a corner


@pytest.mark.parametrize("kind", Scribble)
@pytest.mark.parametrize("voxel", [(4, 4, 4), (0, 4, 4), (0, 0, 0), (8, 7, 6)])
def test_an_error_of_one_voxel_is_marked(kind: Scribble, voxel: tuple[int, int, int]) -> None:
    found = np.zeros((9, 8, 7), dtype=np.uint8)
    found[2, 2, 2] = 1
    more = found.copy()
    more[voxel] = 1
    for prediction, truth, label in ((found, more, "tumor"), (more, found, "background")):
        (click,) = corrective_scribble(prediction, truth, kind, generator())
        assert ((click.z, click.y, click.x), click.label) == (voxel, label)


@pytest.mark.parametrize("kind", Scribble)
def test_errors_in_a_row_are_apart(kind: Scribble) -> None:
    prediction, truth = np.zeros((2, 5, 6, 9), dtype=np.uint8)
    truth[1, 1, [1, 3, 5]] = 1
    (click,) = corrective_scribble(prediction, truth, kind, generator())
    assert click == Click(1, 1, 1, "tumor")


@pytest.mark.parametrize("kind", Scribble)
def test_an_error_that_fills_the_volume_is_marked(kind: Scribble) -> None:
    full = np.ones((5, 6, 7), dtype=np.uint8)
    assert corrective_scribble(np.zeros_like(full), full, kind, generator())


@pytest.mark.parametrize("kind", Scribble)
def test_masks_that_agree_and_an_empty_truth_get_no_scribble(kind: Scribble) -> None:
    nothing, full = np.zeros((4, 5, 6)), np.ones((4, 5, 6))
    for mask in (nothing, full):
        assert corrective_scribble(mask, mask, kind, generator()) == ()
    assert corrective_scribble(full, nothing, kind, generator()) == ()


@pytest.mark.parametrize("kind", Scribble)
def test_a_whole_body_takes_a_second_or_so(kind: Scribble) -> None:
    shape = (326, 400, 400)
    prediction, truth = np.zeros((2, *shape), dtype=np.uint8)
    random = generator(0)
    for mask in (prediction, truth):
        for z, y, x in random.integers(0, np.array(shape) - 20, size=(60, 3)):
            mask[z : z + 20, y : y + 20, x : x + 20] = 1
    start = time.process_time()
    assert corrective_scribble(prediction, truth, kind, generator())
    assert time.process_time() - start < 4  # 0.5 on one core; the machine may be busy
