"""Training of one network by nnU-Net."""

import dataclasses
import tempfile
from pathlib import Path

import torch
from nnunetv2.run.run_training import run_training

from lesionclick_training.nnunet.job import TrainingJob
from lesionclick_training.nnunet.network_sizes import CONFIGURATION
from lesionclick_training.nnunet.pretrained import write_pretrained
from lesionclick_training.nnunet.settings import TrainingSettings
from lesionclick_training.nnunet.trainer import LesionClickTrainer
from lesionclick_training.nnunet.variants import Variant
from lesionclick_training.nnunet.workspace import Workspace
from lesionclick_training.trainers import variants


def find_trainer(variant: Variant) -> type[LesionClickTrainer]:
    """The class of a variant's trainer."""
    found: type[LesionClickTrainer] = getattr(variants, variant.trainer_name)
    return found


def train_network(workspace: Workspace, job: TrainingJob, settings: TrainingSettings, *, resume: bool = False) -> Path:
    """Trains one network by nnU-Net's own training.

    Args:
        workspace: holds the preprocessed dataset, and takes the results.
        job: what to train.
        settings: how. Where the job starts from a network of this project, the lesion heads are taken from it too.
        resume: goes on from the latest checkpoint of the same job.

    Returns:
        The model folder, in which the network has the folder of its fold.

    Raises:
        CaseError: the dataset is not preprocessed for the job's size.
        ModelError: the checkpoint to start from does not fit; see `pretrained.transfer_weights`.
    """
    plans = workspace.find_plans(job.dataset, job.size)
    with tempfile.TemporaryDirectory() as folder:
        weights: Path | None = None
        if job.pretrained is not None:
            weights = Path(folder) / "pretrained.pth"
            transfer = write_pretrained(job.pretrained, plans, find_trainer(job.variant), weights, job.stem)
            if not transfer.fresh:
                settings = dataclasses.replace(settings, lesion_heads=weights)
        with workspace.exported(), settings.exported():
            run_training(
                str(job.dataset),
                CONFIGURATION,
                job.fold,
                job.variant.trainer_name,
                plans.stem,
                pretrained_weights=None if weights is None else str(weights),
                continue_training=resume,
                device=torch.device(job.device),
            )
    return workspace.model_folder(job.variant, plans)
