"""Disease of a phantom that is held to reality: lesions of all sizes and counts, and benign foci like them.

Lesions and benign foci are drawn from the same volumes and uptakes, and those of the kind "mimic" from the same sites:
only a click tells such a focus from a lesion.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from lesionclick_training.phantom import benign, masses
from lesionclick_training.phantom.anatomy import Anatomy
from lesionclick_training.phantom.foci import SITE_SPOTS, Focus, Spot, beside_hot_organ, irregular
from lesionclick_training.phantom.population import Disease, Site, Tracer, draw
from lesionclick_training.phantom.shapes import Solid, union

PLACING_TRIES = 25

GAP_MM = 3.0
"""Between two foci."""

TOUCHING = 0.1
"""Share of the lesions and mimics that lie against an organ with high uptake."""

LARGEST_ML: Mapping[Site, float] = {
    "node": 60.0,
    "bone": 80.0,
    "lung": 80.0,
    "liver": 250.0,
    "prostate": 12.0,
    "soft tissue": 80.0,
}

MASS_PLACES: tuple[tuple[tuple[float, float, float], tuple[float, float, float], float, float], ...] = (
    ((720, 0, 86), (60, 18, 14), 1.5, 0.36),  # thigh
    ((890, 60, 75), (25, 10, 15), 1.1, 0.14),  # buttock
    ((300, 30, 77), (50, 8, 6), 1.6, 0.06),  # calf
    ((1390, 40, 130), (20, 14, 14), 1.1, 0.12),  # shoulder
    ((1060, 10, 70), (40, 14, 12), 1.2, 0.16),  # behind the peritoneum
    ((1280, 60, 115), (60, 15, 12), 1.1, 0.1),  # chest wall
    ((930, -10, 50), (20, 14, 14), 1.1, 0.06),  # pelvis
)
"""Where masses lie in the standard frame (z, y, x of either side), their scatter, elongation and share."""


@dataclass
class Placed:
    """Foci so far, with their centers and radii as arrays to measure gaps against."""

    foci: list[Focus] = field(default_factory=list)

    def has_room(self, center: np.ndarray, radius: float) -> bool:
        """Whether a focus of a radius keeps its distance from all others."""
        if not self.foci:
            return True
        others = np.array([focus.center for focus in self.foci])
        radii = np.array([focus.radius for focus in self.foci])
        return bool(np.all(np.linalg.norm(others - center, axis=1) > 1.15 * (radius + radii) + GAP_MM))


def draw_disease(
    rng: np.random.Generator, anatomy: Anatomy, tracer: Tracer, disease: Disease, seen_z: tuple[float, float]
) -> tuple[Anatomy, list[Focus]]:
    """Draws the lesions and benign foci of a patient within the part that a scan shows.

    Args:
        rng: what is drawn from.
        anatomy: of the patient.
        tracer: of the scan.
        disease: what lesions and benign foci are drawn from.
        seen_z: ends of the scan, mm of the patient.

    Returns:
        The anatomy, whose body bulges where a mass needs it, and the foci.
    """
    placed = Placed()
    diseased = rng.random() >= disease.lesion_free
    has_mass = diseased and rng.random() < disease.mass
    typical = draw(rng, disease.typical_ml)
    if has_mass:
        anatomy, mass = _mass(rng, anatomy, disease, seen_z)
        placed.foci.append(mass)
    count = max(1, round(draw(rng, disease.count))) if diseased else 0
    if has_mass:
        count = int(rng.choice((0, 0, 1, 3)))
    shares = _patients_shares(rng, disease.sites)
    for _ in range(count):
        _place(rng, anatomy, tracer, disease, typical, shares, None, placed, seen_z)
    kinds = benign.drawn_kinds(rng, disease.decoy_kinds, round(draw(rng, disease.decoy_count)))
    typical = draw(rng, disease.typical_ml)
    for kind in kinds:
        _place(rng, anatomy, tracer, disease, typical, shares, kind, placed, seen_z)
    placed.foci += benign.patterns(rng, anatomy, disease)
    return anatomy, placed.foci


def _patients_shares(rng: np.random.Generator, sites: Mapping[Site, float]) -> dict[Site, float]:
    """A patient's own preference of sites: some have bone alone, some nodes alone."""
    drawn = rng.gamma(3.0 * np.array(list(sites.values())) + 1e-6)
    return dict(zip(sites, (drawn / drawn.sum()).tolist(), strict=True))


def _place(
    rng: np.random.Generator,
    anatomy: Anatomy,
    tracer: Tracer,
    disease: Disease,
    typical_ml: float,
    sites: Mapping[Site, float],
    kind: str | None,
    placed: Placed,
    seen_z: tuple[float, float],
) -> None:
    """Adds a lesion (kind None) or a benign focus of a kind where room is found."""
    site = list(sites)[rng.choice(len(sites), p=list(sites.values()))]
    ml = typical_ml * float(np.exp(disease.spread * rng.normal()))
    ml = float(np.clip(ml, 0.08, LARGEST_ML[site] if kind in (None, "mimic") else 30.0))
    radius = masses.radius_of(ml)
    for _ in range(PLACING_TRIES):
        point, hu = _spot(rng, anatomy, tracer, site, kind, radius)
        center = point * anatomy.patient.scale_zyx
        inside = anatomy.body.distance(*point[:, None]).item() < -2
        if inside and seen_z[0] + 5 < center[0] < seen_z[1] - 5 and placed.has_room(center, radius):
            placed.foci.append(_focus(rng, center, radius, hu, kind, disease))
            return


def _spot(
    rng: np.random.Generator, anatomy: Anatomy, tracer: Tracer, site: Site, kind: str | None, radius: float
) -> Spot:
    if kind is not None and kind != "mimic":
        return benign.spot(rng, anatomy, kind)
    if rng.random() < TOUCHING:
        return beside_hot_organ(rng, anatomy, tracer, radius), 45.0
    return SITE_SPOTS[site](rng, anatomy, tracer, radius)


def _focus(
    rng: np.random.Generator, center: np.ndarray, radius: float, hu: float | None, kind: str | None, disease: Disease
) -> Focus:
    weak = rng.random() < disease.weak
    uptake, weak_contrast = draw(rng, disease.uptake), draw(rng, disease.weak_contrast)
    uptake *= benign.HOTTER.get(kind or "", 1.0)
    large = radius > masses.radius_of(15.0)
    lobed = large and rng.random() < 0.6
    solid = (
        masses.conglomerate(rng, center, radius, 1.0)
        if lobed
        else irregular(rng, center, radius, rng.uniform(0.05, 0.2))
    )
    necrosis = rng.uniform(0.4, 0.9) if large and rng.random() < 0.4 else 0.0
    return Focus(
        lesion=kind is None,
        center=center,
        radius=radius,
        solid=solid,
        hu=hu,
        uptake=0.0 if weak else uptake,
        contrast=weak_contrast if weak else 1.5,
        texture=masses.uneven_uptake(rng, solid, radius, rng.uniform(0.1, 0.35), necrosis),
    )


def _mass(
    rng: np.random.Generator, anatomy: Anatomy, disease: Disease, seen_z: tuple[float, float]
) -> tuple[Anatomy, Focus]:
    """A tumor of soft tissue like a sarcoma, and the anatomy with a body that has room for it."""
    scale = np.array(anatomy.patient.scale_zyx)
    radius = masses.radius_of(draw(rng, disease.mass_ml))
    shown = [place for place in MASS_PLACES if seen_z[0] + 20 < place[0][0] * scale[0] < seen_z[1] - 20]
    shown = shown or list(MASS_PLACES)
    shares = np.array([place[3] for place in shown])
    middle, scatter, elongation, _ = shown[rng.choice(len(shown), p=shares / shares.sum())]
    point = np.array(middle) * (1, 1, rng.choice((-1, 1))) + rng.normal(0, 1, size=3) * scatter
    center = point * scale
    center[0] = np.clip(center[0], seen_z[0] + 10, seen_z[1] - 10)
    solid = masses.conglomerate(rng, center, radius, elongation * rng.uniform(0.9, 1.2))
    necrosis = rng.uniform(0.4, 0.95) if rng.random() < 0.65 else 0.0
    texture = masses.uneven_uptake(rng, solid, radius, rng.uniform(0.3, 0.75), necrosis)
    focus = Focus(
        lesion=True,
        center=center,
        radius=radius,
        solid=solid,
        hu=float(rng.choice((-45.0, 15.0, 30.0, 45.0), p=(0.1, 0.25, 0.4, 0.25))),
        uptake=draw(rng, disease.mass_uptake),
        contrast=1.1,
        texture=texture,
    )
    bulge = _in_standard_frame(solid.grown(9.0), scale)
    return replace(anatomy, body=union([anatomy.body, bulge], rounding=25.0)), focus


def _in_standard_frame(solid: Solid, scale: np.ndarray) -> Solid:
    sz, sy, sx = (float(factor) for factor in scale)
    return Solid(solid.low / scale, solid.high / scale, lambda z, y, x: solid.distance(sz * z, sy * y, sx * x))
