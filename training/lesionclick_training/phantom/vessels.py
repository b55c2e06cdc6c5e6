"""Great vessels of a phantom, in the standard frame of `patient`.

Each function returns structures in the order of painting.
"""

import numpy as np

from lesionclick_training.phantom.patient import SIDES, Patient, Structure
from lesionclick_training.phantom.shapes import capsule, smooth_path, tube


def great_vessels(patient: Patient) -> list[Structure]:
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
