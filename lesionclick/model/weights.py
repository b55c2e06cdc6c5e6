"""Weights of one fold on disk: a checkpoint of nnU-Net or a packed file, read through the same methods."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from lesionclick.errors import ModelError
from lesionclick.files import describe_error
from lesionclick.model.checkpoint import read_checkpoint
from lesionclick.model.files import PACKED_FILE, fold_name
from lesionclick.model.unet import parameter_shapes

METADATA_KEY = "lesionclick"
"""Where a packed file keeps, as JSON, what else a checkpoint says of a fold."""


@dataclass(frozen=True)
class Fold:
    """One network of a model folder.

    Attributes:
        path: of its weights.
        configuration: name of the plans' configuration that it was trained with.
        mirror_axes: spatial axes along which it may be mirrored.
        trainer: name of nnU-Net's trainer, for information only.
    """

    path: Path
    configuration: str
    mirror_axes: tuple[int, ...]
    trainer: str

    @property
    def name(self) -> str:
        """What stands behind "fold_" in its folder's name: a number or "all"."""
        return fold_name(self.path.parent.name) or self.path.parent.name

    def metadata(self) -> dict[str, str]:
        """What a packed file keeps of the fold beside its tensors, as `WeightsFile.read_fold` reads it."""
        stored = {"configuration": self.configuration, "mirror_axes": self.mirror_axes, "trainer": self.trainer}
        return {METADATA_KEY: json.dumps(stored)}


class WeightsFile:
    """Read access to one fold's file, packed or not; each tensor is read when it is asked for."""

    def __init__(self, path: Path) -> None:
        """Opens a file.

        Raises:
            ModelError: it is missing, damaged or not of its kind, or a checkpoint names code to run.
        """
        self.path = path
        self._packed = _open_packed(path) if path.name == PACKED_FILE else None
        self._checkpoint: dict[str, Any] = read_checkpoint(path) if self._packed is None else {}

    def read_fold(self) -> Fold:
        """What the file says of its fold.

        Raises:
            ModelError: it lacks something.
        """
        try:
            if self._packed is not None:
                stored = json.loads((self._packed.metadata() or {})[METADATA_KEY])
            else:
                stored = {
                    "configuration": self._checkpoint["init_args"]["configuration"],
                    "mirror_axes": self._checkpoint["inference_allowed_mirroring_axes"],
                    "trainer": self._checkpoint.get("trainer_name", "unknown"),
                }
            mirror_axes = tuple(int(axis) for axis in stored["mirror_axes"] or ())
            fold = Fold(self.path, str(stored["configuration"]), mirror_axes, str(stored["trainer"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{self.path}: {describe_error(error)}") from error
        if not set(mirror_axes) <= {0, 1, 2}:
            raise ModelError(f"{self.path}: mirrors along the axes {mirror_axes}, expected some of 0, 1, 2")
        return fold

    def names(self) -> Iterable[str]:
        """Names of the tensors in the file."""
        return self._tensors.keys() if self._packed is None else self._packed.keys()

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor.

        Raises:
            ModelError: the file lacks it.
        """
        if name not in self.names():
            raise ModelError(f"{self.path}: lacks the tensor {name}")
        return tuple(self._tensors[name].shape if self._packed is None else self._packed.get_slice(name).get_shape())

    def __getitem__(self, name: str) -> torch.Tensor:
        tensor: torch.Tensor = self._tensors[name] if self._packed is None else self._packed.get_tensor(name)
        return tensor

    def require_network(self, network: torch.nn.Module, plans: Path) -> None:
        """Checks that the file holds what a network needs, in its shapes, and nothing of another one.

        nnU-Net stores more than inference needs: a parameter under each of its names, and heads for training alone.

        Args:
            network: as `build_network` makes it.
            plans: the file that it was built from, for the error.

        Raises:
            ModelError: a tensor is missing, has another shape or is of no use.
        """
        for name, shape in parameter_shapes(network).items():
            if self.shape(name) != shape:
                raise ModelError(f"{self.path}: {name} has the shape {self.shape(name)}, {plans} asks for {shape}")
        all_names = network.state_dict().keys()
        for name in self.names():
            if name not in all_names and not name.startswith(("decoder.seg_layers.", "decoder.organ_seg_layers.")):
                raise ModelError(f"{self.path}: holds the tensor {name}, which the network of {plans} lacks")

    @property
    def _tensors(self) -> dict[str, torch.Tensor]:
        tensors: dict[str, torch.Tensor] = self._checkpoint["network_weights"]
        return tensors


def _open_packed(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: is no safetensors file, or truncated or damaged") from error
