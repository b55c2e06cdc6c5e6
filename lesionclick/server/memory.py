"""Sessions in memory: a bounded number of them, of which the least recently used is closed for another one."""

import threading
from collections import OrderedDict
from collections.abc import Callable

from lesionclick.session.session import Session


class SessionMemory:
    """Opened sessions by id."""

    def __init__(self, max_sessions: int, on_close: Callable[[str, Session], None]) -> None:
        """An empty memory.

        Args:
            max_sessions: how many it holds.
            on_close: called with each session that has to go, before another one comes.
        """
        self._max_sessions = max_sessions
        self._on_close = on_close
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._lock = threading.Lock()

    def __contains__(self, session_id: str) -> bool:
        return session_id in self._sessions

    def get(self, session_id: str) -> Session | None:
        """A session, which thereby is the most recently used one; None where it is not in memory."""
        with self._lock:
            session = self._sessions.get(session_id)
            if session is not None:
                self._sessions.move_to_end(session_id)
            return session

    def make_room(self) -> None:
        """Closes sessions until there is room for one more."""
        while True:
            with self._lock:
                if len(self._sessions) < self._max_sessions:
                    return
                session_id, session = self._sessions.popitem(last=False)
            self._on_close(session_id, session)
            del session

    def put(self, session_id: str, session: Session) -> None:
        """Adds a session, for which `make_room` has made room."""
        with self._lock:
            self._sessions[session_id] = session

    def drop(self, session_id: str) -> None:
        """Forgets a session, if it is there."""
        with self._lock:
            self._sessions.pop(session_id, None)
