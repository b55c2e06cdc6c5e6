"""A model folder: nnU-Net checkpoints or packed safetensors; read, pack, check.

dataset.json  plans.json  [prompt.json]
fold_<n>/checkpoint_final.pth      as nnU-Net v2 trains it
fold_<n>/weights.safetensors       as `pack` writes it, together with SHA256SUMS over every file of the folder
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lesionclick.errors import ModelError
from lesionclick.files import describe_error, read_json_object
from lesionclick.model import unet as network
from lesionclick.model.checkpoint import CHECKPOINT, PACKED, Fold, WeightsFile
from lesionclick.model.checksums import verify_sums
from lesionclick.model.encoding import EDTEncoding, Encoding, encoding_from_json
from lesionclick.model.preprocessing import Preprocessing


@dataclass(frozen=True)
class ModelFolder:
    """A checked model folder, its weights still on disk.

    Attributes:
        path: the folder.
        folds: its networks, in order of their number.
        channels: the networks' input channels, 4 or, without clicks, 2.
        parameters: number of parameters of one network.
        patch: size of the sliding window, voxels, in the order of the network's axes.
        architecture: the plans' entry of that name.
        preprocessing: the way to the networks' grid and back.
        encoding: how clicks are shown to the networks.
        description: what the model is, in the words of dataset.json; may be empty.
    """

    path: Path
    folds: tuple[Fold, ...]
    channels: int
    parameters: int
    patch: tuple[int, ...]
    architecture: Mapping[str, Any]
    preprocessing: Preprocessing
    encoding: Encoding
    description: str

    @classmethod
    def read(cls, folder: str | Path) -> "ModelFolder":
        """Reads and checks all of a model folder but the values of its weights.

        Of a packed folder every file is compared with its sha256 sum.

        Raises:
            ModelError: a file is missing, truncated or altered, or the files contradict each other.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise ModelError(f"{folder}: the model folder is missing")
        plans = read_json_object(folder / "plans.json", ModelError)
        dataset = read_json_object(folder / "dataset.json", ModelError)
        paths = _find_weights(folder)
        packed = [path for path in paths if path.name == PACKED]
        if packed:
            verify_sums(folder, [folder / "plans.json", folder / "dataset.json", *packed])
        opened = [WeightsFile(path) for path in paths]
        folds = tuple(weights.describe() for weights in opened)
        names = {fold.configuration for fold in folds}
        if len(names) > 1:
            raise ModelError(f"{folder}: its folds were trained with different configurations: {sorted(names)}")

        plans_path = folder / "plans.json"
        try:
            configuration = _configuration(plans, names.pop())
            architecture = configuration["architecture"]
            patch = tuple(int(size) for size in configuration["patch_size"])
            stride = network.stride(architecture)
            preprocessing = Preprocessing.from_plans(plans, configuration)
            if len(patch) != 3 or any(size < 1 or size % step for size, step in zip(patch, stride, strict=True)):
                raise ValueError(f"patch_size {list(patch)} is not three multiples of the strides' product {stride}")
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise ModelError(f"{plans_path}: {describe_error(error)}") from error
        _check_dataset(folder / "dataset.json", dataset)

        stem = opened[0].shape("encoder.stem.convs.0.conv.weight")
        channels = stem[1] if len(stem) == 5 else 0
        if channels not in (2, 4):
            raise ModelError(f"{folds[0].path}: its network reads {channels} channels, expected 4, or 2 without clicks")
        try:
            skeleton = network.build_network(architecture, channels)
        except (KeyError, TypeError, ValueError, IndexError, AssertionError, RuntimeError) as error:
            raise ModelError(f"{plans_path}: {describe_error(error)}") from error
        for fold, weights in zip(folds, opened, strict=True):
            weights.require(skeleton, plans_path)
            if not set(fold.mirror_axes) <= {0, 1, 2}:
                raise ModelError(f"{fold.path}: mirrors along the axes {fold.mirror_axes}, expected some of 0, 1, 2")

        prompt = folder / "prompt.json"
        encoding = (
            encoding_from_json(read_json_object(prompt, ModelError), prompt) if prompt.exists() else EDTEncoding()
        )
        description = str(dataset.get("description", ""))
        parameters = sum(parameter.numel() for parameter in skeleton.parameters())
        return cls(folder, folds, channels, parameters, patch, architecture, preprocessing, encoding, description)

    def select(self, folds: Sequence[str]) -> "ModelFolder":
        """The folder with some of its folds alone, named as in its folders' names: "0", "all".

        Raises:
            ModelError: there is no such fold.
        """
        by_name = {fold.name: fold for fold in self.folds}
        for name in folds:
            if name not in by_name:
                raise ModelError(f"{self.path}: has no fold {name}, it has {', '.join(by_name)}")
        return dataclasses.replace(self, folds=tuple(by_name[name] for name in folds))

    def load(self, fold: Fold) -> torch.nn.Module:
        """One network, ready for inference: float32, on the CPU.

        Raises:
            ModelError: the file changed since the folder was read.
        """
        result = network.build_network(self.architecture, self.channels)
        weights = WeightsFile(fold.path)
        values = {name: weights[name].to(torch.float32) for name in network.parameter_shapes(result)}
        network.set_weights(result, values)
        return result


def _find_weights(folder: Path) -> list[Path]:
    fold_folders = [entry for entry in folder.iterdir() if re.fullmatch(r"fold_(\d+|all)", entry.name)]
    if not fold_folders:
        raise ModelError(f"{folder}: holds no fold_<n> folder, expected one or more with {CHECKPOINT} or {PACKED}")
    paths = []
    for fold_folder in sorted(fold_folders, key=lambda entry: (len(entry.name), entry.name)):
        found = [fold_folder / name for name in (PACKED, CHECKPOINT) if (fold_folder / name).is_file()]
        if len(found) != 1:
            raise ModelError(f"{fold_folder}: holds {len(found)} of {CHECKPOINT} and {PACKED}, expected one")
        paths.append(found[0])
    return paths


def _configuration(plans: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A configuration of a plans file with what it inherits."""
    own = plans["configurations"][name]
    parent = own.get("inherits_from")
    return {**_configuration(plans, parent), **own} if parent and parent != name else dict(own)


def _check_dataset(path: Path, dataset: Mapping[str, Any]) -> None:
    channels, labels = dataset.get("channel_names"), dataset.get("labels")
    if not isinstance(channels, dict) or len(channels) != 2 or str(channels.get("0")).upper() != "CT":
        raise ModelError(f"{path}: channel_names is {channels}, expected CT as 0 and PET as 1")
    if not isinstance(labels, dict) or sorted(map(str, labels.values())) != ["0", "1"]:
        raise ModelError(f"{path}: labels is {labels}, expected background as 0 and one lesion label as 1")
