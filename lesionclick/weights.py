"""A model folder: nnU-Net checkpoints or packed safetensors; read, pack, check.

dataset.json  plans.json  [prompt.json]
fold_<n>/checkpoint_final.pth      as nnU-Net v2 trains it
fold_<n>/weights.safetensors       as `pack` writes it, together with SHA256SUMS over every file of the folder
"""

import dataclasses
import hashlib
import json
import os
import pickle
import re
import shutil
import tempfile
import threading
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy._core.multiarray import scalar
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from lesionclick import network
from lesionclick.clicks import EDTEncoding, Encoding, encoding_from_json
from lesionclick.errors import ModelError
from lesionclick.preprocessing import Preprocessing

CHECKPOINT = "checkpoint_final.pth"
PACKED = "weights.safetensors"
SUMS = "SHA256SUMS"

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
        plans = _read_json(folder / "plans.json")
        dataset = _read_json(folder / "dataset.json")
        paths = _find_weights(folder)
        packed = [path for path in paths if path.name == PACKED]
        if packed:
            _verify_sums(folder, [folder / "plans.json", folder / "dataset.json", *packed])
        opened = [_Weights(path) for path in paths]
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
            raise ModelError(f"{plans_path}: {_reason(error)}") from error
        _check_dataset(folder / "dataset.json", dataset)

        stem = opened[0].shape("encoder.stem.convs.0.conv.weight")
        channels = stem[1] if len(stem) == 5 else 0
        if channels not in (2, 4):
            raise ModelError(f"{folds[0].path}: its network reads {channels} channels, expected 4, or 2 without clicks")
        try:
            skeleton = network.build_network(architecture, channels)
        except (KeyError, TypeError, ValueError, IndexError, AssertionError, RuntimeError) as error:
            raise ModelError(f"{plans_path}: {_reason(error)}") from error
        for fold, weights in zip(folds, opened, strict=True):
            weights.require(skeleton, plans_path)
            if not set(fold.mirror_axes) <= {0, 1, 2}:
                raise ModelError(f"{fold.path}: mirrors along the axes {fold.mirror_axes}, expected some of 0, 1, 2")

        prompt = folder / "prompt.json"
        encoding = encoding_from_json(_read_json(prompt), prompt) if prompt.exists() else EDTEncoding()
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
        weights = _Weights(fold.path)
        values = {name: weights[name].to(torch.float32) for name in network.parameter_shapes(result)}
        network.set_weights(result, values)
        return result


class _Weights:
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
            raise ModelError(f"{self.path}: {_reason(error)}") from error

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


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: not a JSON file: {error}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path}: expected a JSON object")
    return content


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


def _reason(error: Exception) -> str:
    return f"lacks the entry {error}" if isinstance(error, KeyError) else str(error)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error


def fingerprint(model: ModelFolder) -> str:
    """A sha256 sum of all that decides what a model predicts: its plans, its encoding and the weights of its folds."""
    sums = [_sha256(model.path / "plans.json"), json.dumps(model.encoding.to_json())]
    sums += [f"{fold.name} {_sha256(fold.path)}" for fold in model.folds]
    return hashlib.sha256("\n".join(sums).encode()).hexdigest()


def _verify_sums(folder: Path, used: Sequence[Path]) -> None:
    """Raises ModelError unless every file of the manifest is as it was, and every file in use is in the manifest."""
    manifest = folder / SUMS
    if not manifest.is_file():
        raise ModelError(f"{manifest}: is missing, a packed model folder holds it")
    sums = {}
    for line in manifest.read_text(errors="replace").splitlines():
        found = re.fullmatch(r"([0-9a-f]{64}) [ *](\S.*)", line)
        if not found or ".." in Path(found[2]).parts or Path(found[2]).is_absolute():
            raise ModelError(f"{manifest}: the line {line[:80]!r} is not a sha256 sum and a file of the folder")
        sums[folder / found[2]] = found[1]
    optional = folder / "prompt.json"
    for path in (*used, *([optional] if optional.exists() else [])):
        if path not in sums:
            raise ModelError(f"{path}: is not in {manifest}")
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for path, found_sum in zip(sums, threads.map(_sha256, sums), strict=True):
            if found_sum != sums[path]:
                raise ModelError(f"{path}: is not the file that was packed, its sha256 sum differs from {manifest}")


def pack(folder: Path, out: Path, dtype: torch.dtype = torch.float16) -> ModelFolder:
    """Writes a model folder with the inference weights alone, each tensor once, as safetensors.

    Args:
        folder: a model folder, packed or not.
        out: the new folder; must not exist. It appears whole or not at all.
        dtype: of the stored kernels, float16, bfloat16 or float32; vectors and the first and last layer stay float32.

    Returns:
        The new folder, read back and checked.

    Raises:
        ModelError: `folder` is broken, `out` exists or cannot be written, or a weight does not fit into `dtype`.
    """
    model = ModelFolder.read(folder)
    if out.exists():
        raise ModelError(f"{out}: already exists, expected a new folder")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise ModelError(f"{out}: cannot be written: {error.strerror}") from error
    try:
        for name in ("plans.json", "dataset.json"):
            shutil.copyfile(model.path / name, temporary / name)
        (temporary / "prompt.json").write_text(json.dumps(model.encoding.to_json()) + "\n")
        for fold in model.folds:
            target = temporary / fold.path.parent.name / PACKED
            target.parent.mkdir()
            _pack_fold(model, fold, target, dtype)
        files = sorted(path for path in temporary.rglob("*") if path.is_file())
        sums = "".join(f"{_sha256(path)}  {path.relative_to(temporary).as_posix()}\n" for path in files)
        (temporary / SUMS).write_text(sums)
        for path in [*files, temporary / SUMS]:
            path.chmod(0o644)  # neither mkdtemp nor safetensors lets others read, such as a container's user
        temporary.chmod(0o755)
        temporary.rename(out)
    except OSError as error:
        raise ModelError(f"{out}: cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return ModelFolder.read(out)


def _pack_fold(model: ModelFolder, fold: Fold, target: Path, dtype: torch.dtype) -> None:
    tensors = {}
    for name, parameter in model.load(fold).named_parameters():
        stored_as = dtype if _is_inner_kernel(name, parameter) else torch.float32
        tensors[name] = parameter.detach().to(stored_as).contiguous()
        if not tensors[name].isfinite().all():
            raise ModelError(f"{fold.path}: {name} is not finite, or not when stored as {stored_as}")
    stored = {"configuration": fold.configuration, "mirror_axes": fold.mirror_axes, "trainer": fold.trainer}
    save_file(tensors, target, metadata={"lesionclick": json.dumps(stored)})


def _is_inner_kernel(name: str, parameter: torch.Tensor) -> bool:
    """Whether a parameter is one of the kernels that make up nearly all of a network's size.

    The others, the first and the last layer's kernels and all vectors, cost next to nothing in float32 and are where
    rounding would show most.
    """
    return parameter.ndim > 1 and not name.startswith(("encoder.stem.", "decoder.seg_layers."))


def verify(model: ModelFolder) -> None:
    """Reads every byte of a model folder's weights, which `ModelFolder.read` leaves on disk where it can.

    Raises:
        ModelError: a checkpoint's checksums do not fit its bytes, or a weight is not finite.
    """
    for fold in model.folds:
        if fold.path.name == CHECKPOINT:
            with zipfile.ZipFile(fold.path) as archive:
                damaged = archive.testzip()
            if damaged:
                raise ModelError(f"{fold.path}: is damaged, the checksum of {damaged} inside it is wrong")
        for name, parameter in model.load(fold).named_parameters():
            if not parameter.isfinite().all():
                raise ModelError(f"{fold.path}: {name} holds NaN or infinite values")


def describe(model: ModelFolder) -> str:
    """What a model folder is, a line each for a reader of `lesionclick check`."""
    axes = sorted({fold.mirror_axes for fold in model.folds})
    channels = "CT, PET, tumor clicks, background clicks" if model.channels == 4 else "CT, PET (takes no clicks)"
    encoding = ", ".join(f"{key} {value}" for key, value in model.encoding.to_json().items())
    rows = {
        "model": str(model.path),
        "description": model.description or "none",
        "folds": ", ".join(fold.name for fold in model.folds),
        "parameters": f"{model.parameters:,} a network",
        "patch": f"{' x '.join(map(str, model.patch))} voxels",
        "spacing": f"{' x '.join(f'{value:g}' for value in model.preprocessing.spacing)} mm",
        "channels": channels,
        "prompt": encoding if model.channels == 4 else "none",
        "mirroring": "; ".join(f"axes {', '.join(map(str, each))}" if each else "none" for each in axes),
        "trainer": ", ".join(sorted({fold.trainer for fold in model.folds})),
        "storage": _storage(model.folds),
    }
    return "\n".join(f"{key:12} {value}" for key, value in rows.items())


def _storage(folds: Iterable[Fold]) -> str:
    types = set()
    for fold in folds:
        weights = _Weights(fold.path)
        types |= {str(weights[name].dtype).removeprefix("torch.") for name in weights.names()}
    names = sorted({fold.path.name for fold in folds})
    size = sum(fold.path.stat().st_size for fold in folds)
    return f"{', '.join(names)} ({', '.join(sorted(types))}), {size / 1e6:.1f} MB"
