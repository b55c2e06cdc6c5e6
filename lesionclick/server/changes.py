"""Changes of a session's clicks, replayed from the rows that the store keeps of them."""

from collections.abc import Iterable

from lesionclick.case.clicks import Click

MAX_UNDO = 1000
"""Changes before the present state, and behind it, that are replayed: each has a list of all of its clicks."""


def replay(rows: Iterable[tuple[int, int, int, Click]], place: int, last: int) -> tuple[list[tuple[Click, ...]], int]:
    """The clicks after each change.

    Args:
        rows: number of the change, id of the click, whether the change adds it (else it removes it), and the click; in
            the order of the changes.
        place: number of the change after which nothing counts now.
        last: number of the last change, which may have been undone.

    Returns:
        The states around the present one, up to `MAX_UNDO` on either side, and which of them is the present one.
    """
    changes: list[list[tuple[int, int, Click]]] = [[] for _ in range(last + 1)]
    for number, click_id, adds, click in rows:
        changes[number].append((click_id, adds, click))
    first, end = max(0, place - MAX_UNDO), place + MAX_UNDO + 1
    there: dict[int, Click] = {}
    states = []
    for number, change in enumerate(changes[:end]):
        for click_id, adds, click in change:
            if adds:
                there[click_id] = click
            else:
                del there[click_id]
        if number >= first:
            states.append(tuple(there[click_id] for click_id in sorted(there)))
    return states, place - first
