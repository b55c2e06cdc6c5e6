"""Sessions of the server: opened, found and removed by id; one worker computes them, a bounded number is in memory."""

import hashlib
import logging
import shutil
import threading
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path

from lesionclick.case.case import Case
from lesionclick.errors import CaseError, Superseded
from lesionclick.inference.ensemble import Ensemble
from lesionclick.server.cases import CaseLibrary
from lesionclick.server.handle import SessionHandle
from lesionclick.server.mask_files import MaskFiles
from lesionclick.server.memory import SessionMemory
from lesionclick.server.problems import NoRoomError, ServerError
from lesionclick.server.progress import Progress, Stage
from lesionclick.server.records import SessionRecord
from lesionclick.server.room import require_room
from lesionclick.server.settings import ModelIdentity, ServerSettings
from lesionclick.server.store import Store
from lesionclick.server.worker import Worker
from lesionclick.session.saving import SavedSession, write_session
from lesionclick.session.session import Session
from lesionclick.session.starting_mask import Start

logger = logging.getLogger(__name__)

DONE = Progress(Stage.done, "the mask is up to date")


class Sessions:
    """All sessions of a server; any thread may call it.

    handle = sessions.open(case_id)
    """

    def __init__(
        self,
        store: Store,
        cases: CaseLibrary,
        ensemble: Ensemble,
        model: ModelIdentity,
        settings: ServerSettings,
    ) -> None:
        """Sessions of which none is computed before `start`.

        Args:
            store: keeps them.
            cases: that can be opened.
            ensemble: the networks.
            model: what they are, so that masks of another model are not taken for theirs.
            settings: the server's.
        """
        self._store = store
        self._cases = cases
        self._ensemble = ensemble
        self._settings = settings
        self._made_by = f"{model.fingerprint} {ensemble.engine} {settings.inference}"
        self._masks = MaskFiles(settings.sessions)
        self._handles: dict[str, SessionHandle] = {}
        self._starting_masks: weakref.WeakKeyDictionary[Session, str | None] = weakref.WeakKeyDictionary()
        self._lock = threading.RLock()  # what is in the store has a handle, and what is not has none
        self._memory = SessionMemory(settings.max_sessions, self._close)
        self._worker = Worker(self._compute)

    def start(self) -> None:
        """Starts to compute, at first what was open when the server before this one ended."""
        self._masks.drop_all_but(self._store.starting_masks())
        offered = {record.session_id for record in self._cases.records()}
        for place, session_id in enumerate(self._store.open_sessions()):
            if session_id in offered and place < self._settings.max_sessions:
                self._worker.request(self.get(session_id))
            else:
                self._store.set_open(session_id, False)
        self._worker.start()

    def stop(self, timeout: float | None = None) -> None:
        """Gives up what is computed; sessions stay open in the store, so that the next server goes on with them."""
        self._worker.stop(timeout)

    def open(self, case_id: str) -> SessionHandle:
        """The session of a case, new where it had none; its mask is computed from now on.

        Raises:
            UnknownError: there is no such case.
        """
        with self._lock:
            self._cases.record(case_id)
            handle = self.get(self._store.open_session(case_id).id)
        if not self._is_done(handle):
            handle.retry()
            self._worker.request(handle)
        return handle

    def get(self, session_id: str) -> SessionHandle:
        """A session by its id.

        Raises:
            UnknownError: there is none, or its case is not on offer.
        """
        with self._lock:
            handle = self._handles.get(session_id)
            if handle is None:
                record = self._store.session(session_id)
                self._cases.record(record.case_id)
                geometry = partial(self._cases.geometry, record.case_id)
                handle = SessionHandle(record, self._store, self._masks, geometry, self._worker.request)
                self._handles[session_id] = handle
            return handle

    def remove(self, session_id: str) -> None:
        """Forgets a session with its clicks and masks.

        Raises:
            UnknownError: there is none.
        """
        with self._lock:
            handle = self.get(session_id)
            self._store.remove_session(session_id)
            del self._handles[session_id]
        handle.mark_removed()
        self._memory.drop(session_id)
        self._masks.remove(session_id)

    def remove_case(self, case_id: str) -> None:
        """Removes an upload with its files and its session.

        Raises:
            UnknownError: there is no such case.
            ServerError: the case was not uploaded.
        """
        with self._lock:
            record = self._cases.record(case_id)
            if record.source is not None:
                raise ServerError(
                    "this case was not uploaded: its files stay, and its session can be removed by itself"
                )
            if record.session_id is not None:
                self.remove(record.session_id)
            self._cases.remove_upload(case_id)

    def save(self, handle: SessionHandle, folder: Path) -> None:
        """Writes a session into a folder for `Session.restore`, images included, without what tiles gave."""
        case, record = self.case(handle), handle.record
        states, place = self._store.history(handle.id)
        start = record.starting_mask
        mask_zyx = None if start is None else self._masks.read_start(handle.id, start, case.geometry) > 0
        saved = SavedSession(
            case=case,
            settings=self._settings.inference,
            states=states,
            place=place,
            start=None if mask_zyx is None else Start(mask_zyx, ()),
            maker=self._ensemble.identity,
            tile_sums=[],
        )
        write_session(saved, folder, with_images=True)

    def case(self, handle: SessionHandle) -> Case:
        """The images of a session; see `CaseLibrary.read`."""
        return self._cases.read(handle.case_id)

    def case_name(self, handle: SessionHandle) -> str:
        """What the case of a session is called."""
        return self._cases.record(handle.case_id).name

    def _compute(self, handle: SessionHandle, is_superseded: Callable[[], bool]) -> None:
        record = handle.record
        if self._is_done(handle):  # somebody has asked while it was computed
            handle.report(DONE, record.revision)
            return
        session = self._memory.get(handle.id) or self._open(handle)
        self._take_starting_mask(session, record)
        text = "computing the mask" if record.clicks else "computing the automatic mask"

        def report(done: int, total: int) -> None:
            handle.report(Progress(Stage.computing, f"{text}: {done} of {total} passes", done, total))

        handle.report(Progress(Stage.computing, text))
        prediction = session.predict(
            [each.click for each in record.clicks],
            is_superseded=is_superseded,
            on_update=lambda so_far: handle.show(so_far.mask, record.revision, final=False),
            on_progress=report,
        )
        handle.show(prediction.mask, record.revision, final=True, progress=DONE)
        self._keep_mask(handle, record.revision, session.case)

    def _is_done(self, handle: SessionHandle) -> bool:
        """Whether a session is in memory, with the final mask of its clicks."""
        mask = handle.mask
        is_current = mask is not None and mask.final and mask.revision == handle.record.revision
        return is_current and handle.id in self._memory

    def _take_starting_mask(self, session: Session, record: SessionRecord) -> None:
        if self._starting_masks.get(session) != record.starting_mask:
            name, geometry = record.starting_mask, session.case.geometry
            session.start_from(None if name is None else self._masks.read_start(record.id, name, geometry))
            self._starting_masks[session] = name

    def _open(self, handle: SessionHandle) -> Session:
        """Opens a session in memory, and shows the mask that it had when it was closed."""
        handle.report(Progress(Stage.opening, "reading the images"))
        case = self._cases.read(handle.case_id)
        record = handle.record
        if (
            handle.mask is None
            and record.mask_revision is not None
            and record.mask_maker == self._maker(handle.case_id)
        ):
            mask_zyx = self._masks.read(handle.id, record.mask_revision, case.geometry)
            if mask_zyx is not None:
                handle.show(mask_zyx, record.mask_revision, final=True)
        handle.report(Progress(Stage.opening, "preparing the images"))
        self._memory.make_room()
        session = self._restore(handle.id, case) or Session(
            self._ensemble, case, self._settings.inference, tile_cache_bytes=self._settings.tile_cache_bytes
        )
        self._memory.put(handle.id, session)
        self._store.set_open(handle.id, True)
        if handle.is_removed:  # meanwhile
            self._memory.drop(handle.id)
            raise Superseded
        return session

    def _close(self, session_id: str, session: Session) -> None:
        """Closes a session that has to make room; what its tiles gave goes to the disk, if there is room for it."""
        if session_id not in self._handles:  # removed meanwhile
            return
        logger.info("session %s is closed to make room", session_id)
        self._store.set_open(session_id, False)
        try:
            require_room(self._settings.data, self._settings.tile_cache_bytes)
            session.save(self._saved(session_id), with_images=False)
        except (CaseError, NoRoomError) as error:
            logger.warning("what session %s has computed is not kept: %s", session_id, error)
            shutil.rmtree(self._saved(session_id), ignore_errors=True)

    def _restore(self, session_id: str, case: Case) -> Session | None:
        """A session as it was closed; None where it was not, or is to be computed in another way now."""
        folder, size = self._saved(session_id), self._settings.tile_cache_bytes
        if not folder.exists():
            return None
        try:
            session = Session.restore(folder, self._ensemble, case, tile_cache_bytes=size)
        except CaseError as error:
            logger.warning("session %s is computed anew: %s", session_id, error)
            return None
        if session.settings != self._settings.inference:
            return None
        session.start_from(None)  # clicks and starting mask are those of the store
        return session

    def _saved(self, session_id: str) -> Path:
        return self._settings.sessions / session_id / "saved"

    def _keep_mask(self, handle: SessionHandle, revision: int, case: Case) -> None:
        mask = handle.mask
        if mask is None or mask.revision != revision:
            return
        self._masks.write(handle.id, revision, mask.mask_zyx, case.geometry)
        self._store.set_mask(handle.id, revision, self._maker(handle.case_id))
        self._masks.drop_others(handle.id, revision)
        if handle.is_removed:  # meanwhile
            self._masks.remove(handle.id)

    def _maker(self, case_id: str) -> str:
        """What makes a mask of these clicks in this case, in one digest."""
        return hashlib.sha256(f"{self._made_by} {self._cases.record(case_id).digest}".encode()).hexdigest()
