"""Checkpoints that a training goes on from, and whether they are of the same training."""

from dataclasses import dataclass
from pathlib import Path

from lesionclick.errors import ModelError
from lesionclick.files import describe_error, read_json_object, short_json
from lesionclick.model.checkpoint import read_checkpoint
from lesionclick.model.files import CHECKPOINT_FILE
from lesionclick.model.plans import decisive_part, find_difference
from lesionclick_training.nnunet.network_sizes import CONFIGURATION
from lesionclick_training.nnunet.settings import Optimizer, TrainingSettings

LATEST_FILE = "checkpoint_latest.pth"
"""Written by nnU-Net every 50 epochs, removed when the training is finished."""

CHECKPOINT_FILES = (CHECKPOINT_FILE, LATEST_FILE, "checkpoint_best.pth")
"""nnU-Net goes on from the first of these that exists."""


@dataclass(frozen=True)
class Progress:
    """How far a training has come.

    Attributes:
        checkpoint: the file to go on from.
        epochs: number of epochs that it has behind it.
    """

    checkpoint: Path
    epochs: int

    def is_finished(self, settings: TrainingSettings) -> bool:
        """Whether nothing is left to do: the training has ended, and was not shorter than the settings ask for."""
        return self.checkpoint.name == CHECKPOINT_FILE and self.epochs >= settings.epochs

    def reopen(self) -> None:
        """Makes the final checkpoint of a training that more epochs are asked of the latest one.

        nnU-Net prefers a final checkpoint to a later one: a longer training that is killed would begin again where the
        shorter one had ended.
        """
        if self.checkpoint.name == CHECKPOINT_FILE:
            self.checkpoint.replace(self.checkpoint.with_name(LATEST_FILE))


def find_checkpoint(fold_folder: Path) -> Path | None:
    """The checkpoint that nnU-Net goes on from in a fold's folder; None where there is none."""
    paths = (fold_folder / name for name in CHECKPOINT_FILES)
    return next((path for path in paths if path.is_file()), None)


def set_aside(fold_folder: Path) -> None:
    """Renames the checkpoints in a fold's folder to <name>.earlier, since a new training begins there.

    Were that one killed before its first checkpoint, it would otherwise go on from those.
    """
    for name in CHECKPOINT_FILES:
        path = fold_folder / name
        if path.is_file():
            path.replace(path.with_name(f"{name}.earlier"))


def read_progress(checkpoint: Path, plans: Path, settings: TrainingSettings) -> Progress:
    """How far the training of a checkpoint has come, read without running code from the file.

    Args:
        checkpoint: see `find_checkpoint`.
        plans: the plans file of the training that is to go on.
        settings: how that is trained.

    Raises:
        ModelError: the file is damaged, or of a training with other plans or another optimizer.
    """
    content = read_checkpoint(checkpoint)
    now = decisive_part(read_json_object(plans, ModelError), CONFIGURATION)
    try:
        epochs = int(content["current_epoch"])
        before = decisive_part(content["init_args"]["plans"], CONFIGURATION)
        optimizer = Optimizer.AdamW if "betas" in content["optimizer_state"]["param_groups"][0] else Optimizer.SGD
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise ModelError(f"{checkpoint}: {describe_error(error)} of a training to go on with") from error
    difference = find_difference(before, now)
    if difference:
        name, trained, planned = difference
        raise ModelError(
            f"{checkpoint}: was trained with {name} {short_json(trained)}, expected {short_json(planned)} as in {plans}"
        )
    if optimizer != settings.optimizer:
        raise ModelError(f"{checkpoint}: was trained with {optimizer}, expected {settings.optimizer}")
    return Progress(checkpoint, epochs)
