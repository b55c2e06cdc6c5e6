"""Packing a model folder: the weights that inference needs and nothing else, smaller and with checksums."""

import json
import shutil
import tempfile
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from lesionclick.errors import ModelError
from lesionclick.files import describe_error
from lesionclick.model.checksums import write_checksums
from lesionclick.model.files import DATASET_FILE, PACKED_FILE, PLANS_FILE, PROMPT_FILE, fold_folder
from lesionclick.model.folder import ModelFolder
from lesionclick.model.unet import LESION_HEADS, ORGAN_HEADS
from lesionclick.model.weights import Fold


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
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as temporary:
            _write_packed(model, Path(temporary, out.name), dtype).rename(out)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{out}: cannot be written: {describe_error(error)}") from error
    return ModelFolder.read(out)


def _write_packed(model: ModelFolder, out: Path, dtype: torch.dtype) -> Path:
    out.mkdir()
    for name in (PLANS_FILE, DATASET_FILE):
        shutil.copyfile(model.path / name, out / name)
    (out / PROMPT_FILE).write_text(json.dumps(model.encoding.to_json()) + "\n")
    for fold in model.folds:
        pack_fold(model, fold, out / fold_folder(fold.name), dtype)
    write_checksums(out)
    return out


def pack_fold(model: ModelFolder, fold: Fold, out: Path, dtype: torch.dtype) -> None:
    """Writes the inference weights of one network, with its head for organs where it has one.

    Args:
        model: the model folder that holds it.
        fold: the network.
        out: folder to make and to write weights.safetensors to.
        dtype: of the stored kernels, see `pack`.

    Raises:
        ModelError: the weights are damaged or do not fit into `dtype`.
        OSError, SafetensorError: the file cannot be written.
    """
    tensors = {}
    for name, parameter in (*model.load(fold).named_parameters(), *model.organ_head(fold).items()):
        stored_as = dtype if _is_inner_kernel(name, parameter) else torch.float32
        tensors[name] = parameter.detach().to(stored_as).contiguous()
        if not tensors[name].isfinite().all():
            raise ModelError(f"{fold.path}: {name} is not finite, or not when stored as {stored_as}")
    out.mkdir()
    target = out / PACKED_FILE
    save_file(tensors, target, metadata=fold.metadata(model.plans, model.encoding.to_json()))
    target.chmod(0o644)  # safetensors lets none but the owner read, and a container's user is another


def _is_inner_kernel(name: str, parameter: torch.Tensor) -> bool:
    """Whether a parameter is one of the kernels that make up nearly all of a network's size.

    The others, the first and the last layers' kernels and all vectors, cost next to nothing in float32 and are where
    rounding would show most.
    """
    return parameter.ndim > 1 and not name.startswith(("encoder.stem.", LESION_HEADS, ORGAN_HEADS))
