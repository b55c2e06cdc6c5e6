"""Chest of a phantom: diaphragm, lungs, heart and what lies between them, in the standard frame of `patient`.

Each function returns structures in the order of painting; `rng` draws sizes and places.
"""

import numpy as np

from lesionclick_training.data.nnunet_layout import organ_number
from lesionclick_training.phantom.patient import AIR_HU, LEFT, RIGHT, SIDES, Patient, Structure
from lesionclick_training.phantom.shapes import (
    Distance,
    Solid,
    Waves,
    capsule,
    ellipsoid,
    rotation,
    smooth_min,
    stack,
    tube,
)


def diaphragm_surface(rng: np.random.Generator, patient: Patient) -> Distance:
    """Signed distance in mm to the diaphragm: negative below it, positive in the chest."""
    tops = 1236 + patient.organs_up + rng.normal(0, 8), 1222 + patient.organs_up + rng.normal(0, 8)

    def height(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        back = np.where(y > 0, 1.15, 0.6).astype(np.float32) * (y / 88) ** 2
        domes = [top - 62 * (0.9 * ((x - side * 62) / 75) ** 2 + back) for side, top in zip(SIDES, tops, strict=True)]
        distance: np.ndarray = 0.75 * (z + smooth_min(-domes[0], -domes[1], 20))
        return distance

    return height


def mediastinum(cavity: Solid) -> list[Structure]:
    """Fat between the lungs, gullet, windpipe and main bronchi."""
    middle = stack(
        [(1195, 34, -95, 78), (1250, 34, -92, 78), (1320, 29, -72, 78), (1400, 30, -45, 70), (1446, 28, -20, 60)], 2.2
    )
    inside = middle.where(cavity.distance, 4)
    carina = (1338, 22, 2)
    bronchi = [capsule(carina, (1310, 26, s * 34), 6.5, 5) for s in SIDES]
    return [
        Structure("fat", [inside], -60.0),
        Structure("muscle", tube([(1450, 20, -2), (1340, 34, 4), (1200, 28, 10)], 7), 40.0),
        Structure("air", [*tube([(1478, -14, 0), (1420, 2, 0), carina], 8.5), *bronchi], AIR_HU),
    ]


def lungs(rng: np.random.Generator, patient: Patient, cavity: Solid, diaphragm: Distance) -> list[Structure]:
    """Both lungs with their vessels."""
    structures = []
    for side in SIDES:

        def medial(z: np.ndarray, y: np.ndarray, x: np.ndarray, side: int = side) -> np.ndarray:
            waist = np.interp(z, [1190, 1250, 1320, 1400, 1446], [34, 33, 27, 26, 18]).astype(np.float32)
            front = np.clip((y - 5) / 80, -1, 1) ** 2
            distance: np.ndarray = waist - 16 * front - side * x
            return distance

        solid = cavity.grown(-3 - patient.lung_margin).where(medial, 16).where(lambda z, y, x: -diaphragm(z, y, x), 3)
        solid = solid.within((1080, None, 0 if side == LEFT else None), (None, None, 0 if side == RIGHT else None))
        structures.append(Structure("lung", [solid], -840.0, organ_number("lungs")))
        structures.append(Structure("lung vessel", _vessel_tree(rng, side), -250.0, organ_number("lungs")))
    return structures


def _vessel_tree(rng: np.random.Generator, side: int) -> list[Solid]:
    hilum = np.array((1305, 24, side * 38.0))
    branches = []
    for _ in range(22):
        aim = np.array((rng.uniform(1150, 1400), rng.uniform(-60, 70), side * rng.uniform(55, 105)))
        half = (hilum + aim) / 2 + rng.normal(0, 7, size=3)
        end = hilum + 0.75 * (aim - hilum)
        branches += [capsule(hilum, half, 5, 2.6), capsule(half, end, 2.6, 1.2)]
    return branches


def heart(rng: np.random.Generator, patient: Patient) -> list[Structure]:
    """Heart with its chambers and the muscle of the left ventricle."""
    organ = organ_number("heart")
    size = rng.uniform(0.92, 1.1) * patient.size("heart")
    turn = rotation(about_z=42, about_x=-12, about_y=35)
    center = np.array((1240 + 1.8 * patient.organs_up, -34 + 0.3 * patient.organs_up, 20))
    whole = ellipsoid(center, np.array([44, 45, 60]) * size, turn, Waves(rng, 60, 2))
    lv_center = center + np.array((-12, 2, 26)) * patient.size("heart")
    ventricle = ellipsoid(lv_center, np.array([31, 31, 42]) * size, turn)
    chamber = ellipsoid(lv_center + np.array((3, 3, -6)), np.array([20, 20, 33]) * size, turn)
    right = ellipsoid(center + np.array((-2, -24, -14)) * patient.size("heart"), np.array([30, 20, 36]) * size, turn)
    blood = patient.enhanced(42.0, 150.0)
    return [
        Structure("fat", [whole.grown(3)], -70.0),
        Structure("blood", [whole], blood, organ),
        Structure("blood", [right], blood + 2, organ),
        Structure("myocardium", [ventricle], patient.enhanced(48.0, 100.0), organ),
        Structure("blood", [chamber], blood, organ),
    ]
