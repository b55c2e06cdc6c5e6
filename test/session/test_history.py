import pytest

from lesionclick import Click
from lesionclick.session.history import ClickHistory

FIRST, SECOND, THIRD = (Click(place, 2, 3, "tumor") for place in range(3))


def test_changes_are_undone_and_redone_in_turn() -> None:
    history = ClickHistory([FIRST])
    history.add(SECOND, THIRD)
    history.remove(FIRST)
    assert list(history.clicks) == [SECOND, THIRD]
    assert history.undo()
    assert list(history.clicks) == [FIRST, SECOND, THIRD]
    assert history.undo()
    assert list(history.clicks) == [FIRST]
    assert not history.undo()
    assert history.redo()
    assert history.redo()
    assert not history.redo()
    assert list(history.clicks) == [SECOND, THIRD]


def test_a_new_change_takes_the_place_of_what_was_undone() -> None:
    history = ClickHistory()
    history.add(FIRST)
    history.undo()
    history.add(SECOND)
    assert not history.redo()
    assert list(history.clicks) == [SECOND]
    history.replace([])
    assert not history.clicks


def test_a_click_that_is_not_there_cannot_be_removed() -> None:
    with pytest.raises(ValueError, match="is none of the 1 clicks"):
        ClickHistory([FIRST]).remove(SECOND)
