"""Records that the store keeps: cases, and sessions with the clicks that count now."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lesionclick.case.clicks import Click
from lesionclick.server.problems import ServerError

MAX_CLICKS = 20_000
"""Of a session, scribbles included."""


@dataclass(frozen=True)
class CaseRecord:
    """A case that the server knows.

    Attributes:
        id: made by the server, for addresses and names of folders.
        name: for people.
        source: the study's folder or zip where the server was started with it; None for an upload, whose files lie in
            the data folder.
        start_clicks: what a new session of it begins with.
        digest: of its images when they were first read; None before that.
        session_id: of its session; None where it has none.
    """

    id: str
    name: str
    source: Path | None
    start_clicks: tuple[Click, ...]
    digest: str | None
    session_id: str | None


@dataclass(frozen=True)
class StoredClick:
    """A click with the number that it keeps as long as its session is kept."""

    id: int
    click: Click


@dataclass(frozen=True)
class SessionRecord:
    """A session as it is after its last change.

    Attributes:
        id: made by the server.
        case_id: of its case, which has no other session.
        revision: number of changes of the clicks so far, undo and redo among them.
        clicks: those that count now, in the order in which they were made.
        can_undo: whether there is a change to undo.
        can_redo: whether there is one to redo.
        mask_revision: revision of the clicks that the mask on disk shows; None where there is no mask.
        mask_maker: digest of what made that mask, see `MaskFiles`.
        starting_mask: name of the earlier mask that clicks change only where they reach; None for none.
    """

    id: str
    case_id: str
    revision: int
    clicks: tuple[StoredClick, ...]
    can_undo: bool
    can_redo: bool
    mask_revision: int | None
    mask_maker: str | None
    starting_mask: str | None = None


def require_few(clicks: Sequence[object]) -> None:
    """Refuses more clicks than a session may have: its state, which holds them all, is sent at each change.

    Raises:
        ServerError: there are more.
    """
    if len(clicks) > MAX_CLICKS:
        raise ServerError(f"a session has at most {MAX_CLICKS} clicks, not {len(clicks)}")
