"""Field of view: what part of a patient a scan shows, on which voxels."""

import numpy as np

from lesionclick_training.phantom import reality
from lesionclick_training.phantom.anatomy import Anatomy
from lesionclick_training.phantom.population import FieldOfView
from lesionclick_training.phantom.shapes import Grid, Triple

LIVER_Z = 1156.0
"""Middle of the liver's box in the standard frame, where organs are not moved up."""

MEAN_SCALE = 1.02
"""Of patients along z."""

TOP_Z = 1745.0
"""Just above the vertex in the standard frame."""

TABLE_MM = 50.0
"""Room behind the patient, for the table."""

HALF_TABLE_MM = 230.0

MARGIN_MM = 12.0
"""Around body and table; farther out a scan is empty."""


def draw_grid(rng: np.random.Generator, anatomy: Anatomy, fields: FieldOfView, spacing_zyx: Triple | None) -> Grid:
    """Draws a scanner and the part of a patient that it shows, in mm of the patient.

    Args:
        rng: what is drawn from.
        anatomy: of the patient.
        fields: distributions of scanners and of the scans' ends.
        spacing_zyx: mm; None for the scanner's own.
    """
    patient, scale = anatomy.patient, np.array(anatomy.patient.scale_zyx)
    shares = np.array([scanner.share for scanner in fields.scanners])
    scanner = fields.scanners[rng.choice(len(shares), p=shares / shares.sum())]
    liver = (LIVER_Z + patient.organs_up) * scale[0]
    above, below = (
        q[len(q) // 2] * (1 + fields.follows_size * (scale[0] / MEAN_SCALE - 1))
        + (1 - fields.follows_size) * (_at(rng.random(), q) - q[len(q) // 2])
        for q in (fields.above_liver_mm, fields.below_liver_mm)
    )
    top, bottom = liver + above, liver - below
    if rng.random() < fields.to_the_toes:
        bottom = rng.choice(np.array((-20.0, 250.0)), p=(0.75, 0.25)) * scale[0]
        top = max(top, TOP_Z * scale[0]) if rng.random() < 0.5 else top
    width = scanner.columns * scanner.pixel_mm
    spacing = np.array(spacing_zyx or (scanner.slice_mm, scanner.pixel_mm, scanner.pixel_mm))
    aside, lifted = np.clip(rng.normal(0, (10.0, 18.0)), (-25, -45), (25, 45))
    middle = np.array(((bottom + top) / 2, 5.0 + lifted, aside))
    shape = np.round(np.array((top - bottom, width, width)) / spacing).astype(int)
    origin = middle - spacing * (shape - 1) / 2
    bend = tuple((z * scale[0], shift * scale[1]) for z, shift in patient.bend)
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), _triple(spacing), _triple(origin), bend)


def around_patient(grid: Grid, anatomy: Anatomy) -> tuple[slice, slice, slice]:
    """The voxels around a patient and the table, beyond which a scan shows nothing but air."""
    scale = np.array(anatomy.patient.scale_zyx)
    low, high = anatomy.body.low * scale, anatomy.body.high * scale
    high[1] = anatomy.patient.back * scale[1] + TABLE_MM
    low[2], high[2] = min(low[2], -HALF_TABLE_MM), max(high[2], HALF_TABLE_MM)
    low[0], high[0] = grid.origin_zyx[0], grid.origin_zyx[0] + grid.spacing_zyx[0] * grid.shape_zyx[0]
    _, rows, columns = grid.box(low, high, MARGIN_MM)
    return slice(0, grid.shape_zyx[0]), rows, columns


def padded(inner_zyx: np.ndarray, shape_zyx: tuple[int, int, int], box: tuple[slice, ...], value: float) -> np.ndarray:
    """A volume of the voxels of a box as one of all voxels, a value elsewhere."""
    whole = np.full(shape_zyx, value, dtype=inner_zyx.dtype)
    whole[box] = inner_zyx
    return whole


def _at(share: float, quantiles: tuple[float, ...]) -> float:
    """The number at a share of a distribution given by quantiles; beyond the outer ones it goes on for a bit."""
    levels = np.array((0, *reality.LEVELS, 100)) / 100
    ends = 1.15 * quantiles[0] - 0.15 * quantiles[2], 1.15 * quantiles[-1] - 0.15 * quantiles[2]
    return float(np.interp(share, levels, (ends[0], *quantiles, ends[1])))


def _triple(numbers: np.ndarray) -> Triple:
    z, y, x = numbers.tolist()
    return z, y, x
