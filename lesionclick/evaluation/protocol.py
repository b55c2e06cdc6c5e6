"""Protocol of an evaluation: what is asked in each case."""

import dataclasses
import zlib
from dataclasses import dataclass, field

import numpy as np

from lesionclick.case.clicks import Click
from lesionclick.case.dataset import LabelledCase
from lesionclick.simulation.interaction import Interaction
from lesionclick.simulation.official_clicks import OFFICIAL_BUDGET, OFFICIAL_SEED, simulate_official
from lesionclick.simulation.readers import OfficialReader, Reader, Situation, StepName


@dataclass(frozen=True)
class EvaluationProtocol:
    """What is asked in each case.

    Attributes:
        steps: numbers of clicks of each label or, with corrections, rounds or iterations; ascending, at least one.
            Number 0 has no clicks.
        reader: who clicks.
        seed: of simulated official clicks and of the reader's random choices.
    """

    steps: tuple[int, ...]
    reader: Reader = field(default_factory=OfficialReader)
    seed: int = OFFICIAL_SEED

    @property
    def step_name(self) -> StepName:
        """What a step counts, a key of `table.STEP_NAMES`."""
        return self.reader.step_name

    def source(self, labelled_case: LabelledCase) -> str:
        """Where a case's clicks come from: an interaction, or "simulated" for official clicks of a case without any."""
        interaction = self.reader.interaction
        is_simulated = interaction == Interaction.official and not labelled_case.has_click_file
        return "simulated" if is_simulated else interaction.value

    def with_clicks(self, labelled_case: LabelledCase) -> LabelledCase:
        """The case with simulated clicks, where the reader goes by official ones and the case has no file of them.

        They are as many of each label as the last step asks for, but at least the challenge's 10. Any other case comes
        back as it is.
        """
        if self.source(labelled_case) != "simulated":
            return labelled_case
        budget = max(OFFICIAL_BUDGET, *self.steps)
        clicks = simulate_official(labelled_case.case.pet_zyx, labelled_case.lesion_zyx, self.seed, budget)
        return dataclasses.replace(labelled_case, case=dataclasses.replace(labelled_case.case, clicks=clicks))

    def next_clicks(
        self, labelled_case: LabelledCase, step: int, clicks: tuple[Click, ...], mask_zyx: np.ndarray | None
    ) -> tuple[Click, ...]:
        """All clicks to predict a step with; the same ones each time that it is asked.

        Args:
            labelled_case: from `with_clicks`.
            step: one of `steps`.
            clicks: all that the step before was predicted with.
            mask_zyx: what came of them; None at the first step.
        """
        name = zlib.crc32(labelled_case.case.name.encode())
        of_step, of_case = (np.random.default_rng(seed) for seed in ([self.seed, step, name], [self.seed, name]))
        return self.reader.next_clicks(Situation(labelled_case, step, clicks, mask_zyx, of_step, of_case))
