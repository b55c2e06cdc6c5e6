"""Weights of one fold on disk: a checkpoint of nnU-Net or a packed file, read through the same methods."""

import json
import logging
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from lesionclick.case.organs import ORGAN_CLASSES, ORGANS
from lesionclick.errors import ModelError
from lesionclick.files import describe_error, require_no_lfs_pointer, require_regular, short_json
from lesionclick.model.checkpoint import read_checkpoint, require_undamaged
from lesionclick.model.files import PACKED_FILE, fold_name
from lesionclick.model.plans import decisive_part, find_difference
from lesionclick.model.schema import read_mirror_axes
from lesionclick.model.unet import LESION_HEADS, ORGAN_HEADS, STEM_KERNEL, organ_head_name, parameter_shapes

logger = logging.getLogger(__name__)

METADATA_KEY = "lesionclick"
"""Where a packed file keeps, as JSON, what else a checkpoint says of a fold."""


MAX_PACKED_HEADER = 4 << 20
"""Bytes of a packed file's header; that of the published network has some 60 thousand."""

NUMBER_FORMATS = ("float16", "bfloat16", "float32", "float64")
"""Of weights."""

_PACKED_FORMATS = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"}

_MAX_NAME = 200  # characters of a configuration's or a trainer's name


@dataclass(frozen=True)
class Fold:
    """One network of a model folder.

    Attributes:
        path: of its weights.
        configuration: name of the plans' configuration that it was trained with.
        mirror_axes: spatial axes along which it may be mirrored.
        trainer: name of nnU-Net's trainer, for information only.
        has_organ_head: whether it also predicts `case.organs.ORGANS`.
    """

    path: Path
    configuration: str
    mirror_axes: tuple[int, ...]
    trainer: str
    has_organ_head: bool = False

    @property
    def name(self) -> str:
        """What stands behind "fold_" in its folder's name: a number or "all"."""
        return fold_name(self.path.parent.name) or self.path.parent.name

    def metadata(self, plans: Mapping[str, Any], encoding: Mapping[str, Any]) -> dict[str, str]:
        """What a packed file keeps of the fold beside its tensors, as `WeightsFile` reads it.

        Args:
            plans: `plans.decisive_part` of the model folder.
            encoding: the content of its prompt.json.
        """
        stored = {"configuration": self.configuration, "mirror_axes": self.mirror_axes, "trainer": self.trainer}
        if self.has_organ_head:
            stored["organs"] = ORGANS
        return {METADATA_KEY: json.dumps({**stored, "plans": plans, "encoding": encoding})}


class WeightsFile:
    """Read access to one fold's file, packed or not; each tensor is read when it is asked for."""

    def __init__(self, path: Path) -> None:
        """Opens a file.

        Raises:
            ModelError: it is missing, damaged or not of its kind, or a checkpoint names code to run.
        """
        self.path = path
        self._packed: Any = _open_packed(path) if path.name == PACKED_FILE else None
        self._checkpoint: dict[str, Any] = read_checkpoint(path) if self._packed is None else {}
        self._packed_metadata = self._read_metadata() if self._packed is not None else {}

    def read_fold(self) -> Fold:
        """What the file says of its fold.

        Raises:
            ModelError: it lacks something.
        """
        try:
            if self._packed is not None:
                stored = self._packed_metadata
            else:
                stored = {
                    "configuration": self._checkpoint["init_args"]["configuration"],
                    "mirror_axes": self._checkpoint["inference_allowed_mirroring_axes"],
                    "trainer": self._checkpoint.get("trainer_name", "unknown"),
                }
            names = stored["configuration"], stored["trainer"]
            for name in names:
                if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME or not name.isprintable():
                    raise ValueError(f"{name!r:.60} is no name of a configuration or a trainer")
            return Fold(self.path, names[0], read_mirror_axes(stored["mirror_axes"]), names[1])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{self.path}: {describe_error(error)}") from error

    def require_plans(self, plans: Mapping[str, Any], path: Path) -> None:
        """Checks that the fold was trained with the model folder's plans, as far as they decide a prediction.

        A checkpoint keeps the plans of its training, and a packed file their decisive part; of a file that keeps
        neither, as older packed ones, this cannot be said.

        Args:
            plans: `plans.decisive_part` of the model folder.
            path: its plans file, for the error.

        Raises:
            ModelError: they differ, or the file's own plans are broken.
        """
        try:
            if self._packed is not None:
                own = self._packed_metadata.get("plans")
            else:
                own = self._checkpoint["init_args"].get("plans")
                if isinstance(own, dict):
                    own = decisive_part(own, self._checkpoint["init_args"]["configuration"])
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise ModelError(f"{self.path}: the plans of its training: {describe_error(error)}") from error
        if not isinstance(own, dict):
            logger.info("%s does not say what plans it was trained with: they are not compared", self.path)
            return
        found = find_difference(own, plans)
        if found:
            name, trained, planned = found
            raise ModelError(
                f"{self.path}: was trained with {name} {short_json(trained)}, but {path} says {short_json(planned)}"
            )

    def require_encoding(self, encoding: Mapping[str, Any], path: Path) -> None:
        """Checks that a packed file was packed with the model folder's encoding of clicks; others do not tell theirs.

        Args:
            encoding: the content of the model folder's prompt.json.
            path: of that file, for the error.

        Raises:
            ModelError: it was another one.
        """
        own = encoding if self._packed is None else self._packed_metadata.get("encoding", encoding)
        if own != encoding:
            raise ModelError(
                f"{self.path}: was packed with clicks shown as {short_json(own)}, but {path} says"
                f" {short_json(encoding)}"
            )

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
            self._require_real(name)
        all_names = network.state_dict().keys()
        for name in self.names():
            if name not in all_names and not name.startswith((LESION_HEADS, ORGAN_HEADS)):
                raise ModelError(f"{self.path}: holds the tensor {name}, which the network of {plans} lacks")

    def organ_head(self, network: torch.nn.Module) -> list[str]:
        """The names of the parameters of the head for organs at full resolution; none where the file has no such head.

        Args:
            network: for lesions, as `build_network` makes it.
        """
        shapes = parameter_shapes(network).items()
        wanted = {organ_head_name(name): shape for name, shape in shapes if name.startswith(LESION_HEADS)}
        if not wanted.keys() <= set(self.names()):
            return []
        if any(self.shape(name) != (ORGAN_CLASSES, *shape[1:]) for name, shape in wanted.items()):
            return []  # of other organs
        if self._packed is not None and self._packed_metadata.get("organs") != list(ORGANS):
            return []
        for name in wanted:
            self._require_real(name)
        return list(wanted)

    def read(self, names: Mapping[str, str]) -> dict[str, torch.Tensor]:
        """Parameters of a network as float32, all of them finite.

        Args:
            names: in the file, by the network's names.

        Raises:
            ModelError: a checkpoint is damaged, a value is not finite, or the first or the last kernel is 0 everywhere.
        """
        require_undamaged(self.path)
        values = {}
        for name, stored in names.items():
            values[name] = self[stored].to(torch.float32)
            highest = require_finite(self.path, stored, values[name])
            is_last_kernel = name.startswith(LESION_HEADS) and values[name].ndim > 1
            if highest == 0 and (name == STEM_KERNEL or is_last_kernel):
                raise ModelError(f"{self.path}: {stored} is 0 everywhere, expected weights of a trained network")
        return values

    def _require_real(self, name: str) -> None:
        if self._packed is None:
            number_format = str(self._tensors[name].dtype).removeprefix("torch.")
        else:
            stored = self._packed.get_slice(name).get_dtype()
            number_format = _PACKED_FORMATS.get(stored, stored)
        if number_format not in NUMBER_FORMATS:
            raise ModelError(
                f"{self.path}: {name} holds numbers of the type {number_format}, expected {', '.join(NUMBER_FORMATS)}"
            )

    def _read_metadata(self) -> dict[str, Any]:
        try:
            stored = json.loads((self._packed.metadata() or {})[METADATA_KEY])
            if not isinstance(stored, dict):
                raise ValueError(f"its entry {METADATA_KEY!r} is {short_json(stored)}, expected a JSON object")
        except (KeyError, ValueError, RecursionError) as error:
            raise ModelError(f"{self.path}: {describe_error(error)}") from error
        return stored

    @property
    def _tensors(self) -> dict[str, torch.Tensor]:
        tensors: dict[str, torch.Tensor] = self._checkpoint["network_weights"]
        return tensors


def require_finite(path: Path, name: str, tensor: torch.Tensor) -> float:
    """The largest magnitude in a tensor; ModelError where it holds NaN or infinite values."""
    low, high = (value.item() for value in torch.aminmax(tensor)) if tensor.numel() else (0.0, 0.0)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ModelError(f"{path}: {name} holds NaN or infinite values")
    return float(max(-low, high))


def _open_packed(path: Path) -> Any:
    require_regular(path, ModelError, "packed weights")
    try:
        require_no_lfs_pointer(path, ModelError, "the weights (git lfs pull fetches them)")
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")  # of the header that follows, as safetensors documents
            if size > min(MAX_PACKED_HEADER, os.fstat(file.fileno()).st_size):
                raise ModelError(
                    f"{path}: is no safetensors file, or truncated or damaged: its header has {size:,} bytes, expected"
                    f" at most {MAX_PACKED_HEADER:,}"
                )
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        reason = describe_error(error)
        raise ModelError(f"{path}: is no safetensors file, or truncated or damaged: {reason}") from error
