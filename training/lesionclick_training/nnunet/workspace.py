"""Workspace: nnU-Net's folders, and what is trained in them."""

import contextlib
import os
import tempfile
from enum import StrEnum
from pathlib import Path

import torch
import typer
from nnunetv2.run.run_training import run_training

from lesionclick.errors import CaseError
from lesionclick_training import trainers
from lesionclick_training.nnunet.plans import CONFIGURATION, PUBLISHED, SMALL
from lesionclick_training.nnunet.pretrained import write_pretrained
from lesionclick_training.nnunet.trainer import LesionClickTrainer
from lesionclick_training.trainers import variants

PREFIX = f"{LesionClickTrainer.__name__}_"

VARIANTS = {name.removeprefix(PREFIX): trainer for name, trainer in vars(variants).items() if name.startswith(PREFIX)}


class Plan(StrEnum):
    """Sizes of networks."""

    small = "small"
    published = "published"


class Device(StrEnum):
    """Where a network is trained."""

    cpu = "cpu"
    cuda = "cuda"


PLANS = {Plan.small: SMALL, Plan.published: PUBLISHED}


def train_network(
    dataset: int,
    fold: str,
    trainer: type[LesionClickTrainer],
    plans: Path,
    pretrained: Path | None,
    stem: int,
    device: str,
    *,
    resume: bool = False,
) -> None:
    """nnU-Net's training, from a checkpoint of MultiTalent's or ours where one is given."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as cleanup:
        weights = None
        if pretrained is not None:
            weights = str(Path(folder) / "pretrained.pth")
            if not write_pretrained(pretrained, plans, trainer, Path(weights), stem).fresh:
                os.environ["LESIONCLICK_LESION_HEADS"] = weights
                cleanup.callback(os.environ.pop, "LESIONCLICK_LESION_HEADS")
        run_training(
            str(dataset),
            CONFIGURATION,
            fold,
            trainer.__name__,
            plans.stem,
            pretrained_weights=weights,
            continue_training=resume,
            device=torch.device(device),
        )


def model_folder_name(trainer: type[LesionClickTrainer], plans: Path) -> str:
    """How nnU-Net names the folder of a training's results."""
    return f"{trainer.__name__}__{plans.stem}__{CONFIGURATION}"


def find_trainer(variant: str) -> type[LesionClickTrainer]:
    if variant not in VARIANTS:
        raise typer.BadParameter(f"{variant!r} is none of {', '.join(VARIANTS)}", param_hint="--variant")
    return VARIANTS[variant]


def find_dataset(root: Path, number: int, kind: str) -> str:
    """The name of the one dataset of a number in a folder of nnU-Net's."""
    pattern = f"Dataset{number:03d}_*"
    found = sorted((root / kind).glob(pattern))
    if len(found) != 1:
        raise CaseError(f"{root / kind}: holds {len(found)} folders {pattern}, expected one")
    return found[0].name


def find_plans(root: Path, dataset: str, plan: Plan) -> Path:
    path = root / "preprocessed" / dataset / f"{PLANS[plan].plans_name}.json"
    if not path.is_file():
        raise CaseError(f"{path}: is missing, expected what `lesionclick-train preprocess --plan {plan}` writes")
    return path


def set_paths(root: Path, results: str = "results") -> None:
    """Tells nnU-Net, which reads its environment whenever it needs a path, where all is."""
    kinds = {"raw": "raw", "preprocessed": "preprocessed", "results": results}
    folders = {kind: str(root.resolve() / folder) for kind, folder in kinds.items()}
    for kind, folder in {**folders, "extTrainer": os.pathsep.join(trainers.__path__)}.items():
        os.environ[f"nnUNet_{kind}"] = folder
