"""Locks between processes that fill one folder of results."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def locked(path: Path, *, wait: bool) -> Iterator[bool]:
    """Holds the lock of a file, which is made where it is missing, for as long as a block runs.

    The system frees the lock when this process ends, in whatever way. It is a record lock, which processes that nnU-Net
    starts do not inherit, so that none of them keeps it longer.

    Args:
        path: the file; it stays.
        wait: whether to wait for another process that holds the lock.

    Yields:
        Whether this process holds it: False only where another one does and `wait` is False.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
