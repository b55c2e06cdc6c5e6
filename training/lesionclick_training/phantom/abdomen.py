"""Abdomen and pelvis of a phantom, in the standard frame of `patient`: liver to rectum, kidneys, bladder, prostate.

Each function returns structures in the order of painting; `rng` draws sizes and places.
"""

import numpy as np

from lesionclick_training.data.nnunet_layout import organ_number
from lesionclick_training.phantom.patient import LEFT, MUSCLE_HU, RIGHT, SIDES, Patient, Structure
from lesionclick_training.phantom.shapes import Distance, Solid, Waves, ellipsoid, rotation, smooth_path, tube


def upper_abdomen(rng: np.random.Generator, patient: Patient, cavity: Solid, diaphragm: Distance) -> list[Structure]:
    """Liver, gallbladder, spleen, stomach and pancreas."""
    up, liver_size = patient.organs_up, patient.size("liver")
    # a smaller liver ends higher and reaches less far to the left
    lower_edge, tail = (
        1066 + up + 200 * (1 - liver_size) + rng.normal(0, 12),
        68 - 160 * (1 - liver_size) + rng.normal(0, 10),
    )
    surface = Waves(rng, 70, 2.5)

    def under_liver(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        low = lower_edge + 0.5 * (x + 120) + 0.25 * y
        behind = 0.75 * (y + 0.95 * x - 62)
        leftmost = x - tail
        distance: np.ndarray = np.maximum(np.maximum(0.85 * (low - z), behind), leftmost) + surface(z, y, x)
        return distance

    def below(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        return diaphragm(z, y, x) + 4

    liver = cavity.grown(-4).where(below, 4).where(under_liver, 22).within((1030, None, None), (1260 + up, None, 95))
    spleen_size = rng.uniform(0.85, 1.2) * patient.size("spleen")
    spleen = (
        ellipsoid(
            (1160 + 2.3 * up, 46, 100),
            np.array([56, 40, 27]) * spleen_size,
            rotation(about_z=-30, about_x=-20),
            Waves(rng, 50, 2),
        )
        .where(cavity.grown(-4).distance, 4)
        .where(below, 4)
    )
    drop = rng.normal(0, 8)
    stomach_line = smooth_path(
        [
            (1196, 10, 52),
            (1162, -4, 60),
            (1122 + drop, -26, 58),
            (1092 + drop, -44, 36),
            (1090 + drop, -44, 0),
            (1102, -30, -24),
        ],
        10,
    )
    stomach_line += (1.6 * up, -0.5 * up, 0)
    fullness = rng.uniform(0.75, 1.15) * patient.size("stomach")
    wide = np.interp(np.arange(10), [0, 2, 5, 9], [28, 27, 21, 12]) * fullness
    stomach = organ_number("stomach")
    gas = [
        ellipsoid((stomach_line[i][0], stomach_line[i][1] - 0.45 * wide[i], stomach_line[i][2]), (14, 8, 14))
        for i in (3, 4)
    ]
    pancreas = smooth_path([(1082, 2, -32), (1102, -8, 0), (1118, 8, 40), (1135, 28, 70)], 7)
    return [
        Structure("liver", [liver], patient.enhanced(58.0, 108.0), organ_number("liver")),
        Structure("gallbladder", [ellipsoid((1095 + up, -42, -52), (24, 14, 14), rotation(about_x=25))], 12.0),
        Structure("spleen", [spleen], patient.enhanced(50.0, 115.0), organ_number("spleen")),
        Structure("stomach", tube(stomach_line, wide), 42.0, stomach),
        Structure("stomach content", tube(stomach_line, wide - 5), 25.0, stomach),
        Structure("air", gas, -850.0, stomach),
        Structure("pancreas", tube(pancreas, [13, 11, 10, 9, 9, 9, 8]), patient.enhanced(38.0, 80.0)),
    ]


def bowel(rng: np.random.Generator, patient: Patient) -> tuple[list[Structure], np.ndarray]:
    """Small and large bowel, and points along the colon, shape (n, 3)."""
    belly = -0.5 * patient.visceral

    def jitter() -> np.ndarray:
        return rng.normal(0, 6, size=3)

    frame = [
        (955, -28, -84),
        (1000, -12, -94),
        (1050, 8, -94),
        (1078, -8, -82),
        (1066, -52 + belly, -58),
        (1040, -60 + belly, 0),
        (1062, -52 + belly, 52),
        (1122, 10, 98),
        (1070, 26, 102),
        (1010, 18, 100),
        (955, 0, 88),
        (930, 5, 48),
        (948, 5, 10),
        (912, 45, 6),
    ]
    colon = smooth_path([np.array(point) + jitter() for point in frame], 60)
    caliber = np.interp(np.arange(60), [0, 12, 30, 45, 59], [25, 22, 18, 14, 15]) * (
        1 + 0.16 * np.sin(np.arange(60) * 2.1)
    )
    rectum = smooth_path([colon[-1], (880, 70, 0), (840, 62, 0)], 5)
    gas = [
        ellipsoid(colon[i] - (0, 0.4 * caliber[i], 0), np.array([11, 7, 11]) * rng.uniform(0.7, 1.2))
        for i in rng.choice(np.arange(4, 56), size=14, replace=False)
    ]
    loops = _small_bowel_line(rng, belly)
    duodenum = smooth_path([(1102, -28, -26), (1100, 0, -42), (1065, 8, -40), (1050, 8, 0), (1078, 2, 30)], 9)
    thick = 13 * (1 + 0.15 * np.sin(np.arange(len(loops)) * 1.7))
    third = len(loops) // 3
    structures = [
        Structure("ileum", tube(loops[third:], thick[third:]), 35.0),
        Structure("jejunum", tube(loops[: third + 1], thick[: third + 1]), 38.0),
        Structure("duodenum", tube(duodenum, 12), 36.0),
        Structure("colon", tube(colon, caliber), 38.0),
        Structure("colon content", tube(colon, caliber - 4), -5.0),
        Structure("colon", tube(rectum, 17), 38.0),
        Structure("colon content", tube(rectum, 12), 5.0),
        Structure("air", gas, -900.0),
    ]
    return structures, colon


def _small_bowel_line(rng: np.random.Generator, belly: float) -> np.ndarray:
    """A winding line from the left upper belly to the right lower: shape (n, 3)."""
    anchors = []
    rows = 9
    for row in range(rows):
        z = 1078 - row * 19
        span = 58 - 2.5 * row
        across = np.linspace(-span, span, 6) * (1 if row % 2 else -1)
        across = across + (18 if row < 3 else -6)
        for x in across:
            anchors.append((z + rng.normal(0, 9), -30 + 0.6 * belly + rng.normal(0, 20), x + rng.normal(0, 5)))
    return smooth_path(anchors, 160)


def kidneys(rng: np.random.Generator, patient: Patient) -> tuple[list[Structure], np.ndarray]:
    """Kidneys and ureters (of which a stretch is filled), and points along the ureters, shape (n, 3)."""
    kidney = organ_number("kidneys")
    structures, ureters = [], []
    for side, level in ((RIGHT, 1088), (LEFT, 1104)):
        size = rng.uniform(0.9, 1.1) * patient.size("kidneys")
        center = np.array(
            (
                level + 1.25 * patient.organs_up + rng.normal(0, 6),
                46 - 0.35 * patient.organs_up,
                side * (66 + rng.normal(0, 2)),
            )
        )
        turn = rotation(about_z=side * 35, about_y=-side * 14, about_x=10)
        hilum = center + np.array((0, -10, -side * 13))
        cortex = ellipsoid(center, np.array([55, 22, 29]) * size, turn, Waves(rng, 40, 1.2))
        sinus = ellipsoid(hilum, np.array([24, 10, 14]) * size, turn)
        pelvis = ellipsoid(hilum + np.array((0, 0, -side * 2)), np.array([14, 6, 9]) * size, turn)
        line = smooth_path(
            [
                hilum - (12, 0, side * 6),
                (1050, 22, side * 42),
                (1000, 12, side * 38),
                (955, 20, side * 46),
                (915, 40, side * 48),
                (882, 22, side * 22),
            ],
            24,
        )
        line[:, 1:] += rng.normal(0, 1.5, size=(24, 2))
        ureters.append(line)
        start = int(rng.integers(0, 14))
        seen = line[start : start + int(rng.integers(3, 9))]
        structures += [
            Structure("kidney", [cortex], patient.enhanced(34.0, 160.0), kidney),
            Structure("fat", [sinus], -40.0, kidney),
            Structure("renal pelvis", [pelvis], 10.0, kidney),
            Structure("muscle", tube(line, 2.0), 20.0),
            Structure("ureter", tube(seen, 2.4), 20.0),
        ]
    return structures, np.concatenate(ureters)


def pelvic_organs(rng: np.random.Generator, patient: Patient) -> list[Structure]:
    """Bladder, and prostate or uterus."""
    up = patient.organs_up
    fill = rng.uniform(0.6, 1.2) * patient.size("bladder")
    bladder_half_height = 30 * fill
    bladder = ellipsoid(
        (876 + 0.15 * up + bladder_half_height, -26, rng.normal(0, 3)),
        (bladder_half_height, 30 * fill**0.7, 38 * fill**0.8),
        bumps=Waves(rng, 60, 2),
    )
    if patient.female:
        inner = Structure("uterus", [ellipsoid((915, 28, 0), (22, 30, 26), rotation(about_x=-20))], 55.0)
    else:
        prostate = ellipsoid(
            (858 + 0.35 * up, -12 + 0.3 * up, 0),
            np.array([17, 15, 20]) * rng.uniform(0.9, 1.35) * patient.size("prostate"),
        )
        inner = Structure("prostate", [prostate], 42.0, organ_number("prostate"))
    return [
        inner,
        Structure("muscle", [bladder.grown(3)], 35.0),
        Structure("bladder", [bladder], 6.0, organ_number("urinary bladder")),
    ]


def psoas_muscles() -> list[Structure]:
    """The muscles beside the lumbar spine."""
    psoas = [
        part
        for s in SIDES
        for part in tube(
            [(1130, 38, s * 24), (1050, 36, s * 38), (960, 8, s * 62), (880, -15, s * 92)], [9, 18, 20, 14]
        )
    ]
    return [Structure("muscle", psoas, MUSCLE_HU)]
