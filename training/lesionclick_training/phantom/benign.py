"""Benign foci of a phantom that is held to reality: what has uptake, is no tumor and may look like one."""

from collections.abc import Mapping

import numpy as np

from lesionclick_training.phantom.anatomy import Anatomy
from lesionclick_training.phantom.foci import Focus, Spot, irregular, point_in
from lesionclick_training.phantom.patient import LEFT, RIGHT, SIDES
from lesionclick_training.phantom.population import Disease
from lesionclick_training.phantom.shapes import Waves

HOTTER: Mapping[str, float] = {"urine": 3.0, "ureter": 2.0, "infiltrate": 0.5, "ganglion": 0.35, "joint": 0.6}
"""Uptake of a kind of benign focus over that of lesions, where it differs."""

POINTS: Mapping[str, tuple[tuple[float, float, float], ...]] = {
    "tonsil": ((1525.0, -18.0, -16.0), (1525.0, -18.0, 16.0), (1462.0, -14.0, 0.0)),
    "ganglion": tuple(
        (z, y, side * x) for side in SIDES for z, y, x in ((1120, 14, 18), (1425, 20, 22), (960, 62, 24))
    ),
    "urine": ((832.0, -60.0, 0.0), (815.0, -40.0, 12.0), (840.0, 0.0, 0.0)),
}
"""Where some kinds lie in the standard frame: tonsils and larynx; ganglia; urethra and skin below it."""

BROWN_FAT = ((1430, 10, 62, 14), (1400, 30, 85, 16), (1340, 60, 30, 8), (1290, 66, 30, 8), (1250, 66, 30, 8))
"""Middles of brown fat in the standard frame (z, y, x of either side), and its scatter."""


def drawn_kinds(rng: np.random.Generator, kinds: Mapping[str, float], count: int) -> list[str]:
    """The kinds of a number of benign foci, drawn by their shares."""
    shares = np.array(list(kinds.values()))
    return [str(kind) for kind in rng.choice(list(kinds), size=count, p=shares / shares.sum())]


def spot(rng: np.random.Generator, anatomy: Anatomy, kind: str) -> Spot:
    """A place for a benign focus of a kind, in the standard frame, and its HU; None where the CT shows nothing."""
    if kind == "fracture":
        return point_in(rng, anatomy.named("rib"), 1.0), 500.0
    if kind == "infiltrate":
        return point_in(rng, anatomy.named("lung"), 2.0), float(rng.uniform(-500, 0))
    points = np.array(POINTS[kind]) if kind in POINTS else anatomy.landmarks[kind]
    return points[rng.integers(len(points))] + rng.normal(0, 2.5, size=3), None


def patterns(rng: np.random.Generator, anatomy: Anatomy, disease: Disease) -> list[Focus]:
    """What some patients have as a whole: brown fat on both sides, and a vein or tissue where the tracer went in."""
    foci = []
    if rng.random() < disease.brown_fat:
        level = rng.uniform(3.0, 12.0)
        for z, y, x, scatter in BROWN_FAT:
            for side in SIDES:
                for _ in range(int(rng.integers(1, 4))):
                    point = np.array((z, y, side * x)) + rng.normal(0, scatter, size=3) * (0.7, 0.5, 0.7)
                    foci.append(_focus(rng, anatomy, point, rng.uniform(4, 9), level * rng.uniform(0.6, 1.3)))
    if rng.random() < disease.injection_site:
        side = LEFT if rng.random() < 0.4 else RIGHT
        elbow, wrist = anatomy.arms[0 if side == RIGHT else 1][1:3]
        point = elbow + rng.choice((0.0, 0.8, 1.0)) * (wrist - elbow)
        vein = _focus(rng, anatomy, point, rng.uniform(4, 9), float(np.exp(rng.normal(2.7, 0.9))))
        foci.append(vein)
    return foci


def _focus(rng: np.random.Generator, anatomy: Anatomy, point: np.ndarray, radius: float, uptake: float) -> Focus:
    center = point * anatomy.patient.scale_zyx
    solid = irregular(rng, center, radius, 0.15)
    return Focus(
        lesion=False,
        center=center,
        radius=radius,
        solid=solid,
        hu=None,
        uptake=uptake,
        contrast=1.5,
        texture=Waves(rng, wavelength=2 * radius + 8, deviation=0.12),
    )
