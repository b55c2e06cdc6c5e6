"""Artifacts of metal in a phantom: streaks in the CT, and what the attenuation correction makes of them in the PET."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lesionclick_training.phantom.anatomy import Anatomy
from lesionclick_training.phantom.patient import SIDES
from lesionclick_training.phantom.population import Artifacts
from lesionclick_training.phantom.shapes import Grid, Solid, capsule, coverage, ellipsoid

REACH_MM = 110.0
"""How far streaks are painted."""

METAL_HU = 3071.0


@dataclass(frozen=True)
class Metal:
    """A piece of metal in mm of the patient, and the streaks around it: HU, how fast they fade, their directions."""

    solid: Solid
    streak_hu: float
    fade_mm: float
    phases: np.ndarray


def draw_metal(rng: np.random.Generator, anatomy: Anatomy, artifacts: Artifacts) -> list[Metal]:
    """Draws fillings of teeth, prostheses of hip and knee, screws of the spine and pacemakers."""
    scale = np.array(anatomy.patient.scale_zyx)
    side = rng.choice((-1, 1))
    solids: list[Solid] = []
    if rng.random() < artifacts.dental:
        for _ in range(int(rng.integers(1, 5))):
            x = rng.uniform(-22, 22)
            solids.append(ellipsoid(np.array((rng.uniform(1515, 1535), -80 + 0.02 * x * x, x)) * scale, (4, 3.5, 3.5)))
    if rng.random() < artifacts.hip:
        head, neck, shaft = (
            np.array(p) * scale for p in ((898, 0, side * 90), (868, 3, side * 122), (770, 0, side * 118))
        )
        solids += [ellipsoid(head, (19, 19, 19)), capsule(head, neck, 8, 8), capsule(neck, shaft, 9, 6)]
    if rng.random() < artifacts.knee:
        knee = np.array((476, -6, side * 80)) * scale
        solids += [
            ellipsoid(knee + np.array((10, 0, 0)), (9, 28, 32)),
            ellipsoid(knee - np.array((16, 0, 0)), (5, 24, 32)),
        ]
    if rng.random() < artifacts.spine:
        for level in (1015, 1050):
            solids += [
                capsule(np.array((level, 30, s * 14)) * scale, np.array((level, 80, s * 20)) * scale, 3.5)
                for s in SIDES
            ]
    if rng.random() < artifacts.pacemaker:
        solids.append(ellipsoid(np.array((1375, -88, 75)) * scale, (20, 5, 22)))
    return [
        Metal(solid, float(rng.uniform(150, 600)), float(rng.uniform(20, 50)), rng.uniform(0, 2 * np.pi, size=4))
        for solid in solids
    ]


def metal_in_ct(ct: np.ndarray, metal: Sequence[Metal], grid: Grid) -> None:
    """Paints metal and its streaks into a CT in HU."""
    for piece in metal:
        box, streaks, distance = _around(piece, grid)
        tissue = np.clip((ct[box] + 1000) / 900, 0.0, 1.0)  # little beam is missing in air
        ct[box] += np.float32(piece.streak_hu) * streaks * tissue
        share = coverage(distance, float(np.mean(grid.spacing_zyx)))
        ct[box] += share * (np.float32(METAL_HU) - ct[box])


def metal_in_pet(suv: np.ndarray, metal: Sequence[Metal], grid: Grid) -> None:
    """Corrects a PET with the attenuation that a CT with metal claims: too much at metal, uneven along streaks."""
    for piece in metal:
        box, streaks, distance = _around(piece, grid)
        rim = 0.5 * np.exp(-((distance / 6) ** 2))
        suv[box] *= 1 + np.clip(0.0005 * piece.streak_hu * streaks, -0.25, 0.35) + rim


def _around(piece: Metal, grid: Grid) -> tuple[tuple[slice, slice, slice], np.ndarray, np.ndarray]:
    """The voxels near a piece of metal, the streaks there (-1 to 1) and the distance to its surface."""
    solid = piece.solid
    room = np.array((2.0, REACH_MM, REACH_MM))
    box = grid.box(solid.low - room, solid.high + room)
    z, y, x = grid.points(box)
    _, middle_y, middle_x = (solid.low + solid.high) / 2
    angle = np.arctan2(y - np.float32(middle_y), x - np.float32(middle_x))
    rays = sum(np.cos(order * angle + phase) for order, phase in zip((2, 4, 7, 11), piece.phases, strict=True)) / 2
    distance = np.broadcast_to(solid.distance(z, y, x), np.broadcast_shapes(z.shape, y.shape, x.shape))
    streaks = np.clip(rays, -1, 1) * np.exp(-np.maximum(distance, 0) / np.float32(piece.fade_mm))
    return box, streaks.astype(np.float32), distance
