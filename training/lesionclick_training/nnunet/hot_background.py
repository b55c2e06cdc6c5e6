"""Hot background: patches lie around high uptake that is no lesion, too: brain, heart, kidneys, joints.

nnU-Net's patches lie around lesions or anywhere. In a whole body hardly one in a hundred of the latter shows the brain,
so that networks which learned of tumors from crops forget what it is, and see no background click on it.
"""

from typing import Any

import numpy as np

from lesionclick_training.nnunet.patch_centers import around_one_of, some_of

HOTTEST = 0.005  # of a case's voxels without lesion: 2 to 4 l of a whole body in air

STEP = 2  # voxels along each axis: every eighth voxel is looked at, since all take as long as several steps of training

MAX_VOXELS = 2000  # remembered of a case, so that memory stays small


class HotBackground:
    """A dataset of nnU-Net's whose `class_locations` are, in some draws, one voxel of high uptake outside of lesions.

    The voxel is drawn from numpy's global state, uniformly among the `HOTTEST` of those that are known to be no lesion,
    in steps of `STEP`.
    They are found when a case is first loaded, and stay in the memory of the process that loaded it. A case without
    lesions is always drawn so where nnU-Net asks for a patch around one.

    Attributes:
        identifiers: names of the cases.
    """

    def __init__(self, dataset: Any, share: float) -> None:
        """Wraps a dataset as nnU-Net's trainer makes it; `share` of the draws of a case with lesions are changed."""
        self.dataset = dataset
        self.identifiers = dataset.identifiers
        self.share = share
        self._voxels: dict[str, np.ndarray] = {}

    def load_case(self, name: str) -> tuple[Any, Any, Any, dict[str, Any]]:
        """A case as the wrapped dataset gives it, but for `class_locations`."""
        data, segmentation, previous, properties = self.dataset.load_case(name)
        if name not in self._voxels:
            self._voxels[name] = _find_hot_voxels(np.asarray(data[1]), np.asarray(segmentation[0]))
        voxels = self._voxels[name]
        has_lesion = any(len(each) for each in properties["class_locations"].values())
        if len(voxels) and (not has_lesion or np.random.random() < self.share):
            properties = around_one_of(voxels, properties)
        return data, segmentation, previous, properties


def _find_hot_voxels(pet_zyx: np.ndarray, lesion_zyx: np.ndarray) -> np.ndarray:
    """Voxels of highest uptake that are no lesion, at most `MAX_VOXELS` at random: (voxels, 3), z, y, x."""
    every = (slice(None, None, STEP),) * 3
    pet, lesion = pet_zyx[every], lesion_zyx[every]
    healthy = np.flatnonzero(lesion == 0)
    if not healthy.size:
        return np.zeros((0, 3), dtype=np.int64)
    count = max(1, round(HOTTEST * healthy.size))
    hottest = healthy[np.argsort(pet.ravel()[healthy], kind="stable")[-count:]]  # argpartition is slow among equals
    return STEP * some_of(hottest, lesion.shape, MAX_VOXELS)
