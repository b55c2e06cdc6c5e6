"""Reality: 180 real whole-body PET/CT cases in quantiles, which phantoms are held to.

Computed from 90 FDG and 90 PSMA cases of the autoPET release, drawn at random: organ labels from the repository of the
authors' autoPET III submission (MIC-DKFZ/autopet-3-submission, Apache License 2.0) and the clicks of the autoPET/CT IV
challenge. No image was used, and no case is in here: quantiles and shares alone.
"""

from collections.abc import Mapping

from lesionclick_training.phantom.population import Tracer

LEVELS = (5, 25, 50, 75, 95)
"""Percentiles that the quantiles below are given at."""

Quantiles = tuple[int, int, int, int, int]

Position = tuple[tuple[int, int, int], tuple[int, int, int], tuple[int, int, int]]

ORGAN_ML: Mapping[Tracer, Mapping[str, Quantiles]] = {
    "FDG": {
        "spleen": (101, 174, 241, 285, 413),
        "kidneys": (218, 284, 322, 379, 438),
        "liver": (1122, 1372, 1580, 1817, 2431),
        "urinary bladder": (60, 93, 132, 174, 305),
        "lungs": (1692, 2431, 3017, 3743, 4831),
        "brain": (413, 713, 859, 1135, 1463),
        "heart": (447, 507, 594, 696, 794),
        "stomach": (197, 309, 405, 516, 630),
        "prostate": (3, 25, 29, 37, 47),
        "glands": (11, 20, 26, 34, 53),
    },
    "PSMA": {
        "spleen": (97, 138, 188, 238, 302),
        "kidneys": (212, 274, 312, 366, 419),
        "liver": (1120, 1352, 1523, 1773, 2153),
        "urinary bladder": (54, 87, 131, 231, 404),
        "lungs": (2559, 2931, 3379, 4082, 5269),
        "brain": (1, 4, 15, 58, 118),
        "heart": (517, 609, 682, 755, 881),
        "stomach": (127, 163, 209, 300, 424),
        "prostate": (3, 8, 13, 21, 51),
        "glands": (10, 18, 24, 33, 45),
    },
}
"""Volumes of organs in ml, of the cases that show the organ; brains are cut by the field of view."""

ORGAN_POSITION_MM: Mapping[Tracer, Mapping[str, Position]] = {
    "FDG": {
        "spleen": ((0, 12, 30), (28, 39, 53), (114, 130, 145)),
        "kidneys": ((-72, -56, -39), (33, 41, 49), (31, 44, 53)),
        "urinary bladder": ((-310, -285, -265), (0, 14, 28), (26, 41, 49)),
        "lungs": ((115, 130, 143), (4, 7, 12), (32, 45, 52)),
        "brain": ((393, 416, 435), (-48, -28, -8), (21, 35, 47)),
        "heart": ((93, 105, 117), (-22, -17, -12), (51, 63, 71)),
        "stomach": ((-9, 0, 15), (-26, -18, -12), (59, 69, 79)),
        "prostate": ((-345, -322, -293), (30, 46, 59), (33, 47, 55)),
        "glands": ((325, 345, 372), (-63, -47, -28), (22, 35, 47)),
    },
    "PSMA": {
        "spleen": ((0, 16, 30), (41, 49, 57), (134, 142, 151)),
        "kidneys": ((-73, -56, -42), (30, 37, 49), (42, 49, 57)),
        "urinary bladder": ((-310, -290, -272), (-6, 4, 16), (37, 49, 54)),
        "lungs": ((114, 134, 144), (4, 8, 14), (44, 49, 57)),
        "brain": ((364, 382, 402), (-19, -1, 8), (37, 49, 61)),
        "heart": ((95, 104, 120), (-20, -12, -8), (65, 73, 81)),
        "stomach": ((-3, 6, 18), (-28, -24, -16), (65, 73, 82)),
        "prostate": ((-340, -320, -305), (19, 30, 38), (38, 49, 55)),
        "glands": ((321, 340, 360), (-44, -33, -20), (41, 49, 57)),
    },
}
"""Quartiles of where the middle of an organ's box lies from that of the liver's: z (up), y (back), x (to the left)."""

LENGTH_MM: Mapping[Tracer, Quantiles] = {
    "FDG": (726, 852, 975, 980, 1733),
    "PSMA": (770, 825, 860, 880, 978),
}
"""Length of the scan."""

WIDTH_MM: Mapping[Tracer, Quantiles] = {
    "FDG": (815, 815, 815, 815, 815),
    "PSMA": (684, 700, 700, 815, 815),
}
"""Width of the field, air included."""

ABOVE_LIVER_MM: Mapping[Tracer, Quantiles] = {
    "FDG": (283, 435, 464, 491, 547),
    "PSMA": (326, 370, 390, 410, 454),
}
"""From the middle of the liver's box to the upper end of the scan."""

BELOW_LIVER_MM: Mapping[Tracer, Quantiles] = {
    "FDG": (377, 417, 447, 496, 535),
    "PSMA": (382, 442, 472, 513, 573),
}
"""From there to the lower end, of scans that end at the thighs."""

TO_THE_TOES: Mapping[Tracer, float] = {
    "FDG": 0.156,
    "PSMA": 0.0,
}
"""Share of the scans that show the legs."""

LESION_FREE: Mapping[Tracer, float] = {
    "FDG": 0.567,
    "PSMA": 0.067,
}
"""Share of the cases without a lesion."""

BACKGROUND_CLICKS: Mapping[Tracer, Mapping[str, float]] = {
    "FDG": {
        "other": 0.707,
        "liver": 0.172,
        "heart": 0.046,
        "kidneys": 0.040,
        "spleen": 0.011,
        "stomach": 0.009,
        "glands": 0.006,
        "brain": 0.004,
        "urinary bladder": 0.003,
        "lungs": 0.002,
    },
    "PSMA": {
        "liver": 0.444,
        "other": 0.422,
        "kidneys": 0.040,
        "spleen": 0.034,
        "glands": 0.029,
        "urinary bladder": 0.021,
        "stomach": 0.003,
        "brain": 0.002,
        "heart": 0.002,
        "prostate": 0.001,
    },
}
"""Shares of the official background clicks by the organ that they lie in."""

TUMOR_CLICKS: Mapping[Tracer, Mapping[str, float]] = {
    "FDG": {
        "other": 0.777,
        "lungs": 0.144,
        "liver": 0.046,
        "heart": 0.010,
        "kidneys": 0.008,
        "spleen": 0.005,
        "prostate": 0.005,
        "stomach": 0.005,
    },
    "PSMA": {
        "other": 0.863,
        "prostate": 0.083,
        "urinary bladder": 0.037,
        "lungs": 0.012,
        "liver": 0.002,
        "spleen": 0.001,
        "heart": 0.001,
    },
}
"""Shares of the official tumor clicks by the organ that they lie in."""
