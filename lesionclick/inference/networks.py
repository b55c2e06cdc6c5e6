"""Networks in memory: a bounded cache that sessions share, and that reads the next one while one computes."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from lesionclick.inference.backend import Network


class NetworkCache:
    """Networks ready to compute, read when first asked for; the least recently used go first.

    Any number of threads may use it. A lock guards the table alone: networks are read in a thread of their own, one at
    a time, so that nobody waits for a network that another one asked for later.

    Attributes:
        capacity: how many are kept.
    """

    def __init__(self, read: Callable[[int], Network], capacity: int) -> None:
        """An empty cache.

        Args:
            read: reads the network of a index in the model folder and makes it ready to compute.
            capacity: how many to keep, at least 1.
        """
        self.capacity = capacity
        self._read = read
        self._reader = ThreadPoolExecutor(1, "network-reader")
        self._lock = threading.Lock()
        self._networks: OrderedDict[int, Future[Network]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._networks)

    def get(self, index: int) -> Network:
        """The network of a index in the model folder.

        Raises:
            ModelError: its file is damaged or has changed.
        """
        future = self._ask_for(index)
        try:
            return future.result()
        except BaseException:
            with self._lock:  # so that the next one to ask tries again
                if self._networks.get(index) is future:
                    del self._networks[index]
            raise

    def prefetch(self, index: int) -> None:
        """Begins to read a network, where two can be kept at a time."""
        if self.capacity > 1:
            self._ask_for(index)

    def _ask_for(self, index: int) -> Future[Network]:
        with self._lock:
            future = self._networks.get(index)
            if future is None:
                future = self._networks[index] = self._reader.submit(self._read, index)
            self._networks.move_to_end(index)
            while len(self._networks) > self.capacity:
                self._networks.popitem(last=False)
            return future

    def keep_only(self, index: int) -> bool:
        """Frees memory: from now on one network is kept at a time, now this one; False where that frees nothing."""
        with self._lock:
            others = [key for key in self._networks if key != index]
            for key in others:
                del self._networks[key]
            self.capacity = 1
            return bool(others)
