"""One model folder of the networks of several trainings, such as the two times five folds of arXiv 2508.21680."""

import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from lesionclick.errors import ModelError
from lesionclick.files import describe_error, read_json_object, short_json
from lesionclick.model.checksums import write_checksums
from lesionclick.model.files import CHECKPOINT_FILE, DATASET_FILE, PACKED_FILE, PLANS_FILE, PROMPT_FILE, fold_folder
from lesionclick.model.folder import ModelFolder
from lesionclick.model.pack import pack_fold
from lesionclick.model.plans import find_difference
from lesionclick_training.nnunet.mean_network import write_mean
from lesionclick_training.nnunet.training_cases import TRAINING_CASES_FILE


def assemble(
    trainings: Sequence[Path], out: Path, pack_as: torch.dtype | None = None, *, mean: bool = False
) -> ModelFolder:
    """Copies the networks of model folders that mean the same into one folder, numbered anew from fold_0.

    The record of a network's training cases, where there is one, goes with a checkpoint that is copied. Packed networks
    have none: the names of patients' cases do not belong in a model that is released.

    Args:
        trainings: model folders, packed or not; their networks follow one another in this order.
        out: the new folder; must not exist. It appears whole or not at all.
        pack_as: number format of a packed folder, see `lesionclick.model.pack.pack`; None to copy files as they are.
        mean: whether the folder gets one network in place of all, of their mean weights, see `mean_network.write_mean`.

    Returns:
        The new folder, read back and checked. Its dataset.json is that of the first, with every description.

    Raises:
        ModelError: a folder is broken or given twice, two of them differ in what decides a prediction, or `out` exists
            or cannot be written.
    """
    if len({folder.resolve() for folder in trainings}) < len(trainings):
        raise ModelError(f"{', '.join(map(str, trainings))}: a model folder is given twice")
    if out.exists():
        raise ModelError(f"{out}: already exists, expected a new folder")
    models = [ModelFolder.read(folder) for folder in trainings]
    datasets = [read_json_object(model.path / DATASET_FILE, ModelError) for model in models]
    for model, dataset in zip(models[1:], datasets[1:], strict=True):
        _require_same(models[0], datasets[0], model, dataset)
    descriptions = dict.fromkeys(model.description for model in models if model.description)
    if descriptions:
        datasets[0]["description"] = "; ".join(descriptions)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as temporary:
            folder = Path(temporary, out.name)
            if mean:
                one = Path(temporary, f"{out.name}.mean")
                _write_head(models[0], datasets[0], one)
                write_mean(models, one)
                models = [ModelFolder.read(one)]
            _write(models, datasets[0], folder, pack_as)
            folder.rename(out)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{out}: cannot be written: {describe_error(error)}") from error
    return ModelFolder.read(out)


def _require_same(
    first: ModelFolder, first_dataset: dict[str, Any], model: ModelFolder, dataset: dict[str, Any]
) -> None:
    """Raises ModelError where two model folders differ in what decides a prediction."""
    files: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        (PLANS_FILE, dict(first.plans), dict(model.plans)),
        (PROMPT_FILE, first.encoding.to_json(), model.encoding.to_json()),
        *((DATASET_FILE, {key: first_dataset[key]}, {key: dataset[key]}) for key in ("channel_names", "labels")),
    ]
    for file, firsts, others in files:
        found = find_difference(firsts, others)
        if found:
            name, expected, differing = found
            raise ModelError(
                f"{model.path / file}: {name} is {short_json(differing)}, expected {short_json(expected)} as in"
                f" {first.path}"
            )
    if model.channels != first.channels:
        raise ModelError(
            f"{model.path}: its networks read {model.channels} channels, expected {first.channels} as in {first.path}"
        )


def _write_head(model: ModelFolder, dataset: dict[str, Any], out: Path) -> None:
    """Makes a folder with all but the networks of a model folder."""
    out.mkdir()
    shutil.copyfile(model.path / PLANS_FILE, out / PLANS_FILE)
    (out / DATASET_FILE).write_text(json.dumps(dataset, indent=1) + "\n")
    (out / PROMPT_FILE).write_text(json.dumps(model.encoding.to_json()) + "\n")


def _write(models: Sequence[ModelFolder], dataset: dict[str, Any], out: Path, pack_as: torch.dtype | None) -> None:
    _write_head(models[0], dataset, out)
    networks = [(model, fold) for model in models for fold in model.folds]
    for number, (model, fold) in enumerate(networks):
        target = out / fold_folder(number)
        if pack_as is not None:
            pack_fold(model, fold, target, pack_as)
        else:
            target.mkdir()
            # no link: to train a fold anew would change what was assembled of it
            shutil.copyfile(fold.path, target / fold.path.name)
            record = fold.path.with_name(TRAINING_CASES_FILE)
            if fold.path.name == CHECKPOINT_FILE and record.exists():
                shutil.copyfile(record, target / record.name)
    if any(out.rglob(PACKED_FILE)):
        write_checksums(out)
