"""Handle of a session, which lives as long as the server: clicks, progress and the mask so far, for all who ask.

Any thread may call it. A change of the clicks is in the store when the call returns, and then the worker is told; what
the worker finds it shows here, and whoever listens is told. Locks are taken in this order: the handle's, the store's;
the worker is told without any of them.
"""

import threading
import time
from collections.abc import Callable, Sequence

import numpy as np

from lesionclick.case.clicks import Click
from lesionclick.case.geometry import Geometry
from lesionclick.server.mask_files import MaskFiles
from lesionclick.server.names import new_id
from lesionclick.server.problems import ServerError, UnknownError
from lesionclick.server.progress import MaskSoFar, Progress, Stage, pack_mask
from lesionclick.server.records import SessionRecord, require_few
from lesionclick.server.store import Store
from lesionclick.session.history import require_inside

PROGRESS_SECONDS = 0.2
"""Between two messages that only say how far a computation is."""

WAITING = Progress(Stage.waiting, "waiting to be computed")


class SessionHandle:
    """A session of the server.

    handle = sessions.open(case_id)                  # begins with the mask of the clicks that there are, at first none
    handle.add_clicks([Click(24, 22, 30, "tumor")])  # a scribble is one change of many clicks
    mask = handle.wait_for_mask(timeout=60)          # None where it takes longer

    Attributes:
        id: of the session.
        case_id: of its case.
    """

    def __init__(
        self,
        record: SessionRecord,
        store: Store,
        masks: MaskFiles,
        geometry: Callable[[], Geometry],
        on_change: Callable[["SessionHandle"], None],
    ) -> None:
        """A handle of a session in the store.

        Args:
            record: the session as it is.
            store: keeps it.
            masks: keep its masks.
            geometry: gives the case's grid, which may mean to read the case.
            on_change: called after each change of the clicks.
        """
        self.id = record.id
        self.case_id = record.case_id
        self._record = record
        self._store = store
        self._masks = masks
        self._geometry = geometry
        self._on_change = on_change
        self._changed = threading.Condition()
        self._listeners: list[Callable[[], None]] = []
        self._progress = Progress(Stage.waiting, "waiting to be opened")
        self._mask: MaskSoFar | None = None
        self._removed = False
        self._last_message = 0.0

    # what there is

    @property
    def record(self) -> SessionRecord:
        """The session as it is now: clicks, revision, what can be undone."""
        return self._record

    @property
    def clicks(self) -> tuple[Click, ...]:
        """The clicks that count now."""
        return tuple(each.click for each in self._record.clicks)

    @property
    def geometry(self) -> Geometry:
        """The case's grid, which clicks and mask have; waits where the case has not been read yet.

        Raises:
            CaseError: the case cannot be read.
        """
        return self._geometry()

    @property
    def progress(self) -> Progress:
        """How far the mask is."""
        return self._progress

    @property
    def mask(self) -> MaskSoFar | None:
        """The mask so far; None where there is none."""
        return self._mask

    @property
    def is_removed(self) -> bool:
        """Whether the session was forgotten."""
        return self._removed

    def snapshot(self) -> tuple[SessionRecord, Progress, MaskSoFar | None]:
        """All of that as it was at one moment."""
        with self._changed:
            return self._record, self._progress, self._mask

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Calls `listener`, which must be quick, whenever something changes, until what is returned is called."""
        with self._changed:
            self._listeners.append(listener)

        def stop() -> None:
            with self._changed:
                self._listeners.remove(listener)

        return stop

    # changes

    def add_clicks(self, clicks: Sequence[Click]) -> None:
        """Adds clicks in one change.

        Raises:
            CaseError: a click is outside of the image.
            ServerError: there are too many.
            UnknownError: the session was removed.
        """
        require_inside(clicks, self.geometry)

        def add() -> SessionRecord:
            require_few((*self._record.clicks, *clicks))
            return self._store.add_clicks(self.id, clicks)

        self._change(add)

    def add_click(self, click: Click) -> None:
        """Adds a click; see `add_clicks`."""
        self.add_clicks([click])

    def remove_click(self, click_id: int) -> None:
        """Takes a click back, whenever it was made.

        Raises:
            UnknownError: there is no such click, or the session was removed.
        """
        self._change(lambda: self._store.remove_clicks(self.id, [click_id]))

    def clear(self) -> bool:
        """Takes all clicks back, in one change; False where there are none."""
        return self._change(lambda: self._store.remove_clicks(self.id, [each.id for each in self._record.clicks]))

    def start_from(self, mask_zyx: np.ndarray | None) -> bool:
        """Takes all clicks back and begins from an earlier mask, which clicks change only where they reach.

        That is one change; see `Session.start_from` for what it means.

        Args:
            mask_zyx: uint8 on the case's grid, 0 and 1; None for no such mask.

        Returns:
            False where there was neither a mask nor a click, and None is given.

        Raises:
            CaseError: the mask cannot be written.
            UnknownError: the session was removed.
        """
        name = None
        if mask_zyx is not None:
            name = new_id()
            self._masks.write_start(self.id, name, mask_zyx, self.geometry)
        return self._change(lambda: self._store.start_from(self.id, name))

    def undo(self) -> bool:
        """Goes back one change; False where there is none."""
        return self._change(lambda: self._store.undo(self.id))

    def redo(self) -> bool:
        """Makes a change again that was undone; False where there is none."""
        return self._change(lambda: self._store.redo(self.id))

    def _change(self, change: Callable[[], SessionRecord]) -> bool:
        """Makes a change; whether there was something to change."""
        with self._changed:
            self._require_there()
            before, self._record = self._record.revision, change()
            if self._record.revision == before:
                return False
            if self._progress.stage in (Stage.done, Stage.failed):
                self._progress = WAITING
            self._tell()
        self._on_change(self)
        return True

    # waiting

    def wait_for_mask(self, timeout: float, revision: int | None = None) -> MaskSoFar | None:
        """Waits for the final mask of the clicks that count when it comes.

        Args:
            timeout: seconds.
            revision: the least revision of clicks that will do; None for the present one.

        Returns:
            The mask, possibly of later clicks; None where it takes longer.

        Raises:
            ServerError: the computation failed, or the session was removed.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            wanted = self._record.revision if revision is None else revision
            while True:
                self._require_there()
                if self._mask is not None and self._mask.final and self._mask.revision >= wanted:
                    return self._mask
                if self._progress.error is not None:
                    raise ServerError(self._progress.error)
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                self._changed.wait(left)

    # for the worker and for `Sessions`

    def report(self, progress: Progress, revision: int | None = None) -> None:
        """Says how far the mask is; listeners are told at once of another stage, and else now and then.

        Where it is about a revision of the clicks, and they have changed since, nothing is said.
        """
        with self._changed:
            if revision is not None and revision != self._record.revision:
                return
            is_new = progress.stage != self._progress.stage
            self._progress = progress
            if is_new or time.monotonic() - self._last_message >= PROGRESS_SECONDS:
                self._tell()

    def show(self, mask_zyx: np.ndarray, revision: int, *, final: bool, progress: Progress | None = None) -> None:
        """Makes an array of 0 and 1 the mask so far.

        A final mask stays where what comes is of the same clicks and either the same or not final, as when a session
        comes back into memory. Progress is taken over where the clicks are still those.
        """
        packed = pack_mask(mask_zyx)
        with self._changed:
            mask = self._mask
            if progress is not None and self._record.revision == revision:
                self._progress = progress
            known = mask is not None and mask.final and mask.revision == revision
            if mask is None or not known or (final and mask.packed != packed):
                # milliseconds, so that versions of a server that was started anew are larger
                version = max(int(time.time() * 1000), 0 if mask is None else mask.version + 1)
                self._mask = MaskSoFar(version, revision, final, mask_zyx.shape, packed)
            self._tell()

    def retry(self) -> None:
        """Says that what failed is going to be tried again."""
        self._wait_again(Stage.failed)

    def take_back_progress(self) -> None:
        """Says that the session waits, where it was being computed and is not any more."""
        self._wait_again(Stage.opening, Stage.computing)

    def _wait_again(self, *stages: Stage) -> None:
        with self._changed:
            if self._progress.stage in stages:
                self._progress = WAITING
                self._tell()

    def mark_removed(self) -> None:
        """Says that the session was forgotten."""
        with self._changed:
            self._removed = True
            self._tell()

    def _require_there(self) -> None:
        if self._removed:
            raise UnknownError("the session was removed")

    def _tell(self) -> None:
        self._last_message = time.monotonic()
        self._changed.notify_all()
        for listener in self._listeners:
            listener()
