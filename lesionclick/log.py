"""Log lines on stderr: one a stage, with its seconds."""

import contextlib
import logging
import sys
import time
from collections.abc import Iterator

STARTED = time.monotonic()
"""When the package was first imported."""

logger = logging.getLogger("lesionclick")


def to_stderr() -> None:
    """Sends the package's log lines, from level INFO, to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)


@contextlib.contextmanager
def stage(name: str) -> Iterator[None]:
    """Logs how long the block took, if it ends well."""
    start = time.monotonic()
    yield
    logger.info("%s: %.1f s", name, time.monotonic() - start)
