"""Connection with a Ray cluster, and how much of it to use. Ray is imported when it is used."""

import contextlib
import logging
import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from lesionclick.errors import ClusterError
from lesionclick.files import describe_error

ANSWER_SECONDS = 10.0
"""How long an address is waited for; Ray itself would try for minutes."""

HTTP2_SETTINGS = b"\x04"

HTTP2_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0" + HTTP2_SETTINGS + b"\0\0\0\0\0"
"""Of a client, with an empty frame of settings (RFC 9113, section 3.4), to which a head, like every server of gRPC,
answers with settings of its own. Ray itself would ask anybody else for a quarter of an hour whether he is a head."""

LOCAL, AUTO = "local", "auto"


@dataclass(frozen=True)
class Share:
    """How much of which cluster to work on.

    Attributes:
        address: HOST:PORT of the cluster's head; "auto" for the cluster that this machine is part of; "local" for a
            cluster of this machine alone, which ends with the work.
        workers: how many at most; None for as many as there is room for, also when the cluster grows.
        gpus: of a worker; None for one where the cluster has some.
        cpus: cores of a worker; None for all of a machine's, or a GPU's part of them.
    """

    address: str
    workers: int | None = None
    gpus: float | None = None
    cpus: int | None = None


def require_answer(address: str) -> None:
    """Raises ClusterError where an address is none, or nothing listens there."""
    expected = f"expected {LOCAL}, {AUTO} or the HOST:PORT that `ray start --head` prints"
    if address in (LOCAL, AUTO):
        return
    found = re.fullmatch(r"([^\s/:]+):(\d{1,5})", address)
    if not found:
        raise ClusterError(f"{address!r} is no address of a Ray cluster, {expected}")
    has_tls = "RAY_USE_TLS" in os.environ  # then whoever answers would have to be greeted in another way
    try:
        with socket.create_connection((found[1], int(found[2])), ANSWER_SECONDS) as probe:
            probe.sendall(HTTP2_GREETING)
            answer = b"" if has_tls else probe.recv(9)
    except (OSError, OverflowError, UnicodeError) as error:
        raise ClusterError(f"no Ray cluster answers at {address} ({describe_error(error)}), {expected}") from error
    if answer[3:4] != HTTP2_SETTINGS and not has_tls:
        raise ClusterError(f"what answers at {address} is no Ray cluster, {expected}")


@contextlib.contextmanager
def connected(address: str) -> Iterator[None]:
    """Connects this process with a cluster, see `Share.address`; Ray says little, and reports nothing to its makers.

    Raises:
        ClusterError: there is none, it is of another version, or ray is not installed.
    """
    require_answer(address)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
    except ModuleNotFoundError as error:
        raise ClusterError("Ray is not installed: pip install 'lesionclick[cluster]'") from error
    is_main = threading.current_thread() is threading.main_thread()
    former = signal.getsignal(signal.SIGTERM) if is_main else None
    try:
        dashboard = False if address == LOCAL else None  # None: a cluster that is there keeps its own
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=dashboard)
    except SystemExit as error:  # by which Ray ends a process that does not reach what it takes for a cluster
        raise ClusterError(f"what answers at {address} is no Ray cluster of this version") from error
    except Exception as error:  # Ray raises Exception itself where its processes do not start
        raise ClusterError(f"the Ray cluster {address} cannot be used: {describe_error(error)}") from error
    finally:
        if is_main:
            signal.signal(signal.SIGTERM, former or signal.SIG_DFL)  # Ray takes it over
    try:
        yield
    finally:
        ray.shutdown()
