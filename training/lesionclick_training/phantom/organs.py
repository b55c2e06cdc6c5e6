"""The soft organs of a phantom, region by region, in the standard frame of `phantom_patient`.

Each function returns structures in the order of painting; `rng` draws sizes and places.
"""

import numpy as np

from lesionclick_training.data.nnunet_layout import ORGANS
from lesionclick_training.phantom.patient import LEFT, RIGHT, SIDES, Patient, Structure
from lesionclick_training.phantom.shapes import (
    Distance,
    Solid,
    Waves,
    capsule,
    ellipsoid,
    rotation,
    smooth_min,
    smooth_path,
    stack,
    tube,
)

AIR_HU, FAT_HU, MUSCLE_HU = -1000.0, -100.0, 52.0


def _organ(name: str) -> int:
    return ORGANS.index(name) + 1


def skull_and_brain(rng: np.random.Generator) -> list[Structure]:
    """Skull, liquor and brain."""
    outer = ellipsoid((1638, 2, 0), (76, 88, 67))
    relief = Waves(rng, 45.0, 3.0)

    def above_base(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        temporal = np.exp(-(((np.abs(x) - 38) / 16) ** 2) - ((y + 15) / 30) ** 2)
        return 0.9 * (1597 - 0.5 * y - 16 * temporal - z) + relief(z, y, x)

    brain_space = outer.grown(-7).where(above_base, 8).within((1545, None, None), (None, None, None))
    folds = Waves(rng, 22.0, 1.0)
    grey = brain_space.grown(-3)
    white = grey.grown(-9).where(lambda z, y, x: 6.0 * folds(z, y, x) - 1)
    return [
        Structure("bone", [outer.where(lambda z, y, x: above_base(z, y, x) - 7, 8)], 850.0),
        Structure("fluid", [brain_space], 12.0),
        Structure("grey matter", [grey], 38.0, _organ("brain")),
        Structure("white matter", [white], 29.0, _organ("brain")),
        Structure("fluid", [ellipsoid((1650, 8, s * 11), (10, 28, 5)) for s in SIDES], 8.0, _organ("brain")),
        Structure("grey matter", [ellipsoid((1640, -5, s * 19), (13, 20, 8)) for s in SIDES], 40.0, _organ("brain")),
    ]


def face_and_neck(rng: np.random.Generator) -> list[Structure]:
    """Jaw, airways, eyes and glands."""
    gland = _organ("glands")
    big, sub = rng.uniform(0.85, 1.15, size=2)
    jaw = smooth_path([(1550, 8, -50), (1515, -25, -46), (1503, -68, -22), (1503, -76, 0)], 6)
    other_jaw = jaw * (1, 1, -1)
    parotids = [ellipsoid((1546, 4, s * 54), np.array([25, 17, 10]) * big, bumps=Waves(rng, 25, 1.2)) for s in SIDES]
    submandibular = [ellipsoid((1503, -32, s * 33), np.array([12, 15, 10]) * sub) for s in SIDES]
    return [
        Structure("fat", [ellipsoid((1540, -30, s * 42), (28, 22, 10)) for s in SIDES], -70.0),
        Structure("bone", [ellipsoid((1560, -62, 0), (32, 26, 34))], 250.0),
        Structure("bone", tube(jaw, 7) + tube(other_jaw, 7), 900.0),
        Structure("tooth", tube([(1528, -72, -20), (1528, -82, 0), (1528, -72, 20)], 6), 1500.0),
        Structure("tongue", [ellipsoid((1522, -45, 0), (18, 30, 22))], 55.0),
        Structure("air", [ellipsoid((1575, -58, s * 11), (20, 28, 5)) for s in SIDES], AIR_HU),
        Structure("air", [ellipsoid((1570, -58, s * 28), (14, 13, 11)) for s in SIDES], AIR_HU),
        Structure("air", [ellipsoid((1625, -80, s * 12), (10, 5, 9)) for s in SIDES], AIR_HU),
        Structure("fat", [ellipsoid((1604, -58, s * 31), (16, 22, 16)) for s in SIDES], -80.0),
        Structure("eye", [ellipsoid((1604, -70, s * 31), (12, 12, 12)) for s in SIDES], 15.0),
        Structure("lacrimal gland", [ellipsoid((1615, -68, s * 43), (4, 7, 4)) for s in SIDES], 40.0),
        Structure("parotid gland", parotids, 15.0, gland),
        Structure("submandibular gland", submandibular, 45.0, gland),
        Structure("sublingual gland", [ellipsoid((1508, -62, s * 13), (6, 14, 5)) for s in SIDES], 45.0),
        Structure("thyroid", [ellipsoid((1447, -16, s * 17), (22, 10, 9)) for s in SIDES], 100.0),
        Structure("air", tube([(1570, -22, 0), (1520, -14, 0), (1475, -14, 0)], 7), AIR_HU),
    ]


def diaphragm_surface(rng: np.random.Generator) -> Distance:
    """Signed distance in mm to the diaphragm: negative below it, positive in the chest."""
    tops = 1236 + rng.normal(0, 8), 1222 + rng.normal(0, 8)

    def height(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        back = np.where(y > 0, 1.15, 0.6).astype(np.float32) * (y / 88) ** 2
        domes = [top - 62 * (0.9 * ((x - side * 62) / 75) ** 2 + back) for side, top in zip(SIDES, tops, strict=True)]
        return 0.75 * (z + smooth_min(-domes[0], -domes[1], 20))

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


def lungs(rng: np.random.Generator, cavity: Solid, diaphragm: Distance) -> list[Structure]:
    """Both lungs with their vessels."""
    structures = []
    for side in SIDES:

        def medial(z: np.ndarray, y: np.ndarray, x: np.ndarray, side: int = side) -> np.ndarray:
            waist = np.interp(z, [1190, 1250, 1320, 1400, 1446], [34, 33, 27, 26, 18]).astype(np.float32)
            front = np.clip((y - 5) / 80, -1, 1) ** 2
            return waist - 16 * front - side * x

        solid = cavity.grown(-3).where(medial, 16).where(lambda z, y, x: -diaphragm(z, y, x), 3)
        solid = solid.within((1080, None, 0 if side == LEFT else None), (None, None, 0 if side == RIGHT else None))
        structures.append(Structure("lung", [solid], -840.0, _organ("lungs")))
        structures.append(Structure("lung vessel", _vessel_tree(rng, side), -250.0, _organ("lungs")))
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
    organ = _organ("heart")
    size = rng.uniform(0.92, 1.1)
    turn = rotation(about_z=42, about_x=-12, about_y=35)
    whole = ellipsoid((1240, -34, 20), np.array([44, 45, 60]) * size, turn, Waves(rng, 60, 2))
    lv_centre = np.array((1228, -32, 46))
    ventricle = ellipsoid(lv_centre, np.array([31, 31, 42]) * size, turn)
    chamber = ellipsoid(lv_centre + np.array((3, 3, -6)), np.array([20, 20, 33]) * size, turn)
    right = ellipsoid((1238, -58, 6), np.array([30, 20, 36]) * size, turn)
    blood = patient.enhanced(42.0, 150.0)
    return [
        Structure("fat", [whole.grown(3)], -70.0),
        Structure("blood", [whole], blood, organ),
        Structure("blood", [right], blood + 2, organ),
        Structure("myocardium", [ventricle], patient.enhanced(48.0, 100.0), organ),
        Structure("blood", [chamber], blood, organ),
    ]


def upper_abdomen(rng: np.random.Generator, patient: Patient, cavity: Solid, diaphragm: Distance) -> list[Structure]:
    """Liver, gallbladder, spleen, stomach and pancreas."""
    lower_edge, tail = 1066 + rng.normal(0, 12), 68 + rng.normal(0, 10)
    surface = Waves(rng, 70, 2.5)

    def under_liver(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        low = lower_edge + 0.5 * (x + 120) + 0.25 * y
        behind = 0.75 * (y + 0.95 * x - 62)
        leftmost = x - tail
        return np.maximum(np.maximum(0.85 * (low - z), behind), leftmost) + surface(z, y, x)

    def below(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        return diaphragm(z, y, x) + 4

    liver = cavity.grown(-4).where(below, 4).where(under_liver, 22).within((1030, None, None), (1260, None, 95))
    spleen_size = rng.uniform(0.85, 1.2)
    spleen = (
        ellipsoid(
            (1160, 46, 100), np.array([56, 40, 27]) * spleen_size, rotation(about_z=-30, about_x=-20), Waves(rng, 50, 2)
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
    fullness = rng.uniform(0.75, 1.15)
    wide = np.interp(np.arange(10), [0, 2, 5, 9], [28, 27, 21, 12]) * fullness
    stomach = _organ("stomach")
    gas = [
        ellipsoid((stomach_line[i][0], stomach_line[i][1] - 0.45 * wide[i], stomach_line[i][2]), (14, 8, 14))
        for i in (3, 4)
    ]
    pancreas = smooth_path([(1082, 2, -32), (1102, -8, 0), (1118, 8, 40), (1135, 28, 70)], 7)
    return [
        Structure("liver", [liver], patient.enhanced(58.0, 108.0), _organ("liver")),
        Structure("gallbladder", [ellipsoid((1095, -42, -52), (24, 14, 14), rotation(about_x=25))], 12.0),
        Structure("spleen", [spleen], patient.enhanced(50.0, 115.0), _organ("spleen")),
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
    calibre = np.interp(np.arange(60), [0, 12, 30, 45, 59], [25, 22, 18, 14, 15]) * (
        1 + 0.16 * np.sin(np.arange(60) * 2.1)
    )
    rectum = smooth_path([colon[-1], (880, 70, 0), (840, 62, 0)], 5)
    gas = [
        ellipsoid(colon[i] - (0, 0.4 * calibre[i], 0), np.array([11, 7, 11]) * rng.uniform(0.7, 1.2))
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
        Structure("colon", tube(colon, calibre), 38.0),
        Structure("colon content", tube(colon, calibre - 4), -5.0),
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
    kidney = _organ("kidneys")
    structures, ureters = [], []
    for side, level in ((RIGHT, 1088), (LEFT, 1104)):
        size = rng.uniform(0.9, 1.1)
        centre = np.array((level + rng.normal(0, 6), 46, side * (66 + rng.normal(0, 2))))
        turn = rotation(about_z=side * 35, about_y=-side * 14, about_x=10)
        hilum = centre + np.array((0, -10, -side * 13))
        cortex = ellipsoid(centre, np.array([55, 22, 29]) * size, turn, Waves(rng, 40, 1.2))
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
    fill = rng.uniform(0.6, 1.2)
    bladder_half_height = 30 * fill
    bladder = ellipsoid(
        (876 + bladder_half_height, -26, rng.normal(0, 3)),
        (bladder_half_height, 30 * fill**0.7, 38 * fill**0.8),
        bumps=Waves(rng, 60, 2),
    )
    if patient.female:
        inner = Structure("uterus", [ellipsoid((915, 28, 0), (22, 30, 26), rotation(about_x=-20))], 55.0)
    else:
        prostate = ellipsoid((858, -12, 0), np.array([17, 15, 20]) * rng.uniform(0.9, 1.35))
        inner = Structure("prostate", [prostate], 42.0, _organ("prostate"))
    return [
        inner,
        Structure("muscle", [bladder.grown(3)], 35.0),
        Structure("bladder", [bladder], 6.0, _organ("urinary bladder")),
    ]


def vessels(patient: Patient) -> list[Structure]:
    """The great vessels from neck to thigh."""
    blood = patient.enhanced(42.0, 150.0)
    aorta = smooth_path(
        [
            (1268, -22, 8),
            (1320, -25, -4),
            (1356, -10, 4),
            (1366, 15, 14),
            (1345, 38, 22),
            (1250, 42, 20),
            (1170, 26, 10),
            (1100, 8, 9),
            (1032, 4, 6),
        ],
        20,
    )
    cava = smooth_path([(1030, 8, -14), (1100, 12, -18), (1170, 5, -24), (1215, -8, -24)], 8)
    superior = smooth_path([(1260, -15, -22), (1320, -18, -26), (1385, -15, -24)], 5)
    limbs = []
    for side in SIDES:
        limbs += tube(
            smooth_path(
                [
                    (1032, 5, side * 6),
                    (985, 15, side * 34),
                    (930, -10, side * 58),
                    (880, -52, side * 72),
                    (650, -25, side * 72),
                ],
                12,
            ),
            np.linspace(5.5, 3, 12),
        )
        limbs += tube([(1362, -2, side * 8), (1410, -5, side * 24), (1500, -8, side * 34)], 5)
    return [
        Structure(
            "blood", [*tube(aorta, np.linspace(14, 9.5, 20)), *tube(cava, 11), *tube(superior, 9), *limbs], blood
        ),
        Structure(
            "blood",
            [capsule((1296, -18, 12), (1312, 12, -34), 11, 9), capsule((1296, -18, 12), (1312, 14, 36), 11, 9)],
            blood,
        ),
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
