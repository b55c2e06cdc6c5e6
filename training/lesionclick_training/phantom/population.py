"""Population that phantoms are drawn from: every random choice of a patient, a scan and its lesions, as data."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Tracer = Literal["FDG", "PSMA"]

DecoyKind = Literal["mimic", "ureter", "bowel", "joint", "fracture"]

Range = tuple[float, float]
"""Drawn uniformly between two numbers."""


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
class Population:
    """Distributions of patients, scans, lesions and decoys; `BASE` and `MORE` are the two in use.

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
    ct_noise_hu: Range = (6.0, 18.0)
    breathing_shift_mm: Range = (-3.0, 12.0)
    """How much further up the diaphragm lies in the PET than in the CT."""
    breathing_blur_mm: Range = (2.0, 12.0)
    """Range of the diaphragm's movement during the PET."""


BASE = Population()
"""The population of the base dataset."""

MORE = Population(
    name="more",
    psma_probability=0.4,
    height_mm=(1480.0, 1960.0),
    frame=(0.9, 1.12),
    fat_mm=LogNormal(22.0, 0.5, 4.0, 52.0),
    visceral_mm=(0.0, 48.0),
    arms_up_probability=0.45,
    lesion_count=LogNormal(6.0, 0.8, 1.0, 20.0),
    diameter_mm=LogNormal(24.0, 0.42, 4.0, 40.0),
    uptake=LogNormal(5.0, 0.6, 2.0, 35.0),
    decoy_count=LogNormal(2.2, 0.6, 0.0, 10.0),
    psf_fwhm_mm=(4.5, 8.0),
    pet_noise=LogNormal(0.12, 0.4, 0.05, 0.3),
    ct_noise_hu=(8.0, 25.0),
)
"""More data: other sizes, counts and doses."""
