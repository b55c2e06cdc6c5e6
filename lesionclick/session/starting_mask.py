"""Starting mask: a reader's earlier mask as a first result, which clicks change only where they reach.

Be B what the networks say with the clicks that had been made when the session was given the mask, and A what they say
with the present ones, each as a mask after its floor and gate. The result is the reader's mask but for two things:

1. Where A is not B, and the probability moved by `LEAST_CHANGE` or more, the result is A: the clicks changed what the
   networks say there, which is at most in those tiles that have new clicks or lost some. By a smaller step the networks
   waver at their lesions' rims wherever a new click is in sight.
2. Where the result still is not A, the connected part (18 neighbors) of these voxels that holds a new click of A's
   opinion becomes A, up to `REACH_MM` from the click along each axis: at a tumor click the lesion that the reader's
   mask lacks, at a background click that which it has too much.

So a voxel outside of these tiles and further than that from every new click keeps the reader's answer; without new
clicks every voxel does, and so again when they are undone. Obedience to clicks comes on top where it is asked for.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from lesionclick.case.clicks import Click
from lesionclick.case.lesions import label_lesions
from lesionclick.errors import CaseError

LEAST_CHANGE = 0.25
"""Of the probability, where clicks are said to have changed the networks' answer."""

REACH_MM = 100.0
"""How far from a new click a part becomes what the networks say, mm."""


@dataclass(eq=False)
class Start:
    """A starting mask, and what the networks said when it was given.

    Attributes:
        mask_zyx: boolean on the case's grid.
        clicks: those that had been made by then; what they say is in the mask already.
        logit_zyx: what the networks say with these clicks, as in `Prediction`; None until it is computed.
    """

    mask_zyx: np.ndarray
    clicks: tuple[Click, ...]
    logit_zyx: np.ndarray | None = None

    @classmethod
    def of(cls, mask_zyx: np.ndarray, clicks: Iterable[Click], shape: tuple[int, ...]) -> "Start":
        """A start from a mask of 0 and 1; CaseError where it has not the shape of the case's images."""
        if mask_zyx.shape != shape:
            raise CaseError(f"the mask to start from has the shape {mask_zyx.shape}, expected {shape}")
        return cls(mask_zyx != 0, tuple(clicks))


def change_by_clicks(
    start: Start,
    networks_before: np.ndarray,
    networks_now: np.ndarray,
    logit_zyx: np.ndarray,
    clicks: Iterable[Click],
    spacing_zyx: Sequence[float],
) -> np.ndarray:
    """The starting mask as clicks have changed it.

    Args:
        start: the mask.
        networks_before: boolean (z, y, x), B above.
        networks_now: boolean, A above.
        logit_zyx: what A is made of, as in `Prediction`.
        clicks: the present ones.
        spacing_zyx: of the grid, mm.

    Returns:
        Boolean (z, y, x).
    """
    if start.logit_zyx is None:
        raise ValueError("the networks have not been asked yet what they said with the clicks of the starting mask")
    mask = start.mask_zyx.copy()
    at = np.nonzero(networks_before != networks_now)
    moved = np.abs(expit(logit_zyx[at].astype(np.float64)) - expit(start.logit_zyx[at].astype(np.float64)))
    changed = tuple(axis[moved >= LEAST_CHANGE] for axis in at)
    mask[changed] = networks_now[changed]
    disputed = mask != networks_now
    reach = [int(REACH_MM // step) for step in spacing_zyx]
    for click in set(clicks) - set(start.clicks):
        place = (click.z, click.y, click.x)
        if disputed[place] and bool(networks_now[place]) == (click.label == "tumor"):
            box = tuple(slice(max(0, at - margin), at + margin + 1) for at, margin in zip(place, reach, strict=True))
            labels, _ = label_lesions(disputed[box])
            part = labels == labels[tuple(at - side.start for at, side in zip(place, box, strict=True))]
            mask[box][part] = networks_now[box][part]
    return mask
