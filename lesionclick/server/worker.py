"""Worker: the one thread that opens sessions and computes masks, in the order in which they were asked for.

A computation whose clicks have changed meanwhile is given up after the pass under way; its session then waits behind
those that were there before. Only this thread opens and closes sessions in memory.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable

from lesionclick.errors import LesionClickError, Superseded
from lesionclick.server.handle import SessionHandle
from lesionclick.server.progress import Progress, Stage

logger = logging.getLogger(__name__)


class Worker:
    """A thread that computes; `stop` ends it."""

    def __init__(self, compute: Callable[[SessionHandle, Callable[[], bool]], None]) -> None:
        """A worker that has not been started.

        Args:
            compute: computes what a session needs, and asks its second argument between passes whether to give up by
                `Superseded`.
        """
        self._compute = compute
        self._waiting: OrderedDict[str, SessionHandle] = OrderedDict()
        self._current: SessionHandle | None = None
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)

    def start(self) -> None:
        """Starts to compute."""
        self._thread.start()

    def stop(self, timeout: float | None = None) -> None:
        """Gives up what is computed and ends the thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def request(self, handle: SessionHandle) -> None:
        """Has a session computed, after those that wait already."""
        with self._changed:
            self._waiting.setdefault(handle.id, handle)
            if self._current is not None and self._current is not handle:
                # said before the worker can take it up, or it would take back what the worker says
                handle.report(Progress(Stage.waiting, "waiting for another case to be computed"))
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._stopped)
                if self._stopped:
                    return
                _, handle = self._waiting.popitem(last=False)
                self._current = handle
            self._compute_one(handle)
            with self._changed:
                self._current = None

    def _compute_one(self, handle: SessionHandle) -> None:
        revision = handle.record.revision

        def is_superseded() -> bool:
            return self._stopped or handle.is_removed or handle.record.revision != revision

        if handle.is_removed:
            return
        try:
            self._compute(handle, is_superseded)
        except Superseded:
            handle.take_back_progress()  # whoever changed the clicks has also asked for the next computation
        except LesionClickError as error:
            logger.warning("session %s: %s", handle.id, error)
            handle.report(Progress(Stage.failed, "this could not be computed", error=str(error)), revision)
        except Exception as error:  # the thread goes on, whatever happens to one session
            logger.exception("session %s", handle.id)
            what = "memory ran out" if isinstance(error, MemoryError) else "an unexpected error, see the server's log"
            about = Progress(Stage.failed, "this could not be computed", error=f"{what}; clicks are kept")
            handle.report(about, revision)
