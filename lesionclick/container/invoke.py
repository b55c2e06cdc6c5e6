"""Invoke: a process that stays awake and answers over HTTP, as Grand Challenge asks for by the API method `invoke`.

    GET /health     200 once cases can be taken, 503 before
    POST /invoke    processes what lies in the input folder: 201, or an error's status

Answers are JSON, errors {"detail": "one sentence"}, which is also what stderr says: 422 where the case, or the place
of its mask, is not as it has to be, 409 while another case is at work, 500 otherwise. After any of them the next case
works.

Requests are answered in threads, so that health is told during a case, too. Cases are processed in the main thread, one
at a time, as in a process that does nothing else.
"""

import json
import logging
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NoReturn

from lesionclick import log
from lesionclick.container.one_case import CaseTask, process_case
from lesionclick.errors import CaseError, LesionClickError
from lesionclick.files import describe_error
from lesionclick.inference.ensemble import Ensemble

logger = logging.getLogger(__name__)

HOST = "0.0.0.0"  # the container's addresses, whichever they are

BODY_BYTES = 1 << 16  # of a request, more than is ever sent; read so that the answer gets through

REQUEST_SECONDS = 30.0  # within which a request has to be read

Answer = tuple[HTTPStatus, dict[str, str]]


@dataclass
class _Call:
    """A case that somebody waits for."""

    answer: Answer | None = None
    answered: threading.Event = field(default_factory=threading.Event)


class CaseDesk:
    """Takes a case at a time from any thread, to be processed in that which works here.

    Attributes:
        is_open: whether cases are taken; at first they are not.
    """

    def __init__(self) -> None:
        """Takes nothing yet."""
        self.is_open = False
        self._calls: queue.SimpleQueue[_Call] = queue.SimpleQueue()
        self._busy = threading.Lock()

    def ask(self) -> Answer:
        """What became of a case that is to be processed now; answers at once where another one is at work."""
        if not self.is_open:
            return HTTPStatus.SERVICE_UNAVAILABLE, {"detail": "the model is still being read, ask again"}
        if not self._busy.acquire(blocking=False):
            return HTTPStatus.CONFLICT, {"detail": "another case is being processed, ask again once it is done"}
        try:
            call = _Call()
            self._calls.put(call)
            call.answered.wait()
            assert call.answer is not None
            return call.answer
        finally:
            self._busy.release()

    def work(self, process: Callable[[], Path]) -> NoReturn:
        """Processes cases as they are asked for, and never ends."""
        self.is_open = True
        while True:
            call = self._calls.get()
            call.answer = answer_of(process)
            call.answered.set()


def answer_of(process: Callable[[], Path]) -> Answer:
    """Processes a case and says what became of it, on stdout the mask's path, on stderr what went wrong."""
    try:
        mask = process()
    except LesionClickError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        status = HTTPStatus.UNPROCESSABLE_ENTITY if isinstance(error, CaseError) else HTTPStatus.INTERNAL_SERVER_ERROR
        return status, {"detail": str(error)}
    except Exception as error:
        traceback.print_exc()
        sentence = f"unexpected error: {type(error).__name__}: {describe_error(error)}"
        return HTTPStatus.INTERNAL_SERVER_ERROR, {"detail": sentence}
    print(mask, flush=True)
    return HTTPStatus.CREATED, {"mask": str(mask)}


class InvokeServer(ThreadingHTTPServer):
    """Answers requests in a thread each."""

    daemon_threads = True

    def __init__(self, desk: CaseDesk, host: str, port: int) -> None:
        """Listens, and answers nothing before `serve_forever` is called.

        Raises:
            LesionClickError: there is no such address, or it is taken.
        """
        self.desk = desk
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise LesionClickError(f"{host}:{port}: cannot be listened at: {describe_error(error)}") from error


class _Handler(BaseHTTPRequestHandler):
    server: InvokeServer
    timeout = REQUEST_SECONDS

    def do_GET(self) -> None:
        if self.path == "/health":
            is_open = self.server.desk.is_open
            status = HTTPStatus.OK if is_open else HTTPStatus.SERVICE_UNAVAILABLE
            self._answer(status, {"status": "ok" if is_open else "reading the model"})
        else:
            self._refuse()

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length") or "0"
        self.rfile.read(min(int(length), BODY_BYTES) if length.isdecimal() else 0)
        if self.path == "/invoke":
            self._answer(*self.server.desk.ask())
        else:
            self._refuse()

    def _refuse(self) -> None:
        status = HTTPStatus.METHOD_NOT_ALLOWED if self.path in ("/health", "/invoke") else HTTPStatus.NOT_FOUND
        self._answer(status, {"detail": f"{self.command} {self.path}: expected GET /health or POST /invoke"})

    def _answer(self, status: HTTPStatus, content: dict[str, str]) -> None:
        body = json.dumps(content).encode()
        with suppress(OSError):  # nobody waits for it any more
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing: what matters of a case is said while it is processed."""


def serve_cases(task: CaseTask, load: Callable[[], Ensemble], port: int, host: str = HOST) -> NoReturn:
    """Processes cases until the process is ended; the networks are read once.

    Args:
        task: what to do with each case.
        load: gives the networks, to be kept.
        port: where to listen; 0 for any, which the log names.
        host: likewise.

    Raises:
        ModelError, DeviceError: see `Ensemble.load`.
        LesionClickError: it cannot be listened there.
    """
    desk = CaseDesk()
    server = InvokeServer(desk, host, port)
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
    logger.info("listening on port %d", server.server_port)
    ensemble = load()
    ensemble.keep_all_ready()

    def process() -> Path:
        started = time.monotonic()
        with log.stage("case"):
            return process_case(task, lambda: ensemble, started)

    desk.work(process)
