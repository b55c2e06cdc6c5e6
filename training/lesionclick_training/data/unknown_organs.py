"""Unlabeled organs: where in a body one of them can lie, so that no voxel there counts as belonging to no organ.

Heights are along the patient's axis from feet to head, whatever the image's orientation. Each rule rather marks too
much than too little: what it marks, the organ loss leaves out.
"""

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from lesionclick.case.geometry import Geometry
from lesionclick_training.data.nnunet_layout import UNKNOWN_ORGAN, organ_number

STRAY = 0.01
"""Share of the lungs that is passed over when their top or bottom is looked for: air elsewhere, taken for lung."""


def mark_unlabeled(label: np.ndarray, geometry: Geometry, organs: Iterable[str]) -> np.ndarray:
    """An organ label in which voxels of no organ are unknown where one of the unlabeled organs can lie.

    The glands lie above the lungs. The prostate lies below the top of the urinary bladder, where no bladder is labeled
    below the lungs. Where no lungs are labeled either, and for any other organ, it is everywhere.

    Args:
        label: uint8 of shape (z, y, x), 0 to 10 and `UNKNOWN_ORGAN`.
        geometry: of its grid.
        organs: names of those that nobody labeled.
    """
    label = label.copy()
    heights = _heights(geometry)
    free = label == 0
    for organ in organs:
        possible = _PLACES[organ](label, heights) if organ in _PLACES else True
        label[free & possible] = UNKNOWN_ORGAN
    return label


def _heights(geometry: Geometry) -> np.ndarray:
    """Of each voxel toward the head, mm, up to a constant; of a shape that broadcasts to (z, y, x), for speed."""
    toward_head = geometry.direction[6:9]  # the share of the axes x, y, z of the grid in z of the world, feet to head
    heights = np.zeros((1, 1, 1), dtype=np.float32)
    for axis, (length, cosine, spacing) in enumerate(zip(geometry.size, toward_head, geometry.spacing, strict=True)):
        if cosine != 0:
            along = np.arange(length, dtype=np.float32) * np.float32(cosine * spacing)
            heights = heights + np.expand_dims(along, tuple({0, 1, 2} - {2 - axis}))
    return heights


def _heights_of(organ: str, label: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """Heights of an organ's voxels, one-dimensional."""
    of_organ: np.ndarray = np.broadcast_to(heights, label.shape)[label == organ_number(organ)]
    return of_organ


def _above_lungs(label: np.ndarray, heights: np.ndarray) -> np.ndarray:
    lungs = _heights_of("lungs", label, heights)
    limit = float(np.quantile(lungs, 1 - STRAY)) if lungs.size > 0 else -np.inf
    above: np.ndarray = heights > limit
    return above


def _below_bladder(label: np.ndarray, heights: np.ndarray) -> np.ndarray:
    limit = np.inf
    lungs, bladder = (_heights_of(organ, label, heights) for organ in ("lungs", "urinary bladder"))
    if lungs.size > 0:
        limit = float(np.quantile(lungs, STRAY))
    if bladder.size > 0:
        limit = float(bladder.max())
    below: np.ndarray = heights <= limit
    return below


_PLACES: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "glands": _above_lungs,
    "prostate": _below_bladder,
}
