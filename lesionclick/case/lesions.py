"""Lesions of a mask: connected components as the challenge counts them, by their 18 neighbors."""

import cc3d
import numpy as np


def label_lesions(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Numbers the lesions of a mask.

    Args:
        mask: three axes in any order, not 0 in lesions.

    Returns:
        An integer array of the mask's shape, 0 outside and 1 to count inside, and the count.
    """
    numbers, count = cc3d.connected_components(mask.astype(bool), connectivity=18, return_N=True)
    return numbers, count
