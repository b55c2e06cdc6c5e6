"""Made-up cases for tests of simulated clicks, and what must be true of any clicks."""

import numpy as np
from scipy import ndimage


def make_random_case(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """PET (float32) with no image beyond one plane, and lesions (bool) of any size and place, also at the border."""
    generator = np.random.default_rng(seed)
    shape = tuple(generator.integers(16, 30, size=3))
    smooth = ndimage.gaussian_filter(generator.normal(size=shape), generator.uniform(0.5, 3))
    lesion_zyx = smooth > np.quantile(smooth, generator.uniform(0.8, 0.999))
    uptake = ndimage.gaussian_filter(generator.normal(size=shape), 1)
    pet_zyx = (uptake - uptake.min() + 2 * lesion_zyx).astype(np.float32)
    pet_zyx[generator.integers(10, 16) :] = 0
    return pet_zyx, lesion_zyx


def make_ball(shape: tuple[int, int, int], center: tuple[int, int, int], radius: float) -> np.ndarray:
    """A ball in a volume: bool, center in voxels (z, y, x), radius in voxels."""
    axes = np.ogrid[tuple(map(slice, shape))]
    squared = sum((axis - middle) ** 2 for axis, middle in zip(axes, center, strict=True))
    return np.asarray(squared <= radius**2)


def make_box(shape: tuple[int, ...], center: tuple[int, ...], reach: int) -> np.ndarray:
    """A box in a volume, from `reach` voxels before its center (z, y, x) to as many after it: bool."""
    box = np.zeros(shape, dtype=bool)
    box[tuple(slice(max(middle - reach, 0), middle + reach + 1) for middle in center)] = True
    return box


def check_clicks(clicks: np.ndarray, region: np.ndarray, budget: int) -> None:
    """Asserts that clicks (z, y, x) are voxels of a region (bool), none twice, and not more than the budget."""
    assert clicks.dtype == np.int64
    assert clicks.shape == (len(clicks), 3)
    assert len(clicks) <= budget
    assert len(np.unique(clicks, axis=0)) == len(clicks)
    assert (clicks >= 0).all()
    assert region[tuple(clicks.T)].all()
