"""Evaluation protocol: what is asked of an ensemble in each case."""

import zlib
from dataclasses import dataclass

import numpy as np

from lesionclick.case.clicks import Click
from lesionclick.case.dataset import OFFICIAL_BUDGET, Truth
from lesionclick.inference.settings import InferenceSettings
from lesionclick.simulation.corrections import Interaction, correct
from lesionclick.simulation.scribbles import Scribble


@dataclass(frozen=True)
class Protocol:
    """What is asked of the ensemble in each case.

    Attributes:
        steps: numbers of clicks a label or, with corrections, rounds; ascending. Round 0 has no clicks.
        interaction: where clicks come from.
        scribble: how scribbles run, for that interaction.
        inference: how networks look at a case.
        seed: of simulated clicks and random walks; the challenge's is 42.
    """

    steps: tuple[int, ...]
    interaction: Interaction = Interaction.official
    scribble: Scribble = Scribble.centerline
    inference: InferenceSettings = InferenceSettings()
    seed: int = 42

    @property
    def step_name(self) -> str:
        """What a step counts, a key of `summary.STEP_NAMES`."""
        return "clicks" if self.interaction == Interaction.official else "round"

    @property
    def budget(self) -> int:
        """The most clicks a label to simulate where a case has no official ones."""
        return max(OFFICIAL_BUDGET, *self.steps)

    def clicks(self, step: int, truth: Truth, before: tuple[Click, ...], mask: np.ndarray | None) -> tuple[Click, ...]:
        """All clicks to predict a step with.

        Args:
            step: one of `steps`.
            truth: the case.
            before: the clicks of the step before.
            mask: what came of them; None at the first step.
        """
        if self.interaction == Interaction.official:
            return first_clicks(truth.case.clicks, step)
        if mask is None:
            return ()
        scribble = self.scribble if self.interaction == Interaction.scribbles else None
        generator = np.random.default_rng([self.seed, step, zlib.crc32(truth.case.name.encode())])
        return tuple(dict.fromkeys((*before, *correct(mask, truth.lesion_zyx, scribble, generator))))


def first_clicks(clicks: tuple[Click, ...], count: int) -> tuple[Click, ...]:
    """The first `count` tumor clicks and the first `count` background clicks."""
    tumor = [click for click in clicks if click.label == "tumor"]
    background = [click for click in clicks if click.label == "background"]
    return (*tumor[:count], *background[:count])
