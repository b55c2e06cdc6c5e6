"""Made-up training patch for tests of augmentation."""

import numpy as np
import torch
from scipy import ndimage

PATCH_SHAPE = (20, 22, 24)


def make_patch() -> tuple[torch.Tensor, torch.Tensor]:
    """CT and PET, both normalized, and lesions and organs: (2, z, y, x) each; the lesion holds 10 clicks and more."""
    image = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(2, *PATCH_SHAPE)), (0, 1, 1, 1))
    segmentation = np.zeros((2, *PATCH_SHAPE), dtype=np.int16)
    segmentation[0, 5:11, 6:12, 7:13] = 1
    segmentation[1, 12:, 12:, 12:] = 3
    return torch.from_numpy(image.astype(np.float32)), torch.from_numpy(segmentation)
