"""Streams of events that are open, so that they end when the server does rather than being cut off."""

from collections.abc import Callable


class Streams:
    """The open streams of a server.

    Attributes:
        ended: whether no stream is to go on.
    """

    def __init__(self) -> None:
        self.ended = False
        self._open: set[Callable[[], None]] = set()

    def add(self, tell: Callable[[], None]) -> Callable[[], None]:
        """Calls `tell` when the streams are to end, in a signal's handler, until what is returned is called."""
        self._open.add(tell)
        return lambda: self._open.discard(tell)

    def end(self) -> None:
        """Ends all streams."""
        self.ended = True
        for tell in tuple(self._open):
            tell()
