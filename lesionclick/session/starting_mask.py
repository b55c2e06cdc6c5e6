"""Starting mask: a reader's earlier mask as a first result, which clicks change only where they reach.

Be B what the networks say with the clicks that had been made when the session was given the mask, and A what they say
with the present ones, each as a mask after its floor and gate. The result is the reader's mask but for two things:

1. Where A is not B, and the probability moved by `LEAST_CHANGE` or more, the result is A: the clicks changed what the
   networks say there. By a smaller step the networks waver at their lesions' rims wherever a new click is in sight.
2. Where the result still is not A, each connected part (18 neighbors) of these voxels that holds a new click of A's
   opinion becomes A: at a tumor click the lesion that the reader's mask lacks, at a background click that which it has
   too much.

So a voxel keeps the reader's answer where no tile stands whose clicks have changed, without new clicks everywhere, and
when the new clicks are undone everywhere again. Obedience to clicks comes on top of it where it is asked for.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from lesionclick.case.clicks import Click
from lesionclick.case.lesions import label_lesions
from lesionclick.errors import CaseError

LEAST_CHANGE = 0.25
"""Of the probability, where clicks are said to have changed the networks' answer."""


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
    start: Start, networks_before: np.ndarray, networks_now: np.ndarray, logit_zyx: np.ndarray, clicks: Iterable[Click]
) -> np.ndarray:
    """The starting mask as clicks have changed it.

    Args:
        start: the mask.
        networks_before: boolean (z, y, x), B above.
        networks_now: boolean, A above.
        logit_zyx: what A is made of, as in `Prediction`.
        clicks: the present ones.

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
    places = [(click.z, click.y, click.x) for click in set(clicks) - set(start.clicks) if _agrees(click, networks_now)]
    places = [place for place in places if disputed[place]]
    if places:
        labels, _ = label_lesions(disputed)
        decided = np.isin(labels, [labels[place] for place in places])
        mask[decided] = networks_now[decided]
    return mask


def _agrees(click: Click, networks: np.ndarray) -> bool:
    return bool(networks[click.z, click.y, click.x]) == (click.label == "tumor")
