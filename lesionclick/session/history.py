"""History of clicks: what a reader has marked, with undo and redo."""

import threading
from collections.abc import Iterable, Sequence

from lesionclick.case.clicks import Click
from lesionclick.case.geometry import Geometry
from lesionclick.errors import CaseError


def require_inside(clicks: Iterable[Click], geometry: Geometry) -> None:
    """Raises CaseError where a click is no voxel of a case's grid."""
    for click in clicks:
        for axis, at, size in zip("xyz", (click.x, click.y, click.z), geometry.size, strict=True):
            if not 0 <= at < size:
                raise CaseError(f"the click has {axis} = {at}, outside the image (0 to {size - 1})")


class ClickHistory:
    """The clicks of an open case; every change can be undone, and redone until the next change.

    history = ClickHistory()
    history.add(Click(24, 22, 30, "tumor"))
    history.undo()

    Any number of threads may use it.

    Attributes:
        revision: how often the clicks have changed since it was made; undoing and redoing count, too.
    """

    def __init__(self, clicks: Iterable[Click] = ()) -> None:
        """Starts with some clicks and nothing to undo."""
        self._states = [tuple(clicks)]
        self._place = 0
        self._lock = threading.RLock()
        self.revision = 0

    @classmethod
    def from_states(cls, states: Sequence[Iterable[Click]], place: int) -> "ClickHistory":
        """A history that `states` and `place` of another one describe; ValueError where there is no such place."""
        if not 0 <= place < len(states):
            raise ValueError(f"place {place} among {len(states)} states")
        history = cls()
        history._states, history._place = [tuple(each) for each in states], place
        return history

    @property
    def states(self) -> tuple[tuple[Click, ...], ...]:
        """The clicks before and after each change, those that were undone last."""
        return tuple(self._states)

    @property
    def place(self) -> int:
        """Which of the states counts now."""
        return self._place

    @property
    def clicks(self) -> tuple[Click, ...]:
        """All clicks that count now, in the order in which they were made."""
        with self._lock:
            return self._states[self._place]

    @property
    def can_undo(self) -> bool:
        """Whether there is a change to go back."""
        return self._place > 0

    @property
    def can_redo(self) -> bool:
        """Whether there is a change that was undone."""
        with self._lock:
            return self._place + 1 < len(self._states)

    def add(self, *clicks: Click) -> None:
        """Marks further voxels, such as those of a scribble, in one change."""
        with self._lock:
            self.replace((*self.clicks, *clicks))

    def remove(self, click: Click) -> None:
        """Takes a click back, whenever it was made.

        Raises:
            ValueError: there is no such click.
        """
        with self._lock:
            if click not in self.clicks:
                raise ValueError(f"{click} is none of the {len(self.clicks)} clicks")
            self.replace(each for each in self.clicks if each != click)

    def replace(self, clicks: Iterable[Click]) -> None:
        """Puts other clicks in the place of all there are."""
        clicks = tuple(clicks)
        with self._lock:
            del self._states[self._place + 1 :]
            self._states.append(clicks)
            self._go_to(self._place + 1)

    def undo(self) -> bool:
        """Goes back one change; False where there is none."""
        with self._lock:
            return self.can_undo and self._go_to(self._place - 1)

    def redo(self) -> bool:
        """Makes a change again that was undone; False where there is none."""
        with self._lock:
            return self.can_redo and self._go_to(self._place + 1)

    def snapshot(self) -> tuple[tuple[tuple[Click, ...], ...], int]:
        """`states` and `place` at one moment."""
        with self._lock:
            return self.states, self.place

    def _go_to(self, place: int) -> bool:
        self._place = place
        self.revision += 1
        return True
