"""Masks: how well two of them agree."""

import numpy as np


def dice(first: np.ndarray, second: np.ndarray) -> float:
    """Overlap of two masks of 0 and 1; 1 where both are empty."""
    total = int(first.sum(dtype=np.int64) + second.sum(dtype=np.int64))
    return 2 * int(np.count_nonzero((first != 0) & (second != 0))) / total if total else 1.0
