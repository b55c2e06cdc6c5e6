"""Checkpoints of nnU-Net v2, read without running code from them."""

import pickle
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy._core.multiarray import _reconstruct, scalar

from lesionclick.errors import ModelError

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
        ModelError: the file is missing, damaged, no checkpoint of nnU-Net v2, or names code to run.
    """
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
    return dict(checkpoint)
