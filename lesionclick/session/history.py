"""History of clicks: what a reader has marked, with undo and redo."""

from collections.abc import Iterable

from lesionclick.case.clicks import Click


class ClickHistory:
    """The clicks of an open case; every change can be undone, and redone until the next change.

    history = ClickHistory()
    history.add(Click(24, 22, 30, "tumor"))
    history.undo()
    """

    def __init__(self, clicks: Iterable[Click] = ()) -> None:
        """Starts with some clicks and nothing to undo."""
        self._states = [tuple(clicks)]
        self._place = 0

    @property
    def clicks(self) -> tuple[Click, ...]:
        """All clicks that count now, in the order in which they were made."""
        return self._states[self._place]

    def add(self, *clicks: Click) -> None:
        """Marks further voxels, such as those of a scribble, in one change."""
        self.replace((*self.clicks, *clicks))

    def remove(self, click: Click) -> None:
        """Takes a click back, whenever it was made.

        Raises:
            ValueError: there is no such click.
        """
        if click not in self.clicks:
            raise ValueError(f"{click} is none of the {len(self.clicks)} clicks")
        self.replace(each for each in self.clicks if each != click)

    def replace(self, clicks: Iterable[Click]) -> None:
        """Puts other clicks in the place of all there are."""
        del self._states[self._place + 1 :]
        self._states.append(tuple(clicks))
        self._place += 1

    def undo(self) -> bool:
        """Goes back one change; False where there is none."""
        if self._place == 0:
            return False
        self._place -= 1
        return True

    def redo(self) -> bool:
        """Makes a change again that was undone; False where there is none."""
        if self._place + 1 == len(self._states):
            return False
        self._place += 1
        return True
