from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy import stats

from lesionclick_training.data.nnunet_layout import UNKNOWN
from lesionclick_training.nnunet.balanced_components import BalancedComponents

SHAPE = (30, 30, 30)


def make_dataset() -> tuple[Any, np.ndarray]:
    """A dataset of two cases, the second without lesions, and the lesions of the first: of 1, 8 and 1728 voxels."""
    lesion = np.zeros(SHAPE, dtype=np.int8)
    lesion[1, 2, 3] = 1
    lesion[5:7, 5:7, 5:7] = 1
    lesion[12:24, 12:24, 12:24] = 1
    lesion[28:] = UNKNOWN
    cases = {"some": lesion, "none": np.zeros(SHAPE, dtype=np.int8)}

    def load_case(name: str) -> tuple[Any, Any, Any, dict[str, Any]]:
        label = np.stack([cases[name], np.full(SHAPE, 3, dtype=np.int8)])
        locations = np.insert(np.argwhere(cases[name] == 1), 0, 0, axis=1)
        return "image", label, None, {"class_locations": {1: locations}, "spacing": [5, 5, 5]}

    return SimpleNamespace(identifiers=list(cases), load_case=load_case), lesion


def test_small_lesions_are_drawn_as_often_as_large_ones() -> None:
    dataset, lesion = make_dataset()
    balanced = BalancedComponents(dataset)
    assert balanced.identifiers == ["some", "none"]
    np.random.seed(0)
    drawn: Counter[str] = Counter()
    places = set()
    for _ in range(3000):
        image, _, _, properties = balanced.load_case("some")
        assert (image, properties["spacing"]) == ("image", [5, 5, 5])
        ((channel, z, y, x),) = properties["class_locations"][1]
        assert channel == 0
        assert lesion[z, y, x] == 1
        drawn["one" if z == 1 else "few" if z < 10 else "many"] += 1
        places.add((z, y, x))
    assert stats.chisquare(list(drawn.values())).pvalue > 0.001
    assert len(places) > 300  # anywhere in a lesion


def test_a_case_without_lesions_stays_as_it_is() -> None:
    dataset, _ = make_dataset()
    assert BalancedComponents(dataset).load_case("none")[3]["class_locations"][1].shape == (0, 4)
