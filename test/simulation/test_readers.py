import numpy as np
import pytest
from helpers_case import SHAPE, make_labelled_case, make_lesions

from lesionclick.case.clicks import Click
from lesionclick.simulation.interaction import Interaction, Scribble
from lesionclick.simulation.readers import (
    CorrectiveReader,
    OfficialReader,
    Reader,
    ScribbleReader,
    Situation,
    first_clicks,
    make_reader,
)

CLICKS = (
    *(Click(index, 0, 0, "tumor") for index in range(4)),
    *(Click(index, 1, 0, "background") for index in range(2)),
)


def ask(
    reader: Reader, step: int, clicks: tuple[Click, ...] = (), mask: np.ndarray | None = None, seed: int = 0
) -> tuple[Click, ...]:
    return reader.next_clicks(
        Situation(make_labelled_case(clicks=CLICKS), step, clicks, mask, np.random.default_rng(seed))
    )


def test_first_clicks_are_so_many_of_each_label() -> None:
    assert first_clicks(CLICKS, 0) == ()
    assert first_clicks(CLICKS, 3) == (*CLICKS[:3], *CLICKS[4:])
    assert first_clicks(CLICKS[::-1], 1) == (CLICKS[3], CLICKS[5])


def test_official_reader_goes_by_the_clicks_of_the_case_alone() -> None:
    nothing = np.zeros(SHAPE, dtype=np.uint8)
    assert ask(OfficialReader(), 0) == ()
    assert ask(OfficialReader(), 1, (), nothing) == (CLICKS[0], CLICKS[4])
    assert ask(OfficialReader(), 9, (CLICKS[0], CLICKS[4]), nothing) == CLICKS


@pytest.mark.parametrize("reader", [CorrectiveReader(), *(ScribbleReader(scribble) for scribble in Scribble)])
def test_corrections_are_added_to_the_clicks_so_far(reader: Reader) -> None:
    truth = make_lesions()
    assert ask(reader, 0) == ()
    first = ask(reader, 1, (), np.zeros_like(truth))
    assert {click.label for click in first} == {"tumor"}
    assert all(truth[click.z, click.y, click.x] for click in first)
    assert (len(first) == 1) == (reader == CorrectiveReader())
    second = ask(reader, 2, first, np.ones_like(truth))
    assert second[: len(first)] == first
    assert {click.label for click in second[len(first) :]} == {"background"}
    assert ask(reader, 3, second, truth) == second  # nothing to correct
    third = ask(reader, 3, second, np.ones_like(truth), seed=1)
    assert len(set(third)) == len(third)


def test_random_choices_come_from_the_generator() -> None:
    reader = ScribbleReader(Scribble.random_walk)
    nothing = np.zeros(SHAPE, dtype=np.uint8)
    assert ask(reader, 1, (), nothing, seed=1) == ask(reader, 1, (), nothing, seed=1)
    assert ask(reader, 1, (), nothing, seed=1) != ask(reader, 1, (), nothing, seed=2)


def test_there_is_a_reader_for_each_interaction() -> None:
    for interaction in Interaction:
        assert make_reader(interaction).interaction == interaction
    assert make_reader(Interaction.scribbles, Scribble.border) == ScribbleReader(Scribble.border)
