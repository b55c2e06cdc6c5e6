"""Weights on disk: nnU-Net's checkpoints, read without running code from them, and packed safetensors."""

import json
import pickle
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy._core.multiarray import scalar
from safetensors import SafetensorError, safe_open

from lesionclick.errors import ModelError
from lesionclick.files import describe_error
from lesionclick.model import unet as network

CHECKPOINT = "checkpoint_final.pth"

PACKED = "weights.safetensors"

# All that nnU-Net's checkpoints hold beside tensors and plain containers: the numbers of its training log.
_NUMPY_TYPES: list[Any] = [
    np.dtype,
    *(type(np.dtype(name)) for name in ("bool", "int32", "int64", "float16", "float32", "float64")),
    scalar,
    (scalar, "numpy.core.multiarray.scalar"),  # as numpy 1 names it
]

_SAFE_GLOBALS = threading.Lock()  # what torch.load may name is one list for all threads


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
        return self.path.parent.name.removeprefix("fold_")


class WeightsFile:
    """Read access to the tensors of one fold's file, packed or not, each read when asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = _open_packed(path) if path.name == PACKED else None
        self._checkpoint = {} if path.name == PACKED else read_checkpoint(path)

    def describe(self) -> Fold:
        """The file's metadata."""
        try:
            if self._file is not None:
                stored = json.loads((self._file.metadata() or {})["lesionclick"])
            else:
                stored = {
                    "configuration": self._checkpoint["init_args"]["configuration"],
                    "mirror_axes": self._checkpoint["inference_allowed_mirroring_axes"],
                    "trainer": self._checkpoint.get("trainer_name", "unknown"),
                }
            mirror_axes = tuple(int(axis) for axis in stored["mirror_axes"] or ())
            return Fold(self.path, str(stored["configuration"]), mirror_axes, str(stored["trainer"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{self.path}: {describe_error(error)}") from error

    @property
    def _state(self) -> dict[str, torch.Tensor]:
        return self._checkpoint["network_weights"]

    def names(self) -> Iterable[str]:
        return self._file.keys() if self._file is not None else self._state.keys()

    def shape(self, name: str) -> tuple[int, ...]:
        if name not in self.names():
            raise ModelError(f"{self.path}: lacks the tensor {name}")
        return tuple(self._file.get_slice(name).get_shape() if self._file is not None else self._state[name].shape)

    def __getitem__(self, name: str) -> torch.Tensor:
        return self._file.get_tensor(name) if self._file is not None else self._state[name]

    def require(self, skeleton: torch.nn.Module, plans: Path) -> None:
        """Raises ModelError unless the file holds what a network needs, in its shapes, and nothing of another one.

        nnU-Net stores more than inference needs: a parameter under each of its names, and heads for training alone.
        """
        for name, shape in network.parameter_shapes(skeleton).items():
            if self.shape(name) != shape:
                raise ModelError(f"{self.path}: {name} has the shape {self.shape(name)}, {plans} asks for {shape}")
        all_names = skeleton.state_dict().keys()
        for name in self.names():
            if name not in all_names and not name.startswith(("decoder.seg_layers.", "decoder.organ_seg_layers.")):
                raise ModelError(f"{self.path}: holds the tensor {name}, which the network of {plans} lacks")


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Reads an nnU-Net checkpoint without running code from it; its tensors stay on disk until they are used.

    Raises:
        ModelError: the file is missing, damaged, no checkpoint of nnU-Net v2, or names code to run.
    """
    try:
        with _SAFE_GLOBALS, torch.serialization.safe_globals(_NUMPY_TYPES):
            checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"names {found[1]}, which could run code when read" if found else "its pickle is damaged"
        raise ModelError(f"{path}: is refused, {reason}") from error
    except Exception as error:  # torch names no set of exceptions for a damaged file
        raise ModelError(f"{path}: is no checkpoint that torch can read, the file is truncated or damaged") from error
    weights = checkpoint.get("network_weights") if isinstance(checkpoint, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise ModelError(f"{path}: holds no network_weights, expected a checkpoint of nnU-Net v2")
    return checkpoint


def _open_packed(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: is no safetensors file, or truncated or damaged") from error
