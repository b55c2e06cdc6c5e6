"""Contours of lesions as readers draw them: near the true outline or at a threshold, and never quite right."""

from collections.abc import Sequence

import numpy as np

from lesionclick_training.data.parts import largest_part
from lesionclick_training.phantom.foci import Focus
from lesionclick_training.phantom.masses import radius_of
from lesionclick_training.phantom.population import Reading, draw
from lesionclick_training.phantom.shapes import Grid, Solid, Waves

THRESHOLD_UP_TO_ML = 30.0
"""Larger lesions are drawn by hand: a threshold would leave out what is necrotic."""

LEAK_MM = 4.0
"""How far outside of a lesion's true outline a threshold is followed."""


def draw_contours(
    rng: np.random.Generator, pet_zyx: np.ndarray, lesions: Sequence[tuple[Focus, Solid]], grid: Grid, reading: Reading
) -> np.ndarray:
    """The label of lesions as readers would have drawn it: uint8, 1 in lesions; each lesion has a voxel at least.

    Args:
        rng: what the errors are drawn from.
        pet_zyx: SUV, as the scanner gives it.
        lesions: each with its solid where the PET shows it.
        grid: of the PET.
        reading: how contours err.
    """
    label = np.zeros(grid.shape_zyx, dtype=np.uint8)
    for focus, solid in lesions:
        by_threshold, level = rng.random() < reading.threshold, draw(rng, reading.threshold_range)
        offset = float(np.clip(reading.offset_mm * rng.normal(), -0.3 * focus.radius, 0.3 * focus.radius))
        wobble = Waves(rng, focus.radius + 10, min(reading.jitter_mm, 0.2 * focus.radius), count=8)
        box = grid.box(solid.low, solid.high, 2 * LEAK_MM)
        if any(part.start == part.stop for part in box):
            continue
        points = grid.points(box)
        distance = solid.distance(*points)
        inside = distance < offset + wobble(*points)
        pet = pet_zyx[box]
        if by_threshold and focus.radius < radius_of(THRESHOLD_UP_TO_ML) and (distance < 1).any():
            around = float(np.median(pet[distance > LEAK_MM])) if (distance > LEAK_MM).any() else 0.0
            highest = float(pet[distance < 1].max())
            if highest > 1.6 * around:
                inside = (pet > around + level * (highest - around)) & (distance < LEAK_MM)
        inside = largest_part(inside)  # no reader draws loose voxels
        if not inside.any():
            inside[np.unravel_index(distance.argmin(), distance.shape)] = True
        label[box][inside] = 1
    return label
