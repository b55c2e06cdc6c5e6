"""Log lines and progress on stderr: a line a stage with its seconds, and signs of life while something takes long."""

import contextlib
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tqdm import tqdm

STARTED = time.monotonic()
"""When the package was first imported."""

SIGN_OF_LIFE_SECONDS = 10.0
"""How often unfinished work says how far it is where stderr is no terminal."""

logger = logging.getLogger("lesionclick")

_nesting = threading.local()  # stages and progress under way in each thread, the innermost last: that one alone speaks


def to_stderr() -> None:
    """Sends the package's log lines, from level INFO, to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)


@contextlib.contextmanager
def stage(name: str) -> Iterator[None]:
    """Logs how long the block took, if it ends well, and meanwhile that it is still at work."""
    start = time.monotonic()
    with _signs_of_life(lambda: f"{name} goes on, {time.monotonic() - start:.0f} s so far"):
        yield
    logger.info("%s: %.1f s", name, time.monotonic() - start)


class Progress:
    """How much of some work is done: a bar where stderr is a terminal, else a line now and then.

    with Progress("network", 122, "tiles") as progress:
        progress.update(4)
    """

    def __init__(self, name: str, total: int, units: str) -> None:
        """Work of which nothing is done.

        Args:
            name: what is done.
            total: how many units it is.
            units: of what, in the plural.
        """
        self.name, self.total, self.units = name, total, units
        self.done = 0
        self._bar: tqdm | None = None
        self._start = time.monotonic()
        self._cleanup = contextlib.ExitStack()

    def __enter__(self) -> "Progress":
        self._start = time.monotonic()
        if sys.stderr.isatty():
            from tqdm import tqdm
            from tqdm.contrib.logging import logging_redirect_tqdm

            self._bar = self._cleanup.enter_context(
                tqdm(total=self.total, desc=self.name, unit=f" {self.units}", leave=False)
            )
            self._cleanup.enter_context(logging_redirect_tqdm([logger]))
            self._cleanup.enter_context(_signs_of_life(None))
        else:
            self._cleanup.enter_context(_signs_of_life(self.describe))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def describe(self) -> str:
        """How far it is, in words."""
        seconds = time.monotonic() - self._start
        return f"{self.name}: {self.done} of {self.total} {self.units}, {seconds:.0f} s so far"

    def update(self, count: int = 1) -> None:
        """Says that more units are done."""
        self.done += count
        if self._bar is not None:
            self._bar.update(count)

    def set_total(self, total: int) -> None:
        """Says that it is more or less work than thought."""
        self.total = total
        if self._bar is not None:
            self._bar.total = total
            self._bar.refresh()


@contextlib.contextmanager
def _signs_of_life(describe: Callable[[], str] | None) -> Iterator[None]:
    """Logs what `describe` gives every few seconds while the block, and no block inside it, is at work.

    With None nothing is logged, by the blocks around it neither.
    """
    blocks: list[object] = _nesting.__dict__.setdefault("blocks", [])
    block, ended = object(), threading.Event()

    def speak(describe: Callable[[], str]) -> None:
        while not ended.wait(SIGN_OF_LIFE_SECONDS):
            if blocks[-1:] == [block]:
                logger.info(describe())

    blocks.append(block)
    thread = None
    if describe is not None:
        thread = threading.Thread(target=speak, args=(describe,), name="sign-of-life", daemon=True)
        thread.start()
    try:
        yield
    finally:
        ended.set()
        blocks.remove(block)
        if thread is not None:
            thread.join()
