"""Leases of the nnInteractive protocol: a bounded number of viewers, each with a token that ends in silence."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from lesionclick.server.problems import ServerError

Held = TypeVar("Held")


class NoFreeLeaseError(ServerError):
    """As many viewers as allowed are connected."""

    status = 503


class LeaseGoneError(ServerError):
    """A token that is unknown, was given back or has expired."""

    status = 410


@dataclass(frozen=True)
class LeaseLimits:
    """How many viewers, and for how long.

    Attributes:
        most: viewers at a time.
        idle_seconds: without an action of the reader, after which a lease ends; the viewer then connects anew. The
            protocol's authors give 600.
        silent_seconds: without any request, heartbeats included, after which a lease ends: the viewer was closed or
            has crashed.
    """

    most: int = 3
    idle_seconds: float = 3600.0
    silent_seconds: float = 60.0


@dataclass(eq=False)
class Lease(Generic[Held]):
    """One viewer's.

    Attributes:
        token: 32 hexadecimal digits.
        held: what the server keeps for this viewer.
        lock: held while something is done for this viewer, one request at a time.
    """

    token: str
    held: Held
    acted: float
    heard: float
    at_work: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Leases(Generic[Held]):
    """All leases; leases that have ended are dropped at the next call, so that no thread is needed for it.

    Any number of threads may call; no call waits for what is done for a viewer.
    """

    def __init__(
        self,
        limits: LeaseLimits,
        make_held: Callable[[], Held],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begins without leases.

        Args:
            limits: how many, and for how long.
            make_held: makes what is kept for a viewer.
            clock: seconds.
        """
        self.limits = limits
        self._make_held = make_held
        self._clock = clock
        self._leases: dict[str, Lease[Held]] = {}
        self._guard = threading.Lock()

    def claim(self) -> Lease[Held]:
        """A new lease.

        Raises:
            NoFreeLeaseError: all are taken.
        """
        now = self._clock()
        with self._dropping_ended(now):
            if len(self._leases) >= self.limits.most:
                raise NoFreeLeaseError(
                    f"{self.limits.most} viewers are connected, as many as this server takes: "
                    "disconnect one of them, or try again later"
                )
            lease = Lease(secrets.token_hex(16), self._make_held(), acted=now, heard=now)
            self._leases[lease.token] = lease
            return lease

    def remaining_seconds(self, token: str | None, *, heard: bool = False) -> float:
        """Seconds until a lease ends without an action of the reader.

        Args:
            token: the lease's.
            heard: whether to note that the viewer is there, which a heartbeat does.

        Raises:
            LeaseGoneError: there is no such lease.
        """
        now = self._clock()
        with self._dropping_ended(now):
            lease = self._find(token)
            if heard:
                lease.heard = now
            if lease.at_work:
                return self.limits.idle_seconds
            return lease.acted + self.limits.idle_seconds - now

    @contextmanager
    def at_work(self, token: str | None) -> Iterator[Held]:
        """What is kept for a viewer, while one of the reader's actions is done; others of this viewer wait.

        Raises:
            LeaseGoneError: there is no such lease, or it was given back while this action waited.
        """
        with self._dropping_ended(self._clock()):
            lease = self._find(token)
            lease.at_work += 1
        try:
            with lease.lock:
                with self._guard:
                    self._find(token)
                yield lease.held
        finally:
            with self._guard:
                lease.at_work -= 1
                lease.acted = lease.heard = self._clock()

    def release(self, token: str | None) -> None:
        """Ends a lease; nothing happens where it has ended already."""
        with self._guard:
            self._leases.pop(token or "", None)

    def __len__(self) -> int:
        with self._dropping_ended(self._clock()):
            return len(self._leases)

    def _find(self, token: str | None) -> Lease[Held]:
        if token is None:
            raise LeaseGoneError("the request names no lease: connect first")
        try:
            return self._leases[token]
        except KeyError:
            raise LeaseGoneError("this lease has ended: connect again") from None

    @contextmanager
    def _dropping_ended(self, now: float) -> Iterator[None]:
        with self._guard:
            for lease in list(self._leases.values()):
                idle = now - lease.acted > self.limits.idle_seconds
                silent = now - lease.heard > self.limits.silent_seconds
                if (idle or silent) and not lease.at_work:
                    del self._leases[lease.token]
            yield
