import dataclasses
from typing import ClassVar

import numpy as np
import pytest
from helpers_case import CLICKS, SHAPE, make_labelled_case

from lesionclick.case.clicks import Click
from lesionclick.evaluation.protocol import EvaluationProtocol
from lesionclick.simulation.official_clicks import simulate_official
from lesionclick.simulation.readers import AutopetvReader, CorrectiveReader, Reader, Situation


def count(clicks: tuple[Click, ...], label: str) -> int:
    return sum(click.label == label for click in clicks)


def test_official_clicks_are_simulated_where_a_case_has_no_file_of_them() -> None:
    protocol = EvaluationProtocol((0, 3))
    bare = make_labelled_case()
    found = protocol.with_clicks(bare)
    assert found.case.clicks == simulate_official(bare.case.pet_zyx, bare.lesion_zyx)
    assert (count(found.case.clicks, "tumor"), protocol.source(found)) == (10, "simulated")
    assert protocol.with_clicks(found).case.clicks == found.case.clicks
    assert dataclasses.replace(protocol, seed=1).with_clicks(bare).case.clicks != found.case.clicks
    more = EvaluationProtocol((0, 12)).with_clicks(bare)
    assert count(more.case.clicks, "tumor") == 12
    assert more.case.clicks[:10] == found.case.clicks[:10]


@pytest.mark.parametrize("clicks", [CLICKS, ()])
def test_the_clicks_of_a_file_stay_as_they_are(clicks: tuple[Click, ...]) -> None:
    protocol = EvaluationProtocol((0, 3))
    given = make_labelled_case(clicks=clicks)
    assert protocol.with_clicks(given) is given
    assert protocol.source(given) == "official"


@pytest.mark.parametrize("reader", [CorrectiveReader(), AutopetvReader()])
def test_corrections_need_no_official_clicks(reader: Reader) -> None:
    protocol = EvaluationProtocol((0, 1), reader)
    bare = make_labelled_case()
    assert protocol.with_clicks(bare) is bare
    assert protocol.source(bare) == reader.interaction
    assert protocol.step_name == reader.step_name


def test_a_reader_makes_the_same_choices_each_time_and_others_for_each_case_step_and_seed() -> None:
    @dataclasses.dataclass(frozen=True)
    class Recorder(AutopetvReader):
        seen: ClassVar[list[tuple[int, int]]] = []

        def next_clicks(self, situation: Situation) -> tuple[Click, ...]:
            generators = situation.generator, situation.case_generator
            self.seen.append((int(generators[0].integers(1 << 62)), int(generators[1].integers(1 << 62))))
            return ()

    protocol = EvaluationProtocol((0, 1, 2), Recorder())
    for asked, name, step in (
        (protocol, "a", 1),
        (protocol, "a", 1),
        (protocol, "a", 2),
        (protocol, "b", 1),
        (dataclasses.replace(protocol, seed=1), "a", 1),
    ):
        asked.next_clicks(make_labelled_case(name), step, (), np.zeros(SHAPE, dtype=np.uint8))
    assert Recorder.seen[0] == Recorder.seen[1]
    of_step, of_case = zip(*Recorder.seen, strict=True)
    assert len(set(of_step)) == 4
    assert of_case[0] == of_case[1] == of_case[2]
    assert len(set(of_case)) == 3
