import numpy as np
import pytest
from scipy import ndimage

from lesionclick.simulation.corrections import correct, largest_error
from lesionclick.simulation.interaction import Scribble

NEIGHBORS_18 = ndimage.generate_binary_structure(3, 2)
KINDS: list[Scribble | None] = [None, *Scribble]


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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(30))
def test_every_point_lies_in_the_largest_error_and_says_what_is_there(seed: int, kind: Scribble | None) -> None:
    prediction, truth = make_masks(seed)
    clicks = correct(prediction, truth, kind, generator(seed))
    missed = ndimage.label((truth == 1) & (prediction == 0), NEIGHBORS_18)[0]
    extra = ndimage.label((truth == 0) & (prediction == 1), NEIGHBORS_18)[0]
    largest = max(np.bincount(labels.ravel())[1:].max(initial=0) for labels in (missed, extra))
    if not largest:
        assert clicks == ()
        return
    labels = missed if clicks[0].label == "tumor" else extra
    numbers = {int(labels[click.z, click.y, click.x]) for click in clicks}
    (number,) = numbers
    assert number > 0
    assert (labels == number).sum() == largest
    assert {click.label for click in clicks} == {"tumor" if labels is missed else "background"}
    assert len(set(clicks)) == len(clicks)
    assert len(clicks) == 1 or kind is not None
    assert clicks == correct(prediction, truth, kind, generator(seed))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("voxel", [(4, 4, 4), (0, 4, 4), (0, 0, 0), (8, 7, 6)])
def test_one_voxel_is_corrected(kind: Scribble | None, voxel: tuple[int, int, int]) -> None:
    empty = np.zeros((9, 8, 7), dtype=np.uint8)
    error = empty.copy()
    error[voxel] = 1
    for prediction, truth, label in ((empty, error, "tumor"), (error, empty, "background")):
        (click,) = correct(prediction, truth, kind, generator())
        assert ((click.z, click.y, click.x), click.label) == (voxel, label)


@pytest.mark.parametrize("kind", KINDS)
def test_error_that_fills_the_volume_is_corrected(kind: Scribble | None) -> None:
    full = np.ones((5, 6, 7), dtype=np.uint8)
    assert correct(np.zeros_like(full), full, kind, generator())


@pytest.mark.parametrize("kind", KINDS)
def test_masks_that_agree_need_no_correction(kind: Scribble | None) -> None:
    for mask in (np.zeros((4, 5, 6)), np.ones((4, 5, 6))):
        assert correct(mask, mask, kind, generator()) == ()


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
    (click,) = correct(np.zeros_like(truth), truth, None, generator())
    assert (click.z, click.y, click.x) == (6, 7, 8)
