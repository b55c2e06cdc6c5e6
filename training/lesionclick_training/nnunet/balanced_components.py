"""Balanced components: patches around lesions lie as often around a small lesion as around a large one.

nnU-Net draws a voxel among those of all lesions of a case, so that a lesion of a liter is in the middle of nearly every
patch and one of a milliliter hardly ever.
"""

from typing import Any

import numpy as np

from lesionclick.case.lesions import label_lesions
from lesionclick_training.nnunet.patch_centers import around_one_of, some_of

MAX_VOXELS = 500  # remembered of a component, so that memory stays small


class BalancedComponents:
    """A dataset of nnU-Net's whose `class_locations` are, each time, one voxel of one lesion.

    The lesion is drawn uniformly among the components of the case (18 neighbors), the voxel uniformly among those of
    the lesion, from numpy's global state. Components are found when a case is first loaded, and stay in the memory of
    the process that loaded it.

    Attributes:
        identifiers: names of the cases.
    """

    def __init__(self, dataset: Any) -> None:
        """Wraps a dataset as nnU-Net's trainer makes it."""
        self.dataset = dataset
        self.identifiers = dataset.identifiers
        self._components: dict[str, list[np.ndarray]] = {}

    def load_case(self, name: str) -> tuple[Any, Any, Any, dict[str, Any]]:
        """A case as nnU-Net's dataset gives it, but for `class_locations`; those of a case without lesions stay."""
        data, segmentation, previous, properties = self.dataset.load_case(name)
        if name not in self._components:
            self._components[name] = _find_components(np.asarray(segmentation[0]))
        components = self._components[name]
        if components:
            properties = around_one_of(components[np.random.randint(len(components))], properties)
        return data, segmentation, previous, properties


def _find_components(lesion_zyx: np.ndarray) -> list[np.ndarray]:
    """Voxels of each lesion, at most `MAX_VOXELS` of them at random: (voxels, 3), z, y, x."""
    numbers, count = label_lesions(lesion_zyx > 0)
    flat = np.flatnonzero(numbers)
    of_component = numbers.ravel()[flat]
    flat = flat[np.argsort(of_component, kind="stable")]
    sizes = np.bincount(of_component, minlength=count + 1)[1:]
    components = np.split(flat, np.cumsum(sizes)[:-1]) if count else []
    return [some_of(each, lesion_zyx.shape, MAX_VOXELS) for each in components]
