"""SUVpeak: the highest mean uptake of a sphere of one milliliter about a voxel of a lesion."""

import math
from collections.abc import Sequence

import numpy as np

SPHERE_RADIUS_MM = 10 * (3 / (4 * math.pi)) ** (1 / 3)
"""Of one milliliter, 6.2 mm: PERCIST 1.0 (Wahl et al., J Nucl Med 2009, 50 Suppl 1, 122S) asks for about 1.2 cm
across."""


def sphere_means(pet_zyx: np.ndarray, voxels_zyx: np.ndarray, spacing_zyx: Sequence[float]) -> np.ndarray:
    """The mean uptake of the sphere about each of some voxels.

    The sphere consists of whole voxels: of those whose centers lie no farther from its own center than its radius, as
    IBSI defines the intensity peak (arXiv 1612.07003, section 3.2). Voxels outside of the image do not count.

    Args:
        pet_zyx: SUV.
        voxels_zyx: indices, (n, 3).
        spacing_zyx: mm.

    Returns:
        float64, (n,).
    """
    if not len(voxels_zyx):
        return np.zeros(0)
    reach = [int(SPHERE_RADIUS_MM / step) for step in spacing_zyx]
    # only what the spheres touch, with a border that does not count
    low = voxels_zyx.min(axis=0) - reach
    high = voxels_zyx.max(axis=0) + reach + 1
    box = tuple(slice(max(start, 0), stop) for start, stop in zip(low, high, strict=True))
    part = pet_zyx[box]
    before = np.maximum(-low, 0)
    border = [
        (int(first), int(stop - start - first - size))
        for first, start, stop, size in zip(before, low, high, part.shape, strict=True)
    ]
    uptake = np.pad(part, border).ravel()
    shape = tuple(high - low)
    counts = None
    if any(any(pair) for pair in border):
        counts = np.pad(np.ones(part.shape, dtype=np.uint8), border).ravel()
    positions = np.ravel_multi_index(tuple((voxels_zyx - low).T), shape)
    total, number = np.zeros(len(positions)), np.zeros(len(positions))
    for offset in _sphere_offsets(spacing_zyx, reach):
        there = positions + np.ravel_multi_index(tuple(offset + reach), shape) - np.ravel_multi_index(reach, shape)
        total += uptake[there]
        number += 1 if counts is None else counts[there]
    means: np.ndarray = total / number
    return means


def _sphere_offsets(spacing_zyx: Sequence[float], reach: Sequence[int]) -> np.ndarray:
    """Steps from a sphere's central voxel to each of its voxels, (n, 3)."""
    steps = np.stack(np.meshgrid(*(np.arange(-each, each + 1) for each in reach), indexing="ij"), axis=-1).reshape(
        -1, 3
    )
    inside = ((steps * np.asarray(spacing_zyx)) ** 2).sum(axis=1) <= SPHERE_RADIUS_MM**2
    offsets: np.ndarray = steps[inside]
    return offsets
