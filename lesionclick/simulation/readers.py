"""Simulated readers: each says which clicks a case is predicted with next.

A reader keeps nothing between two steps; all that it goes by, random choices included, is in a `Situation`.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from lesionclick.case.clicks import Click
from lesionclick.case.dataset import LabelledCase
from lesionclick.simulation.corrections import correct
from lesionclick.simulation.interaction import Interaction, Scribble

StepName = Literal["clicks", "round"]
"""What a reader's steps count: clicks of each label, or rounds of corrections."""


@dataclass(frozen=True, eq=False)
class Situation:
    """What a reader knows before a step.

    Attributes:
        labelled_case: the case with its truth.
        step: its number, 0 or more.
        clicks: all that the step before was predicted with.
        mask_zyx: 0 and 1, what came of them; None before the first step.
        generator: what random choices come from.
    """

    labelled_case: LabelledCase
    step: int
    clicks: tuple[Click, ...]
    mask_zyx: np.ndarray | None
    generator: np.random.Generator


@dataclass(frozen=True)
class Reader(ABC):
    """A simulated reader.

    Attributes:
        interaction: where its clicks come from.
        step_name: what its steps count.
    """

    interaction: ClassVar[Interaction]
    step_name: ClassVar[StepName]

    @abstractmethod
    def next_clicks(self, situation: Situation) -> tuple[Click, ...]:
        """All clicks to predict the step with, those of the steps before included."""


@dataclass(frozen=True)
class OfficialReader(Reader):
    """Goes by the case's own clicks: at step k the first k of each label."""

    interaction = Interaction.official
    step_name = "clicks"

    def next_clicks(self, situation: Situation) -> tuple[Click, ...]:
        """See `Reader.next_clicks`."""
        return first_clicks(situation.labelled_case.case.clicks, situation.step)


@dataclass(frozen=True)
class CorrectiveReader(Reader):
    """Clicks once in the largest error of each mask; the first step has no clicks."""

    interaction = Interaction.corrective_clicks
    step_name = "round"

    def next_clicks(self, situation: Situation) -> tuple[Click, ...]:
        """See `Reader.next_clicks`."""
        return _add_correction(situation, None)


@dataclass(frozen=True)
class ScribbleReader(Reader):
    """Scribbles in the largest error of each mask; the first step has no clicks.

    Attributes:
        scribble: how the lines run.
    """

    scribble: Scribble = Scribble.centerline
    interaction = Interaction.scribbles
    step_name = "round"

    def next_clicks(self, situation: Situation) -> tuple[Click, ...]:
        """See `Reader.next_clicks`."""
        return _add_correction(situation, self.scribble)


def make_reader(interaction: Interaction, scribble: Scribble = Scribble.centerline) -> Reader:
    """The reader for an interaction; `scribble` says how lines run where it scribbles."""
    readers: dict[Interaction, Reader] = {
        Interaction.official: OfficialReader(),
        Interaction.corrective_clicks: CorrectiveReader(),
        Interaction.scribbles: ScribbleReader(scribble),
    }
    return readers[interaction]


def first_clicks(clicks: tuple[Click, ...], count: int) -> tuple[Click, ...]:
    """The first `count` tumor clicks and the first `count` background clicks."""
    tumor = [click for click in clicks if click.label == "tumor"]
    background = [click for click in clicks if click.label == "background"]
    return (*tumor[:count], *background[:count])


def _add_correction(situation: Situation, scribble: Scribble | None) -> tuple[Click, ...]:
    """The clicks so far and those of one more correction, each once; none before there is a mask to correct."""
    if situation.mask_zyx is None:
        return ()
    truth_zyx = situation.labelled_case.lesion_zyx
    correction = correct(situation.mask_zyx, truth_zyx, scribble, situation.generator)
    return tuple(dict.fromkeys((*situation.clicks, *correction)))
