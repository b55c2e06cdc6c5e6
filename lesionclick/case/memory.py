"""Memory that there is: of the machine or of the container, whichever has less left."""

import contextlib
import os
import re
from pathlib import Path

from lesionclick.errors import CaseError

_CGROUPS = (  # limit, in use, and statistics of version 2 and of version 1
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current"), Path("/sys/fs/cgroup/memory.stat")),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.stat"),
    ),
)


def total_memory() -> int:
    """Bytes of memory that this process may use at the most: the machine's, or its container's."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for limit, _, _ in _CGROUPS:
        with contextlib.suppress(OSError, ValueError):  # no such file, or "max": no limit
            limits.append(int(limit.read_text()))
    return min(limits)


def available_memory() -> int:
    """Bytes that this process can still take: of the machine's memory and within the limit of its container.

    What only caches files counts as free. Where the system does not tell, the number is so large that it bounds
    nothing.
    """
    free = [1 << 62]
    with contextlib.suppress(OSError, ValueError):
        free.append(_number(Path("/proc/meminfo"), r"MemAvailable:\s+(\d+) kB") << 10)
    for limit, used, statistics in _CGROUPS:
        with contextlib.suppress(OSError, ValueError):  # no such file, or "max": no limit
            bound, taken = int(limit.read_text()), int(used.read_text())
            free.append(bound - max(0, taken - _number(statistics, r"(?m)^(?:total_)?inactive_file (\d+)$")))
    return max(0, min(free))


def _number(path: Path, pattern: str) -> int:
    found = re.search(pattern, path.read_text())
    if not found:
        raise ValueError(f"{path} has no {pattern}")
    return int(found[1])


def require_memory(path: Path, needed: int) -> None:
    """Raises CaseError where what is to be made of a file takes more bytes of memory than there are."""
    available = available_memory()
    if needed > available:
        raise CaseError(
            f"{path}: takes {needed / 2**30:.1f} GB of memory to read, but {available / 2**30:.1f} GB are free"
        )
