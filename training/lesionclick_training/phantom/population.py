"""Population that phantoms are drawn from: every random choice of a patient, a scan and its lesions, as data.

The populations in use are in `populations`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

Tracer = Literal["FDG", "PSMA"]

Site = Literal["node", "bone", "liver", "lung", "soft tissue", "prostate"]

DecoyKind = Literal["mimic", "ureter", "bowel", "joint", "fracture"]

Range = tuple[float, float]
"""Drawn uniformly between two numbers."""


Level = tuple[float, float, float]
"""Median SUV, spread between patients and patchiness inside the structure (standard deviations of the logarithm)."""


@dataclass(frozen=True)
class LogNormal:
    """A log-normal number, cut to a range: `median * exp(spread * standard normal)`."""

    median: float
    spread: float
    low: float
    high: float


def draw(rng: np.random.Generator, what: Range | LogNormal) -> float:
    """One number of a distribution."""
    if isinstance(what, LogNormal):
        return float(np.clip(what.median * np.exp(what.spread * rng.normal()), what.low, what.high))
    return float(rng.uniform(*what))


@dataclass(frozen=True)
class Body:
    """How the organs of a population's patients differ from the standard body's."""

    sizes: Mapping[Tracer, Mapping[str, float]]
    """Linear sizes of organs over the standard's."""
    spread: Mapping[str, float]
    """Standard deviation of the logarithm of an organ's size; 0.07 where an organ is not named."""
    build_spread: float = 0.02
    """The same of all organs of a patient together."""
    organs_up_mm: Range = (20.0, 40.0)
    """How far diaphragm, heart and upper abdomen lie above the standard level: patients lie and breathe out."""
    cushion: tuple[tuple[float, float], ...] = ()
    """Levels of the standard frame and how far to the back the body lies there, mm."""
    cushion_range: Range = (0.5, 1.5)
    """Times which a patient has it."""
    brain_down_mm: float = 0.0
    """How far the base of the brain lies below the standard level."""
    lung_margin_mm: Range = (0.0, 0.0)
    """How far the lungs stay off the wall of the chest."""


@dataclass(frozen=True)
class ScannerGrid:
    """The voxels of a model of scanner, and how often it is met."""

    columns: int
    pixel_mm: float
    slice_mm: float
    share: float


@dataclass(frozen=True)
class FieldOfView:
    """What part of a patient scans show; quantiles are at `reality.LEVELS`."""

    scanners: tuple[ScannerGrid, ...]
    above_liver_mm: tuple[float, ...]
    """Quantiles of the upper end's height above the middle of the liver's box."""
    below_liver_mm: tuple[float, ...]
    """Quantiles of the lower end's depth below it, where a scan ends above the knees."""
    to_the_toes: float
    """Probability of a scan that ends at the calves or the toes."""
    follows_size: float = 0.0
    """How much of the spread of the ends is due to the patients' sizes: 0 for none, 1 for all."""
    noise: float = 1.0
    """Times the population's `pet_noise`."""


@dataclass(frozen=True)
class Disease:
    """What lesions and benign foci the patients of one tracer have. Volumes are in ml, uptake in SUV."""

    lesion_free: float
    count: LogNormal
    """Of lesions, rounded, where there are any."""
    typical_ml: LogNormal
    """A patient's typical lesion."""
    spread: float
    """Standard deviation of the logarithm of volume within a patient."""
    sites: Mapping[Site, float]
    """Where lesions lie, as shares."""
    mass: float
    """Probability that a patient with lesions has one large tumor of limb or trunk, and few others."""
    mass_ml: LogNormal
    mass_uptake: LogNormal
    uptake: LogNormal
    """SUV of lesions and decoys, above that of the tissue around."""
    weak: float
    """Share of lesions and decoys that barely exceed the tissue around, by `weak_contrast`."""
    weak_contrast: Range
    decoy_count: LogNormal
    decoy_kinds: Mapping[str, float]
    """Kinds of benign foci with their shares."""
    brown_fat: float
    injection_site: float
    """Probabilities of the two, the second where the arm lies in the field."""
    marrow: float
    """Probability of activated marrow."""


@dataclass(frozen=True)
class Reading:
    """How the contours of readers err."""

    threshold: float = 0.5
    """Share of lesions that are contoured by a threshold of their own maximum."""
    threshold_range: Range = (0.38, 0.55)
    offset_mm: float = 0.7
    """Standard deviation of a whole contour's shift outward."""
    jitter_mm: float = 0.9
    """Standard deviation of the wobble along a contour."""


@dataclass(frozen=True)
class Artifacts:
    """Probabilities of metal in a patient, with its streaks in the CT and its traces in the corrected PET."""

    dental: float = 0.4
    hip: float = 0.06
    knee: float = 0.06
    spine: float = 0.04
    pacemaker: float = 0.04


@dataclass(frozen=True)
class Population:
    """Distributions of patients, scans, lesions and decoys.

    A population with a `body`, `fields`, `diseases`, a `reading` and `artifacts` is held to real cases; one without
    has the plain lesions and decoys of the numbers from `lesion_free_probability` to `decoy_kinds`.

    Lesions and decoys are drawn from the same uptakes and, for decoys of the kind "mimic", the same sites, so that
    nothing in the image tells such a decoy from a small lesion. More and larger decoys and weaker lesions make the task
    harder.
    """

    name: str = "base"
    """What the names of the population's cases begin with."""
    psma_probability: float = 0.5
    female_probability: float = 0.45
    """Of FDG patients; PSMA patients are men."""
    height_mm: Range = (1560.0, 1900.0)
    frame: Range = (0.93, 1.08)
    """Width of the skeleton over what its height would give."""
    fat_mm: LogNormal = LogNormal(20.0, 0.45, 5.0, 45.0)
    """Subcutaneous fat at the belly."""
    visceral_mm: Range = (0.0, 38.0)
    """How far fat inside the abdomen pushes the belly forward."""
    arms_up_probability: float = 0.65
    contrast_agent_probability: float = 0.4
    """Of a CT with contrast agent in vessels and organs."""

    lesion_free_probability: float = 0.15
    lesion_count: LogNormal = LogNormal(5.0, 0.75, 1.0, 20.0)
    """Rounded; of the cases with lesions."""
    diameter_mm: LogNormal = LogNormal(27.0, 0.35, 4.0, 40.0)
    """Of lesions."""
    roughness: Range = (0.08, 0.22)
    """Standard deviation of the surface's bumps over the radius."""
    uptake: LogNormal = LogNormal(6.0, 0.5, 2.5, 30.0)
    """SUV of lesions and decoys, above that of the tissue around."""
    least_contrast: float = 1.8
    """SUV of an ordinary lesion or decoy over that of the tissue around, at the least, before the scanner's blur."""
    weak_probability: float = 0.2
    weak_contrast: Range = (1.3, 1.9)
    """SUV of a weak lesion or decoy over that of the tissue around (tissue of less than SUV 1 counts as 1)."""
    touching_probability: float = 0.12
    """Of a lesion or decoy that lies against an organ with high uptake."""

    decoy_count: LogNormal = LogNormal(1.6, 0.6, 0.0, 8.0)
    """Rounded; of every case."""
    decoy_diameter_mm: LogNormal = LogNormal(13.0, 0.35, 6.0, 28.0)
    decoy_kinds: tuple[tuple[DecoyKind, float], ...] = (
        ("mimic", 0.5),
        ("ureter", 0.15),
        ("bowel", 0.15),
        ("joint", 0.1),
        ("fracture", 0.1),
    )
    """Kinds of decoys with their shares; "mimic" (inflamed nodes, granulomas, benign bone) lies where lesions lie."""

    psf_fwhm_mm: Range = (5.0, 7.0)
    """Width at half maximum of the PET's point spread."""
    pet_noise: LogNormal = LogNormal(0.09, 0.35, 0.04, 0.25)
    """Coefficient of variation at SUV 2, 60 mm deep: what dose, time and scanner give."""
    noise_grain: Range | None = None
    """Width of the noise's grains over that of the point spread; the wider, the weaker. None: 0.8 always."""
    ct_noise_hu: Range = (6.0, 18.0)
    breathing_shift_mm: Range = (-3.0, 12.0)
    """How much further up the diaphragm lies in the PET than in the CT."""
    breathing_blur_mm: Range = (2.0, 12.0)
    """Range of the diaphragm's movement during the PET."""

    uptakes: Mapping[Tracer, Mapping[str, Level]] | None = None
    """Of tissues whose uptake differs from that listed in `uptake`."""
    body: Body | None = None
    fields: Mapping[Tracer, FieldOfView] | None = None
    """None: from above the vertex to mid thigh, with little air around, in voxels of 5 mm unless told otherwise."""
    diseases: Mapping[Tracer, Disease] | None = None
    reading: Reading | None = None
    """None: contours are the lesions' true outlines."""
    artifacts: Artifacts | None = None
