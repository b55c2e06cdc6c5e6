"""Standardized uptake of healthy tissue for the two tracers, as it differs from patient to patient."""

from collections.abc import Mapping

import numpy as np

from lesionclick_training.phantom.patient import Structure
from lesionclick_training.phantom.population import Level, Tracer

FDG: dict[str, Level] = {
    "fat": (0.28, 0.15, 0.0),
    "muscle": (0.65, 0.2, 0.0),
    "breast": (0.6, 0.25, 0.0),
    "tongue": (1.8, 0.3, 0.0),
    "gray matter": (9.5, 0.25, 0.0),
    "white matter": (4.0, 0.2, 0.0),
    "fluid": (0.8, 0.2, 0.0),
    "cord": (1.4, 0.2, 0.0),
    "eye": (0.6, 0.2, 0.0),
    "lacrimal gland": (1.3, 0.3, 0.0),
    "parotid gland": (1.9, 0.35, 0.0),
    "submandibular gland": (2.3, 0.35, 0.0),
    "sublingual gland": (2.2, 0.4, 0.0),
    "thyroid": (1.3, 0.4, 0.0),
    "lung": (0.42, 0.15, 0.0),
    "lung vessel": (0.9, 0.15, 0.0),
    "blood": (1.6, 0.15, 0.0),
    "myocardium": (3.5, 0.75, 0.0),
    "liver": (2.3, 0.16, 0.0),
    "gallbladder": (0.9, 0.3, 0.0),
    "spleen": (1.9, 0.16, 0.0),
    "stomach": (2.2, 0.35, 0.15),
    "stomach content": (0.9, 0.3, 0.0),
    "pancreas": (1.5, 0.2, 0.0),
    "duodenum": (1.8, 0.25, 0.2),
    "jejunum": (1.8, 0.25, 0.35),
    "ileum": (1.6, 0.3, 0.4),
    "colon": (1.9, 0.45, 0.5),
    "colon content": (1.0, 0.4, 0.3),
    "kidney": (2.9, 0.2, 0.0),
    "renal pelvis": (9.0, 0.7, 0.3),
    "ureter": (7.0, 0.5, 0.3),
    "bladder": (22.0, 0.6, 0.0),
    "uterus": (1.6, 0.25, 0.0),
    "prostate": (1.6, 0.25, 0.0),
    "cartilage": (0.7, 0.2, 0.0),
    "bone": (0.65, 0.2, 0.0),
    "rib": (0.9, 0.2, 0.0),
    "sternum": (1.2, 0.25, 0.0),
    "scapula": (0.7, 0.2, 0.0),
    "vertebra": (1.6, 0.25, 0.0),
    "pelvis": (0.9, 0.2, 0.0),
    "pelvic marrow": (1.3, 0.25, 0.0),
    "long bone": (0.5, 0.2, 0.0),
    "long bone marrow": (0.6, 0.3, 0.0),
    "tooth": (0.4, 0.2, 0.0),
    "air": (0.0, 0.0, 0.0),
}

PSMA: dict[str, Level] = FDG | {
    "fat": (0.22, 0.15, 0.0),
    "muscle": (0.5, 0.2, 0.0),
    "tongue": (1.0, 0.3, 0.0),
    "gray matter": (0.25, 0.3, 0.0),
    "white matter": (0.18, 0.3, 0.0),
    "fluid": (0.2, 0.2, 0.0),
    "cord": (0.5, 0.2, 0.0),
    "lacrimal gland": (9.0, 0.35, 0.0),
    "parotid gland": (14.0, 0.3, 0.0),
    "submandibular gland": (14.0, 0.3, 0.0),
    "sublingual gland": (6.0, 0.35, 0.0),
    "blood": (1.5, 0.2, 0.0),
    "myocardium": (1.4, 0.2, 0.0),
    "liver": (5.0, 0.28, 0.0),
    "gallbladder": (4.0, 0.9, 0.0),
    "spleen": (6.0, 0.45, 0.0),
    "stomach": (2.2, 0.3, 0.15),
    "pancreas": (1.8, 0.25, 0.0),
    "duodenum": (10.0, 0.35, 0.2),
    "jejunum": (7.0, 0.4, 0.3),
    "ileum": (2.3, 0.4, 0.35),
    "colon": (1.8, 0.4, 0.4),
    "colon content": (1.2, 0.4, 0.3),
    "kidney": (38.0, 0.28, 0.0),
    "renal pelvis": (30.0, 0.4, 0.0),
    "ureter": (14.0, 0.6, 0.4),
    "bladder": (18.0, 0.85, 0.0),
    "prostate": (2.4, 0.3, 0.0),
    "bone": (0.6, 0.2, 0.0),
    "vertebra": (0.8, 0.25, 0.0),
    "pelvic marrow": (0.7, 0.25, 0.0),
    "sternum": (0.7, 0.25, 0.0),
}

TABLES: Mapping[Tracer, Mapping[str, Level]] = {"FDG": FDG, "PSMA": PSMA}

HOT_ORGANS: Mapping[Tracer, tuple[str, ...]] = {
    "FDG": ("bladder", "kidney", "myocardium", "liver", "colon"),
    "PSMA": ("bladder", "kidney", "parotid gland", "duodenum", "liver", "spleen"),
}
"""Structures with an uptake that a focus beside them runs into."""


RED_MARROW = ("vertebra", "pelvis", "pelvic marrow", "sternum", "rib", "scapula", "long bone marrow")


class Uptake:
    """The SUV of one patient's healthy tissues."""

    def __init__(self, rng: np.random.Generator, tracer: Tracer, changes: Mapping[str, Level] | None = None) -> None:
        """Draws the patient's levels: log-normal around the medians of the literature for a scan after 60 minutes.

        `changes` are of tissues whose levels differ from those listed.
        """
        self._rng = rng
        self._table = dict(TABLES[tracer]) | dict(changes or {})
        self._level = {
            name: median * np.exp(spread * rng.normal()) for name, (median, spread, _) in self._table.items()
        }

    def raise_marrow(self, factor: float) -> None:
        """Multiplies the uptake of all red marrow, as treatment or inflammation does."""
        for name in RED_MARROW:
            self._level[name] *= factor

    def of(self, name: str) -> float:
        """The patient's level of tissue of a name."""
        return float(self._level[name])

    def of_solids(self, structure: Structure) -> np.ndarray:
        """The SUV of each solid of a structure; that of a patchy one varies smoothly from solid to solid."""
        count, patchiness = len(structure.solids), self._table[structure.name][2]
        steps = self._rng.normal(size=count + 8)
        smooth = np.convolve(steps, np.full(5, 5**-0.5), mode="same")[4 : 4 + count]
        return self.of(structure.name) * np.exp(patchiness * smooth)
