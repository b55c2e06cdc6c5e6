"""State: what the earlier calls with a case computed, in a folder, for its next call with more clicks.

It is a saved session without its images, of the last case alone. Whatever is wrong with it costs no more than time:
it is ignored with a warning, as is a place where it cannot be written.
"""

import logging
import shutil
from pathlib import Path

from lesionclick.case.case import Case
from lesionclick.errors import CaseError
from lesionclick.inference.ensemble import Ensemble
from lesionclick.inference.settings import InferenceSettings, Mirroring
from lesionclick.log import stage
from lesionclick.session.history import ClickHistory
from lesionclick.session.saving import require_same_maker
from lesionclick.session.session import TILE_CACHE_BYTES, Session

logger = logging.getLogger(__name__)

FOLDER_NAME = "lesionclick-state"
"""In the place that is given, in which other programs may keep what is theirs."""

STATE_BYTES = TILE_CACHE_BYTES
"""How much of what tiles gave is kept; the clicks and the rest are small."""


def open_session(
    ensemble: Ensemble, case: Case, settings: InferenceSettings, place: Path | None, *, is_limited: bool
) -> Session:
    """Opens a case as its earlier calls left it, if they left something, and with the case's own clicks.

    What it predicts is, on the CPU bit for bit, what a fresh run gives. So what came of another model or version, with
    other settings or on another kind of device, is not gone on with. Nor is anything that belongs to
    `Mirroring.all` under a time limit, by which passes are made in another order than without one, and so rounded
    differently.

    Args:
        ensemble: the networks.
        case: its images, and all clicks to go by.
        settings: of inference.
        place: folder with the state, see `save_session`; None to keep nothing.
        is_limited: whether it will have to predict within a time limit.
    """
    if place is None or (is_limited and settings.mirroring == Mirroring.all):
        return Session(ensemble, case, settings, tile_cache_bytes=0)
    folder = place / FOLDER_NAME
    if folder.exists():
        try:
            with stage("opening the state"):
                require_same_maker(folder, ensemble.identity, settings)
                session = Session.restore(folder, ensemble, case, tile_cache_bytes=STATE_BYTES)
            session.history = ClickHistory(case.clicks)
            session.start_from(None)
            return session
        except (CaseError, OSError) as error:
            logger.warning("the state of an earlier call is ignored: %s", error)
            shutil.rmtree(folder, ignore_errors=True)  # so that there is room for this one
    return Session(ensemble, case, settings, tile_cache_bytes=STATE_BYTES)


def save_session(session: Session, place: Path) -> None:
    """Keeps what a session computed, in place of what was kept before; where that cannot be done there is a warning.

    Args:
        session: as `open_session` opened it.
        place: folder for the state, made where missing.
    """
    folder = place / FOLDER_NAME
    try:
        with stage("keeping the state"):
            session.save(folder, with_images=False)
    except (CaseError, OSError) as error:
        logger.warning("the state is not kept for the next call: %s", error)
        shutil.rmtree(folder, ignore_errors=True)  # half of it would take room and be of no use
