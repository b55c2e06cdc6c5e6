from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lesionclick_training.data.nnunet_layout import UNKNOWN
from lesionclick_training.nnunet.hot_background import HotBackground

SHAPE = (20, 20, 20)


def make_dataset() -> Any:
    """Two cases, the second without lesions; an organ of 40 voxels is hotter than all that is known to be none."""
    pet = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    pet[2, 4], pet[2, 5] = 50, 51
    lesion = np.zeros(SHAPE, dtype=np.int8)
    lesion[10:12, 10:12, 10:12], pet[10:12, 10:12, 10:12] = 1, 90
    lesion[18:], pet[18:] = UNKNOWN, 99
    lesion[0], pet[0] = -1, 99
    cases = {"some": lesion, "none": np.where(lesion == 1, 0, lesion)}
    cold = np.where(lesion == 1, 0, pet)

    def load_case(name: str) -> tuple[Any, Any, Any, dict[str, Any]]:
        image = np.stack([np.zeros_like(pet), pet if name == "some" else cold])
        locations = np.insert(np.argwhere(cases[name] == 1), 0, 0, axis=1)
        label = np.stack([cases[name], np.full(SHAPE, 3, dtype=np.int8)])
        return image, label, None, {"class_locations": {1: locations}, "spacing": [4, 4, 4]}

    return SimpleNamespace(identifiers=list(cases), load_case=load_case)


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_a_share_of_the_draws_lies_at_high_uptake_that_is_known_to_be_no_lesion(share: float) -> None:
    hot = HotBackground(make_dataset(), share)
    assert hot.identifiers == ["some", "none"]
    np.random.seed(1)
    at_hot, places = 0, set()
    for _ in range(1000):
        properties = hot.load_case("some")[3]
        assert properties["spacing"] == [4, 4, 4]
        locations = properties["class_locations"][1]
        if len(locations) == 1:
            channel, z, y, x = locations[0]
            assert (channel, z) == (0, 2)
            assert y == 4  # every second voxel is looked at
            places.add((y, x))
            at_hot += 1
        else:
            assert len(locations) == 8
    assert abs(at_hot / 1000 - share) < 0.05
    if share:
        assert len(places) == 4  # of 799 that are known to be none


def test_a_case_without_lesions_is_drawn_at_high_uptake_alone() -> None:
    hot = HotBackground(make_dataset(), 0.1)
    assert all(hot.load_case("none")[3]["class_locations"][1][0, 1] == 2 for _ in range(50))


def test_a_case_of_which_nothing_is_known_stays_as_it_is() -> None:
    def load_case(name: str) -> tuple[Any, Any, Any, dict[str, Any]]:
        return np.zeros((2, 4, 4, 4)), np.full((2, 4, 4, 4), UNKNOWN), None, {"class_locations": {1: []}}

    dataset = SimpleNamespace(identifiers=["case"], load_case=load_case)
    assert HotBackground(dataset, 1.0).load_case("case")[3] == {"class_locations": {1: []}}
