"""Simulated readers: each says which clicks a case is predicted with next.

A reader keeps nothing between two steps; all that it goes by, random choices included, is in a `Situation`.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from lesionclick.case.clicks import Click
from lesionclick.case.dataset import LabelledCase
from lesionclick.simulation.corrections import corrective_click, corrective_scribble
from lesionclick.simulation.interaction import Interaction, Scribble
from lesionclick.simulation.replay import PointsFolder

StepName = Literal["clicks", "round", "iteration"]
"""What a reader's steps count: clicks of each label, rounds of corrections, or autoPET V's iterations."""


@dataclass(frozen=True, eq=False)
class Situation:
    """What a reader knows before a step.

    Attributes:
        labelled_case: the case with its truth.
        step: its number, 0 or more.
        clicks: all that the step before was predicted with.
        mask_zyx: 0 and 1, what came of them; None before the first step.
        generator: what random choices come from.
        case_generator: likewise, for what is chosen alike at each step of a case.
    """

    labelled_case: LabelledCase
    step: int
    clicks: tuple[Click, ...]
    mask_zyx: np.ndarray | None
    generator: np.random.Generator
    case_generator: np.random.Generator


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

    def describe(self) -> dict[str, str]:
        """All besides the interaction that its clicks depend on, as it comes back from JSON."""
        return {}


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
        if situation.mask_zyx is None:
            return ()
        return _join(situation.clicks, corrective_click(situation.mask_zyx, situation.labelled_case.lesion_zyx))


@dataclass(frozen=True)
class AutopetvReader(Reader):
    """Scribbles once in an error of each mask, as autoPET V does; the first step has no clicks.

    Which kind of lines it draws is drawn for each case, a third of the cases each.
    """

    interaction = Interaction.autopetv
    step_name = "iteration"

    def next_clicks(self, situation: Situation) -> tuple[Click, ...]:
        """See `Reader.next_clicks`."""
        if situation.mask_zyx is None:
            return ()
        kinds = list(Scribble)
        kind = kinds[situation.case_generator.integers(len(kinds))]
        truth_zyx = situation.labelled_case.lesion_zyx
        scribble = corrective_scribble(situation.mask_zyx, truth_zyx, kind, situation.generator)
        return _join(situation.clicks, scribble)


@dataclass(frozen=True)
class ReplayReader(Reader):
    """Goes by scribbles of clinicians: at step k the first k of the case's; the first step has none.

    Attributes:
        points: their files.
    """

    points: PointsFolder
    interaction = Interaction.replay
    step_name = "iteration"

    def next_clicks(self, situation: Situation) -> tuple[Click, ...]:
        """See `Reader.next_clicks`.

        Raises:
            CaseError: a file is damaged or has points outside of the image, which the first step tells.
        """
        case = situation.labelled_case.case
        scribbles = self.points.read(case.name, case.geometry.shape_zyx)
        return _join(*scribbles[: situation.step])

    def describe(self) -> dict[str, str]:
        """The folder's name and what its files hold."""
        return {"points": self.points.folder.resolve().name, "points_sha256": self.points.sha256}


def make_reader(interaction: Interaction, points: PointsFolder | None = None) -> Reader:
    """The reader for an interaction; a replay needs its points."""
    if interaction == Interaction.replay:
        if points is None:
            raise ValueError("a replay needs points")
        return ReplayReader(points)
    readers: dict[Interaction, Reader] = {
        Interaction.official: OfficialReader(),
        Interaction.corrective_clicks: CorrectiveReader(),
        Interaction.autopetv: AutopetvReader(),
    }
    return readers[interaction]


def first_clicks(clicks: tuple[Click, ...], count: int) -> tuple[Click, ...]:
    """The first `count` tumor clicks and the first `count` background clicks."""
    tumor = [click for click in clicks if click.label == "tumor"]
    background = [click for click in clicks if click.label == "background"]
    return (*tumor[:count], *background[:count])


def _join(*parts: tuple[Click, ...]) -> tuple[Click, ...]:
    """Clicks one after the other, each once."""
    return tuple(dict.fromkeys(click for part in parts for click in part))
