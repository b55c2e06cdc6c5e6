"""Head and neck of a phantom: skull, brain, jaw, airways and glands, in the standard frame of `patient`.

Each function returns structures in the order of painting; `rng` draws sizes and places.
"""

import numpy as np

from lesionclick_training.data.nnunet_layout import organ_number
from lesionclick_training.phantom.patient import AIR_HU, SIDES, Patient, Structure
from lesionclick_training.phantom.shapes import Waves, ellipsoid, smooth_path, tube


def skull_and_brain(rng: np.random.Generator, patient: Patient) -> list[Structure]:
    """Skull, liquor and brain."""
    outer = ellipsoid((1638, 2, 0), (76, 88, 67))
    relief = Waves(rng, 45.0, 3.0)

    def above_base(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        temporal = np.exp(-(((np.abs(x) - 38) / 16) ** 2) - ((y + 15) / 30) ** 2)
        distance: np.ndarray = 0.9 * (1597 - patient.brain_down - 0.5 * y - 16 * temporal - z) + relief(z, y, x)
        return distance

    brain_space = (
        outer.grown(-7).where(above_base, 8).within((1545 - patient.brain_down, None, None), (None, None, None))
    )
    folds = Waves(rng, 22.0, 1.0)
    gray = brain_space.grown(-3)
    white = gray.grown(-9).where(lambda z, y, x: 6.0 * folds(z, y, x) - 1)
    return [
        Structure("bone", [outer.where(lambda z, y, x: above_base(z, y, x) - 7, 8)], 850.0),
        Structure("fluid", [brain_space], 12.0),
        Structure("gray matter", [gray], 38.0, organ_number("brain")),
        Structure("white matter", [white], 29.0, organ_number("brain")),
        Structure("fluid", [ellipsoid((1650, 8, s * 11), (10, 28, 5)) for s in SIDES], 8.0, organ_number("brain")),
        Structure(
            "gray matter", [ellipsoid((1640, -5, s * 19), (13, 20, 8)) for s in SIDES], 40.0, organ_number("brain")
        ),
    ]


def face_and_neck(rng: np.random.Generator, patient: Patient) -> list[Structure]:
    """Jaw, airways, eyes and glands."""
    gland = organ_number("glands")
    big, sub = rng.uniform(0.85, 1.15, size=2) * patient.size("glands")
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
