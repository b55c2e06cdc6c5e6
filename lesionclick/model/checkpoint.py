"""Checkpoints of nnU-Net v2, read without running code from them."""

import pickle
import re
import threading
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy._core.multiarray import _reconstruct, scalar

from lesionclick.errors import ModelError
from lesionclick.files import describe_error, require_no_lfs_pointer, require_regular
from lesionclick.model.files import PACKED_FILE

MAX_PICKLE_BYTES = 256 << 20
"""Of what a checkpoint holds beside its tensors; the log of 1000 epochs has less than a megabyte."""

_PICKLE = "data.pkl"

_NUMBERS = ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")

# All that nnU-Net's checkpoints hold beside tensors and plain containers: the numbers of its training log, and arrays
# of them. An array of objects needs a type that is not among these.
_NUMPY_TYPES: list[Any] = [
    np.dtype,
    *(type(np.dtype(name)) for name in (*_NUMBERS, "float16", "float32", "float64")),
    np.ndarray,
    scalar,
    _reconstruct,
    (scalar, "numpy.core.multiarray.scalar"),  # as numpy 1 names them
    (_reconstruct, "numpy.core.multiarray._reconstruct"),
]

_SAFE_GLOBALS = threading.Lock()  # torch keeps one list of what a checkpoint may name, for all threads


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Reads an nnU-Net checkpoint without running code from it; its tensors stay on disk until they are used.

    Raises:
        ModelError: the file is missing, damaged, no checkpoint of nnU-Net v2, unpacks to more than it is, or names
            code to run.
    """
    _require_stored(path)
    try:
        with _SAFE_GLOBALS, torch.serialization.safe_globals(_NUMPY_TYPES):
            checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"names {found[1]}, which could run code when read" if found else "its pickle is damaged"
        raise ModelError(f"{path}: is refused, {reason}") from error
    except Exception as error:  # torch documents no set of exceptions for a damaged file
        raise ModelError(f"{path}: is no checkpoint that torch can read, the file is truncated or damaged") from error
    weights = checkpoint.get("network_weights") if isinstance(checkpoint, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise ModelError(f"{path}: holds no network_weights, expected a checkpoint of nnU-Net v2")
    for name, tensor in weights.items():
        if not isinstance(name, str):
            raise ModelError(f"{path}: its network_weights have the name {name!r:.60}, expected names of parameters")
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
            raise ModelError(f"{path}: {name} is sparse, quantized or without values, expected a plain tensor")
    return dict(checkpoint)


def _require_stored(path: Path) -> None:
    """Raises ModelError where a file is no zip as torch writes it: members as they are, without compression."""
    require_regular(path, ModelError, "a checkpoint")
    try:
        require_no_lfs_pointer(path, ModelError, "the weights (git lfs pull fetches them)")
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise ModelError(
            f"{path}: is no checkpoint that torch can read, the file is truncated or damaged: {describe_error(error)}"
        ) from error
    names = {member.filename for member in members}
    if len(names) < len(members):
        raise ModelError(f"{path}: is no checkpoint that torch can read, it holds a member twice")
    for member in members:
        bound = MAX_PICKLE_BYTES if member.filename.endswith(_PICKLE) else member.compress_size
        if member.compress_type != zipfile.ZIP_STORED or member.file_size > bound:
            raise ModelError(
                f"{path}: is refused, {member.filename} in it unpacks to {member.file_size / 1e6:.0f} MB, expected no"
                f" compression and at most {MAX_PICKLE_BYTES / 1e6:.0f} MB beside tensors"
            )


def require_undamaged(path: Path) -> None:
    """Compares every byte of a checkpoint with the checksums inside it, once as long as the file is the same.

    Of a packed file SHA256SUMS has done it.

    Raises:
        ModelError: they differ.
    """
    if path.name == PACKED_FILE:
        return
    try:
        status = path.stat()
        damaged = _damaged_member(path, status.st_size, status.st_mtime_ns)
    except (OSError, zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise ModelError(f"{path}: is damaged: {describe_error(error)}") from error
    if damaged:
        raise ModelError(f"{path}: is damaged, the checksum of {damaged} inside it is wrong")


@lru_cache(maxsize=256)
def _damaged_member(path: Path, size: int, changed: int) -> str | None:
    """The name of a member whose checksum is wrong; size and time of change tell one state of the file from another."""
    with zipfile.ZipFile(path) as archive:
        return archive.testzip()
