"""Masses: the shapes and the uneven uptake of tumors, from nodes of a few voxels to sarcomas of liters."""

import numpy as np

from lesionclick_training.phantom.shapes import Distance, Solid, Waves, ellipsoid, rotation, union


def radius_of(ml: float) -> float:
    """The radius in mm of a sphere of a volume."""
    return float((3000 * ml / (4 * np.pi)) ** (1 / 3))


def conglomerate(rng: np.random.Generator, center: np.ndarray, radius: float, elongation: float) -> Solid:
    """Several bumpy lobes that have grown into one tumor; `elongation` along z, as in a limb."""
    lobes = int(rng.integers(2, 6))
    each = radius * (1.25 / lobes) ** (1 / 3)
    solids = []
    for lobe in range(lobes):
        way = rng.normal(size=3) * (elongation, 1 / elongation, 1 / elongation)
        beside = center + (0.0 if lobe == 0 else 0.75 * radius) * way / max(float(np.linalg.norm(way)), 1e-6)
        axes = np.exp(rng.normal(0, 0.15, size=3)) * (elongation, elongation**-0.5, elongation**-0.5)
        axes *= each * rng.uniform(0.75, 1.2) / np.prod(axes) ** (1 / 3)
        bumps = Waves(rng, 1.3 * each, rng.uniform(0.05, 0.14) * each, count=8)
        solids.append(ellipsoid(beside, axes, rotation(*rng.uniform(-25, 25, size=3)), bumps))
    return union(solids, rounding=0.4 * each)


def uneven_uptake(
    rng: np.random.Generator, solid: Solid, radius: float, unevenness: float, necrosis: float
) -> Distance:
    """How much more (or less: down to -1) uptake a tumor has at points than on average.

    Args:
        rng: what is drawn from.
        solid: the tumor.
        radius: of a sphere of about its volume, mm.
        unevenness: standard deviation of the uptake's logarithm.
        necrosis: how much of the uptake is missing in its middle, 0 to 1.
    """
    coarse = Waves(rng, 1.2 * radius + 6, 0.8 * unevenness, count=8)
    fine = Waves(rng, 0.5 * radius + 6, 0.6 * unevenness, count=8)
    holes = Waves(rng, 1.1 * radius + 4, 0.25 * radius, count=8)
    thickness = rng.uniform(0.2, 0.45) * radius

    def relative(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        level = np.exp(coarse(z, y, x) + fine(z, y, x))
        if necrosis > 0:
            depth = -solid.distance(z, y, x) - thickness + holes(z, y, x)
            level = level * (1 - necrosis * np.clip(0.5 + depth / 4, 0, 1))
        change: np.ndarray = level - 1
        return change

    return relative
