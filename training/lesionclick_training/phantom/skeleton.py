"""Skeleton of a phantom below the skull, in the standard frame of `patient`.

Bones are painted as cortex and, where they are thick enough, marrow inside.
"""

from collections.abc import Sequence

import numpy as np

from lesionclick_training.phantom.patient import SIDES, Structure
from lesionclick_training.phantom.shapes import Solid, capsule, ellipsoid, rotation, smooth_path, stack, tube

SPINE_Z = (975.0, 1030.0, 1080.0, 1130.0, 1200.0, 1280.0, 1350.0, 1420.0, 1450.0, 1500.0, 1556.0)

SPINE_Y = (52.0, 38.0, 35.0, 40.0, 54.0, 66.0, 66.0, 52.0, 42.0, 24.0, 12.0)
"""The line through the middles of the vertebral bodies."""

DISC_LEVELS = (
    tuple(985 + 36.0 * i for i in range(6))
    + tuple(1165 + 24.0 * i for i in range(1, 13))
    + tuple(1453 + 16.0 * i for i in range(1, 7))
)


def spine() -> list[Structure]:
    """Vertebrae with discs, arches and processes, and the cord; from the fifth lumbar to the first cervical."""
    z_low, z_high = SPINE_Z[0], SPINE_Z[-1]
    discs = np.asarray(DISC_LEVELS)
    cells = np.arange(len(discs))

    def to_level(z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Position of the body's center in y, half width of the body, and mm to the nearest disc's middle."""
        center = np.interp(z, SPINE_Z, SPINE_Y).astype(np.float32)
        half = np.interp(z, [985, 1150, 1300, 1440, 1480, 1556], [25, 21, 17, 16, 12, 11]).astype(np.float32)
        phase = np.interp(z, discs, cells)
        pitch = np.interp(z, [985, 1160, 1190, 1440, 1470], [36, 36, 24, 24, 16])
        return center, half, (np.abs(phase - np.round(phase)) * pitch).astype(np.float32)

    def column(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        center, half, _ = to_level(z)
        across, along = np.abs(x) + np.float32(1e-3), 1.25 * np.abs(y - center)
        distance: np.ndarray = np.maximum(np.sqrt(across**2 + along**2) - half, np.maximum(z_low - z, z - z_high))
        return distance

    def bodies(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        _, half, from_disc = to_level(z)
        distance: np.ndarray = np.maximum(column(z, y, x), half * 0.2 - from_disc)
        return distance

    def arches(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        center, half, from_disc = to_level(z)
        behind = y - center - 0.8 * half
        ring = np.abs(np.sqrt(x**2 + (behind - 9) ** 2) - 12) - 3.5
        spinous = np.maximum(np.maximum(np.abs(x) - 3.5, 10 - behind), behind - 12 - 1.15 * half)
        transverse = np.maximum(
            np.maximum(np.abs(x) - 1.5 * half - 4, np.abs(behind - 4 - 0.2 * np.abs(x)) - 3.5), 10 - np.abs(x)
        )
        parts = np.minimum(np.minimum(np.maximum(ring, -behind), spinous), transverse)
        gap = half * 0.22 - from_disc
        distance: np.ndarray = np.maximum(np.maximum(parts, gap), np.maximum(z_low + 6 - z, z - z_high))
        return distance

    low, high = np.array((z_low, -10.0, -48.0)), np.array((z_high, 118.0, 48.0))
    slim = np.array((z_low, -10.0, -26.0)), np.array((z_high, 92.0, 26.0))
    vertebrae = Solid(*slim, bodies)
    cord = [
        (z, np.interp(z, SPINE_Z, SPINE_Y) + np.interp(z, (985, 1585), (26, 21.5)), 0) for z in range(985, 1590, 40)
    ]
    return [
        Structure("cartilage", [Solid(*slim, column)], 75.0),
        Structure("bone", [Solid(low, high, arches)], 420.0),
        Structure("bone", [vertebrae], 420.0),
        Structure("vertebra", [vertebrae.grown(-3.0)], 190.0),
        Structure("cord", tube(cord, 7), 30.0),
    ]


def rib_cage(cavity: Solid) -> list[Structure]:
    """Ribs (bands on the surface of the cavity) with cartilage, breastbone, collarbones and shoulder blades."""
    pitch, first = 25.5, 1152.0

    def ribs(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        shell = np.abs(cavity.distance(z, y, x) - 3.5) - 4
        level = z + 0.42 * (62 - y) + 0.06 * np.abs(x)
        phase = (level - first) / pitch
        strip = (np.abs(phase - np.round(phase)) * pitch - 6.0) * 0.9
        ends = np.maximum(level - (first + 11.4 * pitch), first - 0.4 * pitch - level)
        margin = 0.7 * np.where(y < 45, 1185 - 0.95 * np.abs(x) - z - 0.4 * np.clip(y, 0, 45), -50)
        front = np.where(y < 0, 44 + 0.12 * (1250 - z) - np.abs(x), -50)
        distance: np.ndarray = np.maximum(
            np.maximum(shell, strip), np.maximum(np.maximum(ends, margin), np.maximum(front, 12 - np.abs(x)))
        )
        return distance

    def cartilage(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        shell = np.abs(cavity.distance(z, y, x) - 3.5) - 4
        level = z - 0.55 * (60 - np.abs(x)) + 36
        phase = (level - first) / pitch
        strip = (np.abs(phase - np.round(phase)) * pitch - 5.0) * 0.9
        span = np.maximum(np.abs(x) - 58, y + 30)
        distance: np.ndarray = np.maximum(
            np.maximum(shell, strip), np.maximum(span, np.maximum(1185 - 0.6 * np.abs(x) - z, z - 1385))
        )
        return distance

    rib_box = np.array((1060.0, -110.0, -150.0)), np.array((1450.0, 105.0, 150.0))
    rib_solid = Solid(*rib_box, ribs)
    sternum = [
        part
        for x in (-11, 0, 11)
        for part in tube([(1392, -58, 0.9 * x), (1340, -82, 0.8 * x), (1290, -92, x), (1225, -97, 0.8 * x)], 6)
    ]
    clavicles, scapulae = [], []
    for side in SIDES:
        clavicles += tube(
            smooth_path(
                [(1400, -52, side * 20), (1412, -42, side * 70), (1422, 0, side * 120), (1420, 18, side * 150)], 6
            ),
            6,
        )
        scapulae += [
            ellipsoid((1335, 84, side * 96), (64, 4.5, 33), rotation(about_z=side * 28)),
            capsule((1375, 95, side * 75), (1412, 45, side * 152), 5, 7),
            capsule((1370, 72, side * 125), (1388, 40, side * 146), 8, 12),
        ]
    return [
        Structure("cartilage", [Solid(*rib_box, cartilage)], 95.0),
        Structure("rib", [rib_solid], 480.0),
        Structure("sternum", sternum, 260.0),
        Structure("bone", clavicles, 560.0),
        Structure("scapula", scapulae, 400.0),
    ]


def pelvis(cavity: Solid) -> list[Structure]:
    """Hip bones, whose wings are a shell around the cavity, and sacrum."""

    def wing(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        thickness = 6 + 9 * np.clip((940 - z) / 50, 0, 1)
        shell = np.abs(cavity.distance(z, y, x) - thickness) - thickness
        crest = 0.8 * (z - (1032 - 0.009 * (y - 15) ** 2))
        front = 0.8 * (-62 + 0.35 * (975 - z) - y)
        distance: np.ndarray = np.maximum(
            np.maximum(shell, crest), np.maximum(np.maximum(front, 888 - z), 38 - np.abs(x))
        )
        return distance

    wings = Solid(np.array((885.0, -80.0, -150.0)), np.array((1040.0, 100.0, 150.0)), wing)
    sacrum = stack([(868, 8, 84, 96), (900, 20, 72, 96), (940, 38, 56, 94), (975, 50, 34, 90), (990, 48, 30, 84)], 2.5)
    hips = []
    for side in SIDES:
        hips += [
            ellipsoid((900, 2, side * 88), (34, 34, 30)),
            *tube([(890, -25, side * 72), (880, -52, side * 40), (872, -58, side * 10)], [11, 8, 9]),
            *tube(
                [(885, 20, side * 84), (825, 38, side * 62), (838, -10, side * 40), (866, -52, side * 12)],
                [19, 15, 8, 8],
            ),
        ]
    return [
        Structure("pelvis", [wings, *hips, sacrum], 430.0),
        Structure("pelvic marrow", [wings.grown(-3.5), sacrum.grown(-3.5), *[hip.grown(-4) for hip in hips]], 170.0),
        Structure("cartilage", [capsule((870, -58, 0), (880, -58, 0), 5)], 80.0),
    ]


def limb_bones(arms: Sequence[np.ndarray], legs: bool = False) -> list[Structure]:
    """Thighs, upper arms and forearms, `legs` to the feet; `arms` as `patient.arm_joints` gives them."""
    cortex, marrow, joints = [], [], []
    for side in SIDES if legs else ():
        knee, ankle = np.array((480, -4, side * 80)), np.array((75, 14, side * 74))
        shin = knee - np.array((12, 2, 0))
        joints.append(ellipsoid(knee - (6, 0, 0), (26, 30, 36)))
        cortex += [
            *tube([(640, -6, side * 100), (530, -4, side * 84), knee], [14, 17, 30]),
            *tube([shin, shin - (60, 4, 0), ankle], [30, 15, 15]),
            capsule((448, 12, side * 108), (75, 20, side * 92), 6),
            ellipsoid((494, -46, side * 80), (22, 10, 20)),
            *tube([ankle - (20, -8, 0), (38, -40, side * 80), (28, -120, side * 88)], [19, 13, 8]),
        ]
        marrow += [*tube([(530, -4, side * 84), knee], [11, 25]), capsule(shin, shin - (60, 4, 0), 25, 9)]
    for side in SIDES:
        femur = [(895, -2, side * 88), (872, 4, side * 124), (845, 4, side * 128), (640, -6, side * 100)]
        joints.append(ellipsoid(femur[0], (27, 27, 27)))
        cortex += [ellipsoid(femur[0], (24, 24, 24)), *tube(femur, [15, 18, 17, 14])]
        marrow += [ellipsoid(femur[0], (21, 21, 21)), *tube(femur, [11, 13, 9, 6.5])]
    for shoulder, elbow, wrist, _ in arms:
        head = shoulder + np.array((8, -4, -6 * np.sign(shoulder[2])))
        cortex += [ellipsoid(head, (23, 23, 23)), *tube([shoulder, elbow], [12, 11])]
        marrow += [ellipsoid(head, (19, 19, 19)), *tube([shoulder, elbow], [6, 6])]
        at_elbow, at_wrist = np.array((0, 8, 0)), np.array((0, 6, 6))
        cortex += [capsule(elbow + at_elbow, wrist + at_wrist, 6), capsule(elbow - at_elbow, wrist - at_wrist, 6)]
    return [
        Structure("cartilage", joints, 60.0),
        Structure("long bone", cortex, 800.0),
        Structure("long bone marrow", marrow, 120.0),
    ]
