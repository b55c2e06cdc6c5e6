"""Ending: a process that is told to end does so within seconds, however long its libraries compute without a break.

Python answers a signal only between two of its own steps, and a forward pass of a large patch on the CPU is one step.
The platform kills a container five seconds after SIGTERM.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import NoReturn

from lesionclick.files import remove_temporaries

GRACE_SECONDS = 2.0
"""How long a process has to end by itself, which it does unless a library computes."""

ENDING = (signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def ending_in_time(grace: float = GRACE_SECONDS) -> Iterator[None]:
    """Ends the process by force where it has not ended some seconds after SIGTERM or SIGHUP came during the block.

    Files that are being written are removed first; the exit code is 128 and the signal's number, as it is where the
    process ends by itself. For signals that end the process anyway, see `ending_on_signals`; main thread alone.

    Args:
        grace: seconds.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    former = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)

    def watch() -> None:
        while number := reader.recv(1):
            if number[0] in ENDING and signal.getsignal(number[0]) is not signal.SIG_IGN:
                time.sleep(grace)
                _end(128 + number[0])

    threading.Thread(target=watch, name="ending", daemon=True).start()
    try:
        yield
    except SystemExit as ended:
        if ended.code in [128 + number for number in ENDING]:
            _end(int(ended.code))
        raise
    finally:
        signal.set_wakeup_fd(former)
        writer.close()


def _end(code: int) -> NoReturn:
    """Ends the process without waiting for its threads, or for libraries to take themselves down."""
    remove_temporaries()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
