"""Lesions and decoys of a phantom: where they lie, their shapes, and what CT and PET show of them.

A decoy is benign uptake. It is drawn like a lesion and differs in nothing but its place, and those of the kind "mimic"
not even in that: only a click can tell them apart.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lesionclick_training.phantom.anatomy import Anatomy
from lesionclick_training.phantom.population import DecoyKind, Population, Site, Tracer, draw
from lesionclick_training.phantom.shapes import Distance, Solid, Waves, ellipsoid, rotation, union
from lesionclick_training.phantom.uptake import HOT_ORGANS

SITES: dict[Tracer, dict[Site, float]] = {
    "FDG": {"node": 0.36, "lung": 0.2, "bone": 0.18, "liver": 0.14, "soft tissue": 0.12},
    "PSMA": {"node": 0.42, "bone": 0.42, "liver": 0.05, "lung": 0.05, "soft tissue": 0.06},
}
"""Where lesions lie, as shares."""


@dataclass(frozen=True)
class Station:
    """A place of lymph nodes in the standard frame: z, y, x of either side, how far nodes scatter in mm, and shares."""

    z: float
    y: float
    x: float
    scatter: float
    share: dict[Tracer, float]


STATIONS = (
    Station(1490, 0, 40, 11, {"FDG": 0.14, "PSMA": 0.03}),  # cervical
    Station(1428, 2, 55, 6, {"FDG": 0.12, "PSMA": 0.08}),  # supraclavicular
    Station(1365, 15, 122, 8, {"FDG": 0.14, "PSMA": 0.03}),  # axillary
    Station(1350, 0, 14, 9, {"FDG": 0.18, "PSMA": 0.06}),  # mediastinal
    Station(1312, 18, 36, 6, {"FDG": 0.12, "PSMA": 0.04}),  # hilar
    Station(1060, 14, 24, 13, {"FDG": 0.10, "PSMA": 0.20}),  # para-aortic
    Station(1050, -40, 25, 13, {"FDG": 0.06, "PSMA": 0.02}),  # mesenteric
    Station(985, 14, 44, 6, {"FDG": 0.05, "PSMA": 0.18}),  # common iliac
    Station(925, 0, 72, 9, {"FDG": 0.05, "PSMA": 0.30}),  # pelvic
    Station(872, -68, 72, 6, {"FDG": 0.04, "PSMA": 0.06}),  # inguinal
)

BONES = {
    "vertebra": 0.38,
    "pelvic marrow": 0.28,
    "rib": 0.16,
    "sternum": 0.06,
    "scapula": 0.06,
    "long bone marrow": 0.06,
}

KEPT_CLEAR = ("lung", "liver", "spleen", "kidney", "bladder", "myocardium", "stomach", "gray matter")
"""Organs that a focus in soft tissue does not lie in."""

GAP_MM = 9.0
"""Between two foci, so that they stay apart on a coarse grid."""

PLACING_TRIES = 40

TRIAL_POINTS = 1000

Spot = tuple[np.ndarray, float | None]
"""A point (z, y, x) of the standard frame for a focus, and the HU of the focus; None where the CT shows nothing."""


@dataclass(frozen=True)
class Focus:
    """A spot of raised uptake, in mm of the patient (z, y, x).

    Attributes:
        lesion: whether it is tumor; a decoy otherwise.
        center: of the shape.
        radius: of the sphere of about the same volume, mm.
        solid: its true extent.
        hu: what the CT shows there; None where it shows nothing.
        uptake: SUV above that of the tissue around.
        contrast: SUV over that of the tissue around, at the least.
        texture: relative variation of the uptake inside.
    """

    lesion: bool
    center: np.ndarray
    radius: float
    solid: Solid
    hu: float | None
    uptake: float
    contrast: float
    texture: Distance

    def suv(self, background: float) -> float:
        """Mean SUV in tissue of an SUV; tissue of less than SUV 1 counts as 1 for the contrast."""
        return max(background + self.uptake, self.contrast * max(background, 1.0))


def draw_foci(rng: np.random.Generator, anatomy: Anatomy, tracer: Tracer, population: Population) -> list[Focus]:
    """Draws the lesions and the decoys of a patient, which do not touch each other; what finds no room is left out."""
    lesion_free = rng.random() < population.lesion_free_probability
    count = 0 if lesion_free else max(1, round(draw(rng, population.lesion_count)))
    shares = np.array([share for _, share in population.decoy_kinds])
    decoys = rng.choice(len(shares), size=round(draw(rng, population.decoy_count)), p=shares / shares.sum())
    wanted = [None] * count + [population.decoy_kinds[index][0] for index in decoys]
    foci: list[Focus] = []
    for decoy in wanted:
        focus = _place(rng, anatomy, tracer, population, decoy, foci)
        if focus is not None:
            foci.append(focus)
    return foci


def _place(
    rng: np.random.Generator,
    anatomy: Anatomy,
    tracer: Tracer,
    population: Population,
    decoy: DecoyKind | None,
    others: Sequence[Focus],
) -> Focus | None:
    """A lesion (decoy None) or a decoy of a kind that keeps its distance from others; None where no place was found."""
    radius = draw(rng, population.diameter_mm if decoy is None else population.decoy_diameter_mm) / 2
    for _ in range(PLACING_TRIES):
        point, hu = _spot(rng, anatomy, tracer, population, decoy, radius)
        center = point * anatomy.patient.scale_zyx
        inside = anatomy.body.distance(*point[:, None]).item() < 0
        if inside and all(np.linalg.norm(center - o.center) > 1.35 * (radius + o.radius) + GAP_MM for o in others):
            return _focus(rng, center, radius, hu, decoy is None, population)
    return None


def _focus(
    rng: np.random.Generator, center: np.ndarray, radius: float, hu: float | None, lesion: bool, population: Population
) -> Focus:
    weak = rng.random() < population.weak_probability
    uptake, weak_contrast = draw(rng, population.uptake), draw(rng, population.weak_contrast)
    return Focus(
        lesion=lesion,
        center=center,
        radius=radius,
        solid=irregular(rng, center, radius, draw(rng, population.roughness)),
        hu=hu,
        uptake=0.0 if weak else uptake,
        contrast=weak_contrast if weak else population.least_contrast,
        texture=Waves(rng, wavelength=2 * radius + 8, deviation=0.12),
    )


def irregular(rng: np.random.Generator, center: np.ndarray, radius: float, roughness: float) -> Solid:
    """A bumpy ellipsoid, some of the larger ones with a second lobe."""
    axes = np.exp(rng.normal(0, 0.16, size=3))
    axes *= radius / np.prod(axes) ** (1 / 3)
    bumps = Waves(rng, wavelength=2.4 * radius, deviation=roughness * radius)
    solid = ellipsoid(center, axes, rotation(*rng.uniform(0, 180, size=3)), bumps)
    if radius > 7 and rng.random() < 0.35:
        way = rng.normal(size=3)
        beside = center + 0.85 * radius * way / np.linalg.norm(way)
        solid = union([solid, ellipsoid(beside, axes * rng.uniform(0.45, 0.65))], rounding=0.4 * radius)
    return solid


def _spot(
    rng: np.random.Generator,
    anatomy: Anatomy,
    tracer: Tracer,
    population: Population,
    decoy: DecoyKind | None,
    radius: float,
) -> Spot:
    if decoy == "fracture":
        return point_in(rng, anatomy.named("rib"), 1.0), 500.0
    if decoy is not None and decoy != "mimic":
        points = anatomy.landmarks[decoy]
        return points[rng.integers(len(points))] + rng.normal(0, 2, size=3), None
    if rng.random() < population.touching_probability:
        return beside_hot_organ(rng, anatomy, tracer, radius), 45.0
    sites = SITES[tracer]
    site = list(sites)[rng.choice(len(sites), p=np.array(list(sites.values())))]
    return SITE_SPOTS[site](rng, anatomy, tracer, radius)


def _in_node(rng: np.random.Generator, anatomy: Anatomy, tracer: Tracer, radius: float) -> Spot:
    station = STATIONS[rng.choice(len(STATIONS), p=np.array([s.share[tracer] for s in STATIONS]))]
    side = rng.choice((-1, 1))
    scatter = rng.normal(0, station.scatter, size=3) * (1.6, 0.7, 1.0)
    return np.array((station.z, station.y, side * station.x)) + scatter, float(rng.normal(42, 6))


def _in_bone(rng: np.random.Generator, anatomy: Anatomy, tracer: Tracer, radius: float) -> Spot:
    name = str(rng.choice(list(BONES), p=np.array(list(BONES.values()))))
    sclerotic = 0.55 if tracer == "PSMA" else 0.25
    hu = rng.choice(np.array((620.0, 60.0, np.nan)), p=(sclerotic, 0.4 * (1 - sclerotic), 0.6 * (1 - sclerotic)))
    return point_in(rng, anatomy.named(name), 1.0), None if np.isnan(hu) else float(hu)


def _in_liver(rng: np.random.Generator, anatomy: Anatomy, tracer: Tracer, radius: float) -> Spot:
    return point_in(rng, anatomy.named("liver"), 0.7 * radius), anatomy.patient.enhanced(38.0, 75.0)


def _in_lung(rng: np.random.Generator, anatomy: Anatomy, tracer: Tracer, radius: float) -> Spot:
    return point_in(rng, anatomy.named("lung"), 0.5 * radius), float(rng.normal(25, 10))


def _in_soft_tissue(rng: np.random.Generator, anatomy: Anatomy, tracer: Tracer, radius: float) -> Spot:
    """Under the skin or between muscles, from thigh to neck and without the arms."""
    body = anatomy.body.within((680.0, None, -170.0), (1480.0, None, 170.0))
    return point_in(rng, [body.without(*anatomy.named(*KEPT_CLEAR))], 5.0 + 0.6 * radius), 45.0


def _in_prostate(rng: np.random.Generator, anatomy: Anatomy, tracer: Tracer, radius: float) -> Spot:
    """In the prostate or, where it was taken out, in its bed."""
    return np.array((858.0, -6.0, 0.0)) + rng.normal(0, (8, 8, 10)), None


SITE_SPOTS: dict[Site, Callable[[np.random.Generator, Anatomy, Tracer, float], Spot]] = {
    "node": _in_node,
    "bone": _in_bone,
    "liver": _in_liver,
    "lung": _in_lung,
    "soft tissue": _in_soft_tissue,
    "prostate": _in_prostate,
}


def point_in(rng: np.random.Generator, solids: Sequence[Solid], depth: float) -> np.ndarray:
    """A random point at least `depth` mm deep in one of some solids, or the deepest one tried."""
    sizes = np.array([np.prod(solid.high - solid.low) for solid in solids])
    chosen = rng.choice(len(solids), size=TRIAL_POINTS, p=sizes / sizes.sum())
    low, high = np.array([s.low for s in solids])[chosen], np.array([s.high for s in solids])[chosen]
    points = rng.uniform(low, high)
    distance = np.empty(len(points))
    for index, solid in enumerate(solids):
        mine = chosen == index
        distance[mine] = solid.distance(*points[mine].T)
    inside = np.flatnonzero(distance < -depth)
    point: np.ndarray = points[inside[0] if len(inside) else distance.argmin()]
    return point


def beside_hot_organ(rng: np.random.Generator, anatomy: Anatomy, tracer: Tracer, radius: float) -> np.ndarray:
    """A random point of the body from which a focus of a radius just reaches an organ with high uptake."""
    solids = anatomy.named(str(rng.choice(HOT_ORGANS[tracer])))
    organ = solids[rng.integers(len(solids))]
    points = rng.uniform(organ.low - radius, organ.high + radius, size=(TRIAL_POINTS, 3))
    misplaced = np.abs(organ.distance(*points.T) - 0.85 * radius)
    misplaced += np.maximum(anatomy.body.distance(*points.T) + 4.0 + 0.6 * radius, 0)
    fitting = np.flatnonzero(misplaced < 1.5)
    point: np.ndarray = points[fitting[0] if len(fitting) else misplaced.argmin()]
    return point
