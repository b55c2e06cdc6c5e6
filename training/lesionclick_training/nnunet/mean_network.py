"""Mean network: one network whose weights are the means of several networks' (a model soup, arXiv 2203.05482).

It is of use where their trainings began from one network, and then a good start for a student of theirs. Networks that
began apart have no mean that predicts anything.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from lesionclick.errors import ModelError
from lesionclick.files import read_json_object, write_json
from lesionclick.model.checkpoint import require_undamaged
from lesionclick.model.files import CHECKPOINT_FILE, PLANS_FILE, fold_folder
from lesionclick.model.folder import ModelFolder
from lesionclick.model.weights import WeightsFile
from lesionclick_training.nnunet.training_cases import TRAINING_CASES_FILE, read_training_cases


def write_mean(models: Sequence[ModelFolder], out: Path) -> None:
    """Writes fold_0 of a model folder: a checkpoint with the mean of all networks of model folders that mean the same.

    A network may be mirrored as each of them may. The record of its training cases has those of all of them.

    Args:
        models: packed or not; a packed network lacks the heads of training, and then so does the mean, which can
            predict but start no training.
        out: the model folder, whose other files are there.

    Raises:
        ModelError: weights are damaged.
        OSError: the files cannot be written.
    """
    folds = [fold for model in models for fold in model.folds]
    for fold in folds:
        require_undamaged(fold.path)
    files = [WeightsFile(fold.path) for fold in folds]
    names = [name for name in files[0].names() if all(name in file.names() for file in files)]
    plans = read_json_object(models[0].path / PLANS_FILE, ModelError)
    checkpoint: dict[str, Any] = {
        "network_weights": {name: torch.stack([file[name].float() for file in files]).mean(0) for name in names},
        "init_args": {"configuration": folds[0].configuration, "plans": plans},
        "inference_allowed_mirroring_axes": sorted(set.intersection(*(set(fold.mirror_axes) for fold in folds))),
        "trainer_name": folds[0].trainer,
    }
    folder = out / fold_folder(0)
    folder.mkdir()
    torch.save(checkpoint, folder / CHECKPOINT_FILE)
    records = [read_training_cases(fold.path.parent) for fold in folds]
    if None not in records:
        cases = set[str]().union(*(record or () for record in records))
        write_json({"training_cases": sorted(cases)}, folder / TRAINING_CASES_FILE)
