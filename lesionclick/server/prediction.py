"""Prediction of a mask for the server, given up as soon as its clicks are no longer those that count."""

from collections.abc import Callable, Sequence

import numpy as np

from lesionclick.case.clicks import Click
from lesionclick.session.prediction import Prediction
from lesionclick.session.session import Session


class SupersededError(Exception):
    """The clicks have changed meanwhile: nobody wants this prediction any more."""


def predict_mask(
    session: Session,
    clicks: Sequence[Click],
    *,
    is_superseded: Callable[[], bool],
    on_mask: Callable[[np.ndarray], None],
    on_progress: Callable[[int, int], None],
) -> np.ndarray:
    """The mask of these clicks, as a fresh run would give it: uint8 (z, y, x), 0 and 1.

    Args:
        session: of the case; sums of tiles that are finished stay in its cache, also where this is given up.
        clicks: all that count.
        is_superseded: asked between passes, whether to give up.
        on_mask: called with the mask so far after each network.
        on_progress: called with the passes made, and how many there are.

    Raises:
        SupersededError: it was given up.
    """
    made = 0

    def update(prediction: Prediction) -> None:
        nonlocal made
        made += 1
        if is_superseded():
            raise SupersededError
        on_progress(made, 0)
        on_mask(prediction.mask)

    if is_superseded():
        raise SupersededError
    return session.predict(clicks, on_update=update).mask
