"""A model folder: nnU-Net's plans and dataset.json, and the weights of some folds, packed or not.

dataset.json  plans.json  [prompt.json]
fold_<n>/checkpoint_final.pth      as nnU-Net v2 trains it
fold_<n>/weights.safetensors       as `pack` writes it, together with SHA256SUMS over every file of the folder
"""

import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lesionclick.case.image_header import in_words
from lesionclick.case.organs import ORGAN_CLASSES
from lesionclick.errors import CaseError, ModelError
from lesionclick.files import describe_error, read_json_object
from lesionclick.model.checksums import verify_checksums
from lesionclick.model.encoding import EDTEncoding, Encoding, encoding_from_json
from lesionclick.model.files import (
    CHECKPOINT_FILE,
    DATASET_FILE,
    PACKED_FILE,
    PLANS_FILE,
    PROMPT_FILE,
    fold_name,
    is_misnamed_fold,
)
from lesionclick.model.grid import NetworkGrid
from lesionclick.model.network_plan import NetworkPlan
from lesionclick.model.plans import decisive_part, read_configuration
from lesionclick.model.preprocessing import Preprocessing
from lesionclick.model.schema import DatasetPlan
from lesionclick.model.unet import (
    CLASSES,
    STEM_KERNEL,
    build_network,
    organ_head_name,
    parameter_shapes,
    set_weights,
)
from lesionclick.model.weights import Fold, WeightsFile

MAX_FOLDS = 100

MAX_PASSES = 500_000
"""Of networks over tiles and mirrorings; a whole body takes the published ten networks some 8000."""


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
        plans: all of the plans that decides a prediction, as `plans.decisive_part` gives it.
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
    plans: Mapping[str, Any]
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
        plans_path, dataset_path, prompt_path = (folder / name for name in (PLANS_FILE, DATASET_FILE, PROMPT_FILE))
        plans = read_json_object(plans_path, ModelError)
        dataset = read_json_object(dataset_path, ModelError)
        paths = _find_weights(folder)
        packed = [path for path in paths if path.name == PACKED_FILE]
        if packed:
            verify_checksums(folder)
        weights = [WeightsFile(path) for path in paths]
        folds = tuple(file.read_fold() for file in weights)
        channels = _channels_of(weights[0])
        try:
            description = DatasetPlan.read(dataset, channels).description
        except ValueError as error:
            raise ModelError(f"{dataset_path}: {describe_error(error)}") from error
        encoding: Encoding = EDTEncoding()
        if os.path.lexists(prompt_path):
            encoding = encoding_from_json(read_json_object(prompt_path, ModelError), prompt_path)
        configurations = sorted({fold.configuration for fold in folds})
        if len(configurations) > 1:
            raise ModelError(f"{folder}: its folds were trained with different configurations: {configurations}")
        try:
            configuration = read_configuration(plans, configurations[0])
            architecture = configuration["architecture"]
            patch = NetworkPlan.read(architecture).read_patch(configuration)
            decisive = decisive_part(plans, configurations[0])
            preprocessing = Preprocessing.from_plans(plans, configuration)
            if encoding.needs_suv:
                preprocessing.require_suv()
            network = build_network(architecture, channels)
        except (LookupError, TypeError, ValueError, AttributeError, AssertionError, RuntimeError) as error:
            raise ModelError(f"{plans_path}: {describe_error(error)}") from error
        for file in weights:
            file.require_plans(decisive, plans_path)
            file.require_encoding(encoding.to_json(), prompt_path)
            file.require_network(network, plans_path)
        return cls(
            path=folder,
            folds=tuple(
                dataclasses.replace(fold, has_organ_head=bool(file.organ_head(network)))
                for fold, file in zip(folds, weights, strict=True)
            ),
            channels=channels,
            parameters=sum(parameter.numel() for parameter in network.parameters()),
            patch=patch,
            architecture=architecture,
            plans=decisive,
            preprocessing=preprocessing,
            encoding=encoding,
            description=description,
        )

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

    @property
    def organ_fold(self) -> Fold:
        """The first network that also predicts organs.

        Raises:
            ModelError: none does.
        """
        for fold in self.folds:
            if fold.has_organ_head:
                return fold
        raise ModelError(f"{self.path}: has no organ heads, expected a network that was trained with organs")

    def require_few_passes(self, grid: NetworkGrid) -> None:
        """Checks that an image takes no unreasonable number of forward passes, as it does on far too fine a grid.

        Args:
            grid: the networks', of the image.

        Raises:
            CaseError: it takes more than `MAX_PASSES`, with the figures.
        """
        steps = (max(1, math.ceil(2 * size / side) - 1) for size, side in zip(grid.shape, self.patch, strict=True))
        tiles = math.prod(steps)  # which overlap by half
        passes = tiles * sum(2 ** len(fold.mirror_axes) for fold in self.folds)
        if passes > MAX_PASSES:
            raise CaseError(
                f"the image has {in_words(grid.shape)} voxels on the networks' grid of {in_words(grid.spacing)} mm,"
                f" which take {tiles:,} tiles of {in_words(self.patch)} and {passes:,} forward passes of {self.path},"
                f" expected at most {MAX_PASSES:,}"
            )

    def load(self, fold: Fold, *, organs: bool = False) -> torch.nn.Module:
        """One network, ready for inference: float32, on the CPU.

        Args:
            fold: one of `folds`.
            organs: whether it is to predict organs (`case.organs.ORGAN_CLASSES`) instead of lesions, as `organ_fold`
                can.

        Raises:
            ModelError: the file can no longer be read, is damaged, or its weights are none of a trained network.
        """
        classes = ORGAN_CLASSES if organs else CLASSES
        network: torch.nn.Module = build_network(self.architecture, self.channels, classes)
        weights = WeightsFile(fold.path)
        names = {name: organ_head_name(name) if organs else name for name in parameter_shapes(network)}
        set_weights(network, weights.read(names))
        return network

    def organ_head(self, fold: Fold) -> Mapping[str, torch.Tensor]:
        """The parameters of a network's head for organs, by their names in its file; empty where it has none."""
        weights = WeightsFile(fold.path)
        return {name: weights[name] for name in weights.organ_head(build_network(self.architecture, self.channels))}


def _find_weights(folder: Path) -> list[Path]:
    """The file of weights of each fold, in order of their number, "all" last."""
    try:
        names = [entry.name for entry in folder.iterdir()]
        misnamed = sorted(filter(is_misnamed_fold, names))
        if misnamed:
            raise ModelError(f"{folder / misnamed[0]}: is no name of a fold, expected fold_0, fold_1, ... or fold_all")
        folds = sorted(filter(fold_name, names), key=lambda name: (len(name), name))
        if not folds:
            raise ModelError(
                f"{folder}: holds no fold_<n> folder, expected one or more with {CHECKPOINT_FILE} or {PACKED_FILE}"
            )
        if len(folds) > MAX_FOLDS:
            raise ModelError(f"{folder}: holds {len(folds)} folds, expected at most {MAX_FOLDS}")
        return [_weights_in(folder / name) for name in folds]
    except OSError as error:
        raise ModelError(f"{error.filename or folder}: cannot be read: {describe_error(error)}") from error


def _weights_in(fold: Path) -> Path:
    names = [entry.name for entry in fold.iterdir()]
    found = [fold / name for name in (PACKED_FILE, CHECKPOINT_FILE) if name in names]
    if len(found) == 1:
        return found[0]
    hint = ""
    if not found and "checkpoint_latest.pth" in names:
        hint = ": its training has not ended (checkpoint_latest.pth)"
    elif not found and "checkpoint_best.pth" in names:
        hint = f" (checkpoint_best.pth under the name {CHECKPOINT_FILE} can be used)"
    raise ModelError(f"{fold}: holds {len(found)} of {CHECKPOINT_FILE} and {PACKED_FILE}, expected one{hint}")


def _channels_of(weights: WeightsFile) -> int:
    """Input channels of a network, which the first convolution's kernel tells: (features, channels, z, y, x)."""
    shape = weights.shape(STEM_KERNEL)
    channels = shape[1] if len(shape) == 5 else 0
    if channels not in (2, 4):
        raise ModelError(f"{weights.path}: its network reads {channels} channels, expected 4, or 2 without clicks")
    return channels
