"""Training of one network by nnU-Net."""

import dataclasses
import logging
import tempfile
from pathlib import Path

import torch
from nnunetv2.run.run_training import run_training

from lesionclick.errors import DeviceError, ModelError
from lesionclick.files import read_json_object
from lesionclick.model.files import fold_folder
from lesionclick_training.nnunet.job import Device, TrainingJob
from lesionclick_training.nnunet.network_sizes import CONFIGURATION
from lesionclick_training.nnunet.pretrained import write_pretrained
from lesionclick_training.nnunet.resume import Progress, find_checkpoint, read_progress, set_aside
from lesionclick_training.nnunet.settings import TrainingSettings
from lesionclick_training.nnunet.teacher import read_teacher
from lesionclick_training.nnunet.trainer import LesionClickTrainer
from lesionclick_training.nnunet.training_cases import record_training_cases
from lesionclick_training.nnunet.variants import Variant
from lesionclick_training.nnunet.workspace import Workspace
from lesionclick_training.trainers import variants

logger = logging.getLogger("lesionclick")


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
        resume: goes on from the fold's last checkpoint, where there is one; what the job would start from is then not
            read, and need not be there. A training that is finished is left as it is. So one call serves from the
            first start to the end, however often it is killed.

    Returns:
        The model folder, in which the network has the folder of its fold.

    Raises:
        CaseError: the dataset is not preprocessed for the job's size, or its splits are stale or lack the fold, see
            `training_cases.find_training_cases`.
        DeviceError: the job's GPUs are not there, or are more than a batch can be split over.
        ModelError: the checkpoint to start from does not fit, see `pretrained.transfer_weights`; or that to go on from
            does not, see `resume.read_progress`; or the teacher does not, see `teacher.read_teacher`, or would be
            changed by the training.
    """
    plans = workspace.find_plans(job.dataset, job.size)
    _require_device(job, plans)
    model = workspace.model_folder(job.variant, plans)
    folder = model / fold_folder(job.fold)
    if settings.teacher is not None:
        if settings.teacher.resolve() == model.resolve():
            raise ModelError(f"{model}: cannot teach a network that is written there, expected a copy elsewhere")
        read_teacher(settings.teacher, read_json_object(plans, ModelError), find_trainer(job.variant).encoding)
    checkpoint = find_checkpoint(folder)
    if checkpoint is not None and resume:
        progress = read_progress(checkpoint, plans, settings)
        if progress.is_finished(settings):
            logger.info("%s: the training is finished already, after %d epochs", checkpoint, progress.epochs)
            return model
        logger.info("%s: the training goes on after %d of %d epochs", checkpoint, progress.epochs, settings.epochs)
        _run(workspace, job, plans, dataclasses.replace(settings, lesion_heads=None), progress=progress)
        return model
    if checkpoint is not None:
        logger.warning(
            "%s: is of an earlier training and will be replaced, --resume would have gone on from it", checkpoint
        )
    elif resume:
        start = job.pretrained or "fresh weights"
        logger.info("%s: holds no checkpoint to go on from, the training starts from %s", folder, start)
    if job.pretrained is None:
        _run(workspace, job, plans, settings)
        return model
    with tempfile.TemporaryDirectory() as temporary:
        weights = Path(temporary) / "pretrained.pth"
        transfer = write_pretrained(job.pretrained, plans, find_trainer(job.variant), weights, job.stem)
        if not transfer.fresh:
            settings = dataclasses.replace(settings, lesion_heads=weights)
        _run(workspace, job, plans, settings, weights=weights)
    return model


def _run(
    workspace: Workspace,
    job: TrainingJob,
    plans: Path,
    settings: TrainingSettings,
    *,
    weights: Path | None = None,
    progress: Progress | None = None,
) -> None:
    """Calls nnU-Net's training; the processes that it starts for several GPUs get the same environment."""
    record_training_cases(workspace, job, resume=progress is not None, teacher=settings.teacher)
    # after all that can be refused, which leaves a finished training as it is
    if progress is not None:
        progress.reopen()
    else:
        set_aside(workspace.model_folder(job.variant, plans) / fold_folder(job.fold))
    with workspace.exported(), settings.exported():
        run_training(
            str(job.dataset),
            CONFIGURATION,
            job.fold,
            job.variant.trainer_name,
            plans.stem,
            pretrained_weights=None if weights is None else str(weights),
            num_gpus=job.num_gpus,
            continue_training=progress is not None,
            device=torch.device(job.device),
        )


def _require_device(job: TrainingJob, plans: Path) -> None:
    """Raises DeviceError unless the job's device is there and nnU-Net can split a batch over it."""
    if job.device != Device.cuda:
        if job.num_gpus > 1:
            raise DeviceError(f"{job.num_gpus} GPUs are asked for with the device {job.device}, expected cuda")
        return
    batch_size = read_json_object(plans, ModelError)["configurations"][CONFIGURATION]["batch_size"]
    if job.num_gpus > batch_size:
        raise DeviceError(
            f"{plans}: a batch of {batch_size} samples cannot be split over {job.num_gpus} GPUs, expected at most"
            f" {batch_size}; a fold a GPU uses more"
        )
    found = torch.cuda.device_count()
    if not found:
        raise DeviceError("torch finds no GPU, expected one; --device cpu needs none")
    if job.num_gpus > found:
        raise DeviceError(f"torch finds {found} of the {job.num_gpus} GPUs that the training asks for")
