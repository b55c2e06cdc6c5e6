"""Patch centers: voxels of a case around which nnU-Net's loader may be led to place a patch."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def some_of(flat: np.ndarray, shape: Sequence[int], most: int) -> np.ndarray:
    """Voxels by their flat indices, at most `most`, by numpy's global state: (voxels, 3), z, y, x."""
    if flat.size > most:
        flat = np.random.choice(flat, most, replace=False)
    return np.stack(np.unravel_index(flat, tuple(shape)), axis=1)


def around_one_of(voxels: np.ndarray, properties: dict[str, Any]) -> dict[str, Any]:
    """A case's properties whose `class_locations` are one of some voxels (z, y, x), from numpy's global state."""
    location = np.insert(voxels[[np.random.randint(len(voxels))]], 0, 0, axis=1)  # in channel 0
    return {**properties, "class_locations": {1: location}}
