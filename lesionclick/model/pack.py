"""Packing a model folder: its inference weights alone, smaller and with checksums; what a folder is, in words."""

import hashlib
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import save_file

from lesionclick.errors import ModelError
from lesionclick.files import describe_error
from lesionclick.model.checkpoint import CHECKPOINT, PACKED, Fold, WeightsFile
from lesionclick.model.checksums import SUMS, sha256_of
from lesionclick.model.folder import ModelFolder


def fingerprint(model: ModelFolder) -> str:
    """A sha256 sum of all that decides what a model predicts: its plans, its encoding and the weights of its folds."""
    sums = [sha256_of(model.path / "plans.json"), json.dumps(model.encoding.to_json())]
    sums += [f"{fold.name} {sha256_of(fold.path)}" for fold in model.folds]
    return hashlib.sha256("\n".join(sums).encode()).hexdigest()


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
        raise ModelError(f"{out}: cannot be written: {describe_error(error)}") from error
    try:
        for name in ("plans.json", "dataset.json"):
            shutil.copyfile(model.path / name, temporary / name)
        (temporary / "prompt.json").write_text(json.dumps(model.encoding.to_json()) + "\n")
        for fold in model.folds:
            target = temporary / fold.path.parent.name / PACKED
            target.parent.mkdir()
            _pack_fold(model, fold, target, dtype)
        files = sorted(path for path in temporary.rglob("*") if path.is_file())
        sums = "".join(f"{sha256_of(path)}  {path.relative_to(temporary).as_posix()}\n" for path in files)
        (temporary / SUMS).write_text(sums)
        for path in [*files, temporary / SUMS]:
            path.chmod(0o644)  # neither mkdtemp nor safetensors lets others read, such as a container's user
        temporary.chmod(0o755)
        temporary.rename(out)
    except OSError as error:
        raise ModelError(f"{out}: cannot be written: {describe_error(error)}") from error
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
        weights = WeightsFile(fold.path)
        types |= {str(weights[name].dtype).removeprefix("torch.") for name in weights.names()}
    names = sorted({fold.path.name for fold in folds})
    size = sum(fold.path.stat().st_size for fold in folds)
    return f"{', '.join(names)} ({', '.join(sorted(types))}), {size / 1e6:.1f} MB"
