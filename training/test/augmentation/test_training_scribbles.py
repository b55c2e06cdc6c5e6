import numpy as np
import pytest
import torch
from helpers_patch import PATCH_SHAPE, make_patch
from scipy import stats

from lesionclick.case.lesions import label_lesions
from lesionclick_training.augmentation import draw_clicks
from lesionclick_training.augmentation.draw_clicks import DrawClicks
from lesionclick_training.augmentation.scribbles import background_scribbles, tumor_scribbles
from lesionclick_training.data.nnunet_layout import UNKNOWN


def make_lesions() -> np.ndarray:
    lesions = np.zeros(PATCH_SHAPE, dtype=bool)
    for start in (1, 8, 15):
        lesions[start : start + 4, 4:12, 6:12] = True
    return lesions


@pytest.mark.parametrize("budget", [0, 1, 2, 10])
def test_each_of_some_lesions_gets_a_line(budget: int) -> None:
    lesions = make_lesions()
    numbers, _ = label_lesions(lesions)
    for seed in range(10):
        points = tumor_scribbles(lesions, budget, np.random.default_rng(seed))
        assert len(np.unique(points, axis=0)) == len(points)
        touched = np.unique(numbers[tuple(points.T)])
        assert 0 not in touched
        assert len(touched) == min(budget, 3)
        assert len(points) >= len(touched)


def test_background_lines_are_in_the_hottest_healthy_voxels() -> None:
    image, _ = make_patch()
    pet = image[1].numpy()
    healthy = ~make_lesions()
    points = background_scribbles(pet, healthy, 10, np.random.default_rng(0))
    assert len(points)
    assert healthy[tuple(points.T)].all()
    assert pet[tuple(points.T)].min() > np.percentile(pet[healthy], 99.75)
    assert len(background_scribbles(pet, healthy, 0, np.random.default_rng(0))) == 0
    assert len(background_scribbles(pet, np.zeros_like(healthy), 5, np.random.default_rng(0))) == 0


def test_a_share_of_the_patches_has_scribbles_in_place_of_clicks(monkeypatch: pytest.MonkeyPatch) -> None:
    image, segmentation = make_patch()
    monkeypatch.setattr(draw_clicks, "draw_count", lambda *_: 1)
    transform = DrawClicks(scribbles=0.3)
    np.random.seed(0)
    counts = [
        len(transform.get_parameters(image=image, segmentation=segmentation)["tumor"]) for _ in range(500)
    ]  # one lesion, so that one click is one point and one scribble several
    assert stats.binomtest(sum(count > 1 for count in counts), 500, 0.3).pvalue > 0.001


@pytest.mark.parametrize("label", [-1, UNKNOWN])
def test_no_scribble_where_nobody_knows(label: int) -> None:
    image, segmentation = make_patch()
    drawn = DrawClicks(scribbles=1)(image=image, segmentation=torch.full_like(segmentation, label))
    assert not drawn["image"][2:].any()
