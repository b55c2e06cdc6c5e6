from pathlib import Path

import numpy as np
import pytest
from helpers_case import SHAPE, make_labelled_case, make_lesions

from lesionclick.case.clicks import Click, write_clicks
from lesionclick.simulation import readers
from lesionclick.simulation.interaction import Interaction, Scribble
from lesionclick.simulation.readers import (
    AutopetvReader,
    CorrectiveReader,
    OfficialReader,
    Reader,
    ReplayReader,
    Situation,
    first_clicks,
    make_reader,
)
from lesionclick.simulation.replay import PointsFolder

CLICKS = (
    *(Click(index, 0, 0, "tumor") for index in range(4)),
    *(Click(index, 1, 0, "background") for index in range(2)),
)


def ask(
    reader: Reader, step: int, clicks: tuple[Click, ...] = (), mask: np.ndarray | None = None, seed: int = 0
) -> tuple[Click, ...]:
    generators = np.random.default_rng([seed, step]), np.random.default_rng(seed)
    return reader.next_clicks(Situation(make_labelled_case(clicks=CLICKS), step, clicks, mask, *generators))


def test_first_clicks_are_so_many_of_each_label() -> None:
    assert first_clicks(CLICKS, 0) == ()
    assert first_clicks(CLICKS, 3) == (*CLICKS[:3], *CLICKS[4:])
    assert first_clicks(CLICKS[::-1], 1) == (CLICKS[3], CLICKS[5])


def test_official_reader_goes_by_the_clicks_of_the_case_alone() -> None:
    nothing = np.zeros(SHAPE, dtype=np.uint8)
    assert ask(OfficialReader(), 0) == ()
    assert ask(OfficialReader(), 1, (), nothing) == (CLICKS[0], CLICKS[4])
    assert ask(OfficialReader(), 9, (CLICKS[0], CLICKS[4]), nothing) == CLICKS


@pytest.mark.parametrize("reader", [CorrectiveReader(), AutopetvReader()])
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


def test_random_choices_come_from_the_generators() -> None:
    nothing = np.zeros(SHAPE, dtype=np.uint8)
    drawn = [ask(AutopetvReader(), 1, (), nothing, seed) for seed in range(20)]
    assert drawn == [ask(AutopetvReader(), 1, (), nothing, seed) for seed in range(20)]
    assert len(set(drawn)) > 10


def test_a_case_has_one_kind_of_scribbles_and_a_third_of_the_cases_each(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Scribble] = []

    def record(_: np.ndarray, __: np.ndarray, kind: Scribble, ___: np.random.Generator) -> tuple[Click, ...]:
        drawn.append(kind)
        return ()

    monkeypatch.setattr(readers, "corrective_scribble", record)
    nothing = np.zeros(SHAPE, dtype=np.uint8)
    for seed in range(300):
        for step in (1, 2, 3):
            ask(AutopetvReader(), step, (), nothing, seed)
    assert drawn[::3] == drawn[1::3] == drawn[2::3]
    assert all(75 < drawn[::3].count(kind) < 125 for kind in Scribble)


def test_a_replay_shows_one_scribble_more_at_each_step(tmp_path: Path) -> None:
    scribbles = [
        (Click(1, 1, 1, "tumor"), Click(2, 1, 1, "tumor")),
        (Click(5, 5, 4, "tumor"),),
        (Click(3, 3, 3, "background"), Click(3, 4, 3, "background")),
    ]
    write_clicks([click for scribble in scribbles for click in scribble], tmp_path / "a.json")
    reader = ReplayReader(PointsFolder.find(tmp_path, ("a",)))
    for step in range(6):  # the last ones have no new scribble
        expected = tuple(click for scribble in scribbles[:step] for click in scribble)
        assert ask(reader, step, (), np.ones(SHAPE, dtype=np.uint8)) == expected
    assert reader.describe() == {"points": tmp_path.name, "points_sha256": reader.points.sha256}


def test_there_is_a_reader_for_each_interaction(tmp_path: Path) -> None:
    for interaction in set(Interaction) - {Interaction.replay}:
        assert make_reader(interaction).interaction == interaction
    points = PointsFolder(tmp_path, "")
    assert make_reader(Interaction.replay, points) == ReplayReader(points)
    with pytest.raises(ValueError, match="needs points"):
        make_reader(Interaction.replay)
