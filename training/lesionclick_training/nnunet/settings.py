"""Settings of a training that nnU-Net has no options for, from the environment and back."""

import dataclasses
import math
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, Self

from lesionclick.errors import LesionClickError
from lesionclick_training.augmentation.choices import Augmentation, ClickCounts
from lesionclick_training.nnunet.environment import environment_of
from lesionclick_training.nnunet.repeated_cases import parse_repetition


class Optimizer(StrEnum):
    """Optimizers, by torch's names."""

    SGD = "SGD"
    AdamW = "AdamW"


@dataclass(frozen=True)
class TrainingSettings:
    """What decides how long and how a network is trained.

    nnU-Net's command line has no options for these, so each travels to the trainer in a variable of the environment,
    which is named after the field: LESIONCLICK_EPOCHS for `epochs`, and so on.

    Attributes:
        epochs: number of epochs.
        iterations: training iterations an epoch.
        val_iterations: validation iterations an epoch.
        initial_lr: learning rate at the start. The default is the published one, for fine-tuning; nnU-Net's own, for
            networks that start from nothing, is 0.01.
        optimizer: the published one is SGD; with AdamW a short training finds lesions sooner.
        oversample_foreground: share of the patches that lie around a lesion. The default is nnU-Net's own; with 1 a
            short training finds lesions sooner.
        organ_weight: weight of the organs' loss, where that of the lesions has 1. The default is the published one; a
            network that starts from nothing finds lesions far sooner with 0.1.
        lesion_heads: a checkpoint to take the lesion heads from, which nnU-Net's option -pretrained_weights leaves
            fresh; `training.train_network` names it for a network of this project.
        seed: of weights, patches, augmentation and clicks. Two trainings are alike, but for rounding, only on the CPU
            and with nnUNet_n_proc_DA=0, since nnU-Net leaves the seeds of its augmentation processes to chance.
        click_offset: voxels an axis by which a drawn click is moved at most. The default is the published one; on grids
            of 4 or 5 mm it is more than most lesions measure.
        click_counts: how many clicks of a label a patch gets.
        click_dropout: share of the patches that show no click, whatever is in them, so that a network does not learn
            that no clicks mean no lesion.
        augmentation: what is done to images in training; strong changes are for networks that few cases, or phantoms
            alone, are to prepare for other scanners.
        balance_components: whether patches that lie around a lesion lie around each lesion of a case alike, whatever
            its size; nnU-Net draws among all voxels of lesions.
        hot_background: share of the patches around lesions that lie around high uptake that is none instead, see
            `hot_background.HotBackground`; where it is not 0, cases without lesions have theirs there, too.
        repeat_cases: cases that are drawn more often, by the beginning of their names and how often they count, such
            as "sts=4", see `repeated_cases.RepeatedCases`; None for all alike.
        lesion_free_loss: weight of the penalty of lesions that are made up in patches without any, see
            `lesion_free_loss.LesionFreeLoss`; 0 for none.
        corrective_clicks: share of the training samples whose clicks are drawn from the network's own errors, see
            `corrective_clicks.with_corrective_clicks`.
        contour_variation: share of the patches with lesions drawn as another reader might have, see
            `vary_contours.VaryContours`, so that clicks on a rim tell a network what the image does not.
        scribbles: share of the patches in which lines take the place of clicks, as in autoPET V.
        teacher: the model folder of an ensemble that the network is to become like, see `teacher.Teacher`.
        teacher_weight: share of the lesions' loss that is against the teacher, where there is one; the rest is against
            the labels.

    Raises:
        LesionClickError: a value is not of its kind; the sentence names its variable.
    """

    epochs: int = 1000
    iterations: int = 250
    val_iterations: int = 50
    initial_lr: float = 1e-3  # arXiv 2508.21680
    optimizer: Optimizer = Optimizer.SGD
    oversample_foreground: float = 0.33
    organ_weight: float = 1.0
    lesion_heads: Path | None = None
    seed: int | None = None
    click_offset: int = 3  # arXiv 2508.21680
    click_counts: ClickCounts = ClickCounts.published
    click_dropout: float = 0.0
    augmentation: Augmentation = Augmentation.published
    balance_components: bool = False
    hot_background: float = 0.0
    repeat_cases: str | None = None
    lesion_free_loss: float = 0.0
    corrective_clicks: float = 0.0
    contour_variation: float = 0.0
    scribbles: float = 0.0
    teacher: Path | None = None
    teacher_weight: float = 0.5

    def __post_init__(self) -> None:
        """Checks every value as `from_environment` does."""
        _parse(self.to_environment())

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """The settings that an environment gives; what it does not name has its default.

        Raises:
            LesionClickError: a variable is not of its kind.
        """
        return cls(**_parse(environment))

    def to_environment(self) -> dict[str, str]:
        """The variables that `from_environment` makes these settings of; a setting that is None has none."""
        values = {variable_of(field.name): getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: str(value) for name, value in values.items() if value is not None}

    def exported(self) -> AbstractContextManager[None]:
        """Puts the settings, and no others, into the environment of this process for as long as a block runs."""
        others = {variable_of(field.name): None for field in dataclasses.fields(self)}
        return environment_of({**others, **self.to_environment()})


def variable_of(field: str) -> str:
    """The variable of the environment that carries a field of `TrainingSettings`."""
    return f"LESIONCLICK_{field.upper()}"


def _parse(environment: Mapping[str, str]) -> dict[str, Any]:
    """The fields that an environment names."""
    variables = {field: variable_of(field) for field in _PARSERS}
    return {field: _PARSERS[field](name, environment[name]) for field, name in variables.items() if name in environment}


def _parse_whole_number(variable: str, text: str, minimum: int) -> int:
    if not text.isdecimal() or int(text) < minimum:
        raise LesionClickError(f"{variable} is {text!r}, expected a whole number of at least {minimum}")
    return int(text)


def _number_of(text: str) -> float:
    """The number that a text stands for; NaN, which no bound holds, where it stands for none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _parse_fraction(variable: str, text: str) -> float:
    fraction = _number_of(text)
    if not 0 < fraction <= 1:
        raise LesionClickError(f"{variable} is {text!r}, expected a number above 0 and at most 1")
    return fraction


def _parse_share(variable: str, text: str) -> float:
    share = _number_of(text)
    if not 0 <= share <= 1:
        raise LesionClickError(f"{variable} is {text!r}, expected a number from 0 to 1")
    return share


def _parse_choice(variable: str, text: str, choices: type[StrEnum]) -> StrEnum:
    if text not in list(choices):
        raise LesionClickError(f"{variable} is {text!r}, expected {' or '.join(choices)}")
    return choices(text)


def _parse_weight(variable: str, text: str) -> float:
    weight = _number_of(text)
    if not 0 <= weight < math.inf:
        raise LesionClickError(f"{variable} is {text!r}, expected a number of at least 0")
    return weight


def _parse_truth(variable: str, text: str) -> bool:
    if text not in ("True", "False"):
        raise LesionClickError(f"{variable} is {text!r}, expected True or False")
    return text == "True"


def _parse_repeated_cases(variable: str, text: str) -> str:
    try:
        parse_repetition(text)
    except ValueError as error:
        raise LesionClickError(
            f"{variable} is {text!r}, expected the beginning of cases' names and a whole number, such as 'sts=4'"
        ) from error
    return text


def _parse_path(variable: str, text: str) -> Path:
    return Path(text)


_PARSERS: Mapping[str, Callable[[str, str], Any]] = {
    "epochs": partial(_parse_whole_number, minimum=1),
    "iterations": partial(_parse_whole_number, minimum=1),
    "val_iterations": partial(_parse_whole_number, minimum=1),
    "initial_lr": _parse_fraction,
    "optimizer": partial(_parse_choice, choices=Optimizer),
    "oversample_foreground": _parse_fraction,
    "organ_weight": _parse_fraction,
    "lesion_heads": _parse_path,
    "seed": partial(_parse_whole_number, minimum=0),
    "click_offset": partial(_parse_whole_number, minimum=0),
    "click_counts": partial(_parse_choice, choices=ClickCounts),
    "click_dropout": _parse_share,
    "augmentation": partial(_parse_choice, choices=Augmentation),
    "balance_components": _parse_truth,
    "hot_background": _parse_share,
    "repeat_cases": _parse_repeated_cases,
    "lesion_free_loss": _parse_weight,
    "corrective_clicks": _parse_share,
    "contour_variation": _parse_share,
    "scribbles": _parse_share,
    "teacher": _parse_path,
    "teacher_weight": _parse_share,
}
