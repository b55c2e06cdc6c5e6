"""Parts of a mask: its connected components by 26 neighbors."""

import numpy as np
from scipy import ndimage


def largest_part(mask_zyx: np.ndarray) -> np.ndarray:
    """The largest connected part of a mask, bool; of several as large the first, and nothing of an empty mask."""
    parts, count = ndimage.label(mask_zyx, np.ones((3, 3, 3)))
    if count < 2:
        return mask_zyx
    largest: np.ndarray = parts == np.bincount(parts.ravel())[1:].argmax() + 1
    return largest
