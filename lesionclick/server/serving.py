"""Serving: applications on their ports until somebody ends the program."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from lesionclick.files import describe_error
from lesionclick.server.problems import ServerError

END_SECONDS = 2
"""How long answers under way, such as streams of events, may go on once the program is asked to end."""


@dataclass(frozen=True)
class Listener:
    """A port that is taken.

    Attributes:
        socket: listens already.
        url: under which it is reached from this computer, or from others where it has an address for them.
    """

    socket: socket.socket
    url: str


def listen(host: str, port: int) -> Listener:
    """Takes a port; 0 for any that is free.

    Raises:
        ServerError: it is taken, or there is no such address.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        taken = socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise ServerError(f"{host}:{port}: cannot be listened on: {describe_error(error)}") from error
    name = f"[{host}]" if ":" in host else host
    return Listener(taken, f"http://{name}:{taken.getsockname()[1]}")


def serve(
    applications: Sequence[tuple[ASGIApp, Listener]],
    on_start: Callable[[], None] | None = None,
    on_end: Callable[[], None] | None = None,
) -> None:
    """Answers requests until the program is asked to end (Ctrl+C, SIGTERM).

    Args:
        applications: each with its port.
        on_start: called once all of them answer.
        on_end: called when the program is asked to end, in the handler of the signal; answers that would go on for ever
            are to end then.
    """
    servers = [_Server(_config(app)) for app, _ in applications]
    signals: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        signals.append(number)
        for server in servers:
            server.handle_exit(number, frame)
        if on_end is not None:
            on_end()

    with _handled_by(end):
        asyncio.run(_serve(servers, [listener for _, listener in applications], on_start))
    for number in signals[-1:]:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(number)  # for whoever handles it beside the servers


def _config(app: ASGIApp) -> uvicorn.Config:
    """No access log: addresses can hold the key."""
    return uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=END_SECONDS, server_header=False
    )


async def _serve(
    servers: "Sequence[_Server]", listeners: Sequence[Listener], on_start: Callable[[], None] | None
) -> None:
    tasks = [
        asyncio.create_task(server.serve([listener.socket]))
        for server, listener in zip(servers, listeners, strict=True)
    ]
    while not all(server.started for server in servers) and not any(task.done() for task in tasks):
        await asyncio.sleep(0.02)
    if on_start is not None and all(server.started for server in servers):
        on_start()
    await asyncio.gather(*tasks)


@contextlib.contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Gives the signals that end a program to a handler, and to the former one again when the block ends."""
    former = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, before in former.items():
            signal.signal(number, before)


class _Server(uvicorn.Server):
    """One of several servers that end together: each by itself would raise the signal again while others still end."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals to `serve`."""
        yield
