"""Serving: applications on their ports until somebody ends the program."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence
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


def serve(applications: Sequence[tuple[ASGIApp, Listener]], on_start: Callable[[], None] | None = None) -> None:
    """Answers requests until the program is asked to end (Ctrl+C, SIGTERM).

    Args:
        applications: each with its port.
        on_start: called once all of them answer.
    """
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(applications, on_start))


async def _serve(applications: Sequence[tuple[ASGIApp, Listener]], on_start: Callable[[], None] | None) -> None:
    servers: list[_Server] = []
    for app, _ in applications:
        # no access log: addresses can hold the key
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, timeout_graceful_shutdown=END_SECONDS, server_header=False
        )
        servers.append(_Server(config, servers))
    tasks = [
        asyncio.create_task(server.serve([listener.socket]))
        for server, (_, listener) in zip(servers, applications, strict=True)
    ]
    while not all(server.started for server in servers) and not any(task.done() for task in tasks):
        await asyncio.sleep(0.02)
    if on_start is not None:
        on_start()
    await asyncio.gather(*tasks)


class _Server(uvicorn.Server):
    """One of several servers that end together, whichever of them a signal reaches."""

    def __init__(self, config: uvicorn.Config, all_servers: "Sequence[_Server]") -> None:
        super().__init__(config)
        self._all_servers = all_servers

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        for server in self._all_servers:
            uvicorn.Server.handle_exit(server, sig, frame)
