"""Spreading of work over the machines of a Ray cluster, where no death of a worker or a machine costs any of it.

Ray starts processes, finds room for them and tells when one has died. What this adds is that a worker has one item at a
time and is never waited for by an item that another one could do: an item whose worker has died goes to whoever is free
next, while Ray looks for a place for a new worker. Ray is imported when it is used.
"""

import contextlib
import logging
import pickle
import socket
from collections import Counter, deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import lesionclick
from lesionclick.cluster.connection import Share, connected
from lesionclick.errors import ClusterError, LesionClickError
from lesionclick.files import describe_error

logger = logging.getLogger(__name__)

MAX_DEATHS = 3
"""Workers that an item may cost; a third one that dies of it shows that the item is the cause."""

MAX_FAILED_STARTS = 3
"""Workers that may die in a row before they are ready, until it is given up."""

LOOK_SECONDS = 5.0
"""How often it is looked whether the cluster has grown."""

Item_contra = TypeVar("Item_contra", contravariant=True)
Result_co = TypeVar("Result_co", covariant=True)
Item = TypeVar("Item")
Result = TypeVar("Result")


class Worker(Protocol[Item_contra, Result_co]):
    """What does the work, in a process of its own on some machine; it is made there, from what can be pickled."""

    def prepare(self) -> None:
        """Gets ready, once; raises a LesionClickError where this machine cannot do the work."""

    def run(self, item: Item_contra) -> Result_co:
        """Does one item; what it raises is a `Lost` for whoever asked."""


@dataclass(frozen=True)
class Lost:
    """An item without a result.

    Attributes:
        reason: why, in a sentence.
    """

    reason: str


def spread(
    make_worker: Callable[[], Worker[Item, Result]], items: Sequence[Item], share: Share
) -> Generator[tuple[Item, Result | Lost]]:
    """Does items on a cluster, in any order.

    Args:
        make_worker: makes a worker; pickled, as items and results are.
        items: what to do.
        share: where.

    Yields:
        Each item once, with what its worker gave, as soon as it is there.

    Raises:
        ClusterError: the cluster cannot be used, has no room for a worker, or none of its workers is of use.
    """
    with connected(share.address):
        pool: _Pool[Item, Result] = _Pool(pickle.dumps(make_worker), share)
        try:
            yield from pool.do(items)
        finally:
            pool.end()


class _Host:
    """What of a worker lies in a process of the cluster; the version is compared before anything else is unpickled."""

    def prepare(self, version: str, pickled: bytes) -> tuple[str, str | None]:
        """Makes the worker ready; gives the machine's name, and why it cannot be used, or None."""
        host = socket.gethostname()
        if lesionclick.__version__ != version:
            return host, f"has lesionclick {lesionclick.__version__}, expected {version} as where the work was started"
        try:
            self._worker: Worker[Any, Any] = pickle.loads(pickled)()
            self._worker.prepare()
        except LesionClickError as error:
            return host, f"cannot be used: {error}"
        return host, None

    def run(self, item: Any) -> Any:
        """Does an item."""
        return self._worker.run(item)


class _Pool(Generic[Item, Result]):
    """Workers of a cluster: starting, idle, at work with one item, or refused and held, so that none follows."""

    def __init__(self, pickled: bytes, share: Share) -> None:
        import ray

        self._ray: Any = ray  # whose types do not know what a class becomes by ray.remote
        self._pickled = pickled
        self._share = share
        nodes = self._nodes()
        has_gpus = any(node.get("GPU", 0) >= 1 for node in nodes)
        self._gpus = share.gpus if share.gpus is not None else float(has_gpus)
        self._cpus = share.cpus or _cores(nodes, self._gpus)
        self._actors = self._ray.remote(_Host).options(num_cpus=self._cpus, num_gpus=self._gpus, max_restarts=0)
        self._starting: dict[Any, Any] = {}
        self._idle: list[Any] = []
        self._working: dict[Any, tuple[Any, int]] = {}  # with the place of its item
        self._refused: list[Any] = []
        self._refusal = ""
        self._failed_starts = 0
        self._hosts: dict[Any, str] = {}
        if not self._room():
            raise ClusterError(
                f"no machine of the cluster has {self._cpus} cores and {self._gpus:g} GPUs for a worker, expected fewer"
            )

    def do(self, items: Sequence[Item]) -> Generator[tuple[Item, Result | Lost]]:
        """See `spread`."""
        waiting = deque(range(len(items)))
        deaths: Counter[int] = Counter()
        logger.info("cluster: room for %d workers of %d cores and %g GPUs", self._room(), self._cpus, self._gpus)
        while waiting or self._working:
            while waiting and self._idle:
                actor, place = self._idle.pop(), waiting.popleft()
                self._working[actor.run.remote(items[place])] = (actor, place)
            self._start(len(waiting))
            for done in self._ray.wait([*self._starting, *self._working], num_returns=1, timeout=LOOK_SECONDS)[0]:
                if done in self._starting:
                    self._greet(done)
                    continue
                actor, place = self._working.pop(done)
                try:
                    result = self._ray.get(done)
                except self._ray.exceptions.RayTaskError as error:
                    self._idle.append(actor)
                    yield items[place], Lost(f"its worker failed: {_describe(error)}")
                except self._ray.exceptions.RayError as error:
                    self._ray.kill(actor)  # it may live on where this process cannot reach it
                    deaths[place] += 1
                    host = self._hosts.pop(actor, "?")
                    logger.warning("a worker on %s is lost: %s", host, _describe(error))
                    if deaths[place] < MAX_DEATHS:
                        waiting.append(place)
                    else:
                        yield items[place], Lost(f"{MAX_DEATHS} workers died of it, the last one on {host}")
                else:
                    self._idle.append(actor)
                    yield items[place], result

    def end(self) -> None:
        """Ends all workers at once."""
        busy = [actor for actor, _ in self._working.values()]
        for actor in (*self._starting.values(), *self._idle, *busy, *self._refused):
            with contextlib.suppress(Exception):  # such as a cluster that is gone
                self._ray.kill(actor)

    def _nodes(self) -> list[Mapping[str, float]]:
        return [node["Resources"] for node in self._ray.nodes() if node["Alive"]]

    def _room(self) -> int:
        """How many workers there is room for on all machines, others' work apart."""
        if self._share.workers is not None:
            return self._share.workers
        rooms = []
        for node in self._nodes():
            of_each = [node.get("CPU", 0) // self._cpus]
            if self._gpus:
                of_each.append(node.get("GPU", 0) // self._gpus)
            rooms.append(int(min(of_each)))
        return sum(rooms)

    def _start(self, wanted: int) -> None:
        """Starts workers as far as there is room and something for them to do; Ray finds their places."""
        present = len(self._starting) + len(self._idle) + len(self._working) + len(self._refused)
        for _ in range(min(wanted - len(self._starting), self._room() - present)):
            actor = self._actors.remote()
            self._starting[actor.prepare.remote(lesionclick.__version__, self._pickled)] = actor
        if not (self._starting or self._idle or self._working) and self._refused:
            raise ClusterError(self._refusal)

    def _greet(self, ready: Any) -> None:
        """Takes in a worker that is ready, or refuses it."""
        actor = self._starting.pop(ready)
        try:
            host, refusal = self._ray.get(ready)
        except self._ray.exceptions.RayError as error:
            with contextlib.suppress(Exception):
                self._ray.kill(actor)
            self._failed_starts += 1
            logger.warning("a worker did not start: %s", _describe(error))
            if self._failed_starts >= MAX_FAILED_STARTS:
                raise ClusterError(f"workers do not start: {_describe(error)}") from error
            return
        self._failed_starts = 0
        if refusal is not None:
            self._refusal = f"the worker on {host} {refusal}"
            self._refused.append(actor)
            logger.error("%s", self._refusal)
        else:
            self._hosts[actor] = host
            self._idle.append(actor)
            logger.info("cluster: a worker on %s is ready", host)


def _cores(nodes: Sequence[Mapping[str, float]], gpus: float) -> int:
    """Cores of a worker: as many as the smallest machine has, or of those with GPUs a GPU's part."""
    if gpus:
        parts = [node.get("CPU", 1) / node["GPU"] * gpus for node in nodes if node.get("GPU", 0) >= gpus]
    else:
        parts = [node["CPU"] for node in nodes if node.get("CPU", 0) >= 1]
    return max(1, int(min(parts, default=1)))


def _describe(error: Any) -> str:
    """What Ray says of a death, in a line, or the error itself that a worker raised."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, Exception):
        return f"{type(cause).__name__}: {describe_error(cause)}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[-1] if "Traceback" in str(error) else lines[0]
