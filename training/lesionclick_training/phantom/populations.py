"""Populations in use, by name: `REALISTIC` and `REALISTIC_MORE` are held to real cases, `BASE` and `MORE` are the
first two, which figures measured on them name.
"""

from dataclasses import replace

from lesionclick_training.phantom import reality
from lesionclick_training.phantom.population import (
    Artifacts,
    Body,
    Disease,
    FieldOfView,
    Level,
    LogNormal,
    Population,
    Reading,
    ScannerGrid,
    Tracer,
)
from lesionclick_training.phantom.population_names import PopulationName

BASE = Population()
"""The first population: few and large lesions, vertex to mid thigh."""

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
"""More data of the first population: other sizes, counts and doses."""

BODY = Body(
    sizes={
        "FDG": {
            "spleen": 1.86,
            "kidneys": 1.04,
            "liver": 0.89,
            "heart": 1.13,
            "stomach": 1.18,
            "prostate": 0.97,
            "glands": 0.86,
            "bladder": 1.07,
        },
        "PSMA": {
            "spleen": 1.52,
            "kidneys": 0.99,
            "liver": 0.83,
            "heart": 1.13,
            "stomach": 0.85,
            "prostate": 0.74,
            "glands": 0.87,
            "bladder": 1.04,
        },
    },
    spread={
        "liver": 0.03,
        "spleen": 0.12,
        "kidneys": 0.05,
        "heart": 0.04,
        "stomach": 0.13,
        "prostate": 0.08,
        "glands": 0.1,
        "bladder": 0.2,
    },
    cushion=((880.0, 30.0), (1050.0, 0.0), (1400.0, 0.0), (1540.0, -32.0), (1650.0, -36.0)),
    brain_down_mm=18.0,
    lung_margin_mm=(0.0, 6.0),
)

FIELDS: dict[Tracer, FieldOfView] = {
    "FDG": FieldOfView(
        (ScannerGrid(400, 2.0364, 3.0, 1.0),),
        reality.ABOVE_LIVER_MM["FDG"],
        reality.BELOW_LIVER_MM["FDG"],
        reality.TO_THE_TOES["FDG"],
        follows_size=0.2,
    ),
    "PSMA": FieldOfView(
        (
            ScannerGrid(200, 4.0728, 2.0, 0.48),
            ScannerGrid(256, 2.7344, 3.27, 0.39),
            ScannerGrid(168, 4.0728, 5.0, 0.13),
        ),
        reality.ABOVE_LIVER_MM["PSMA"],
        reality.BELOW_LIVER_MM["PSMA"],
        reality.TO_THE_TOES["PSMA"],
        noise=1.5,
        follows_size=0.6,
    ),
}

FDG_DISEASE = Disease(
    lesion_free=reality.LESION_FREE["FDG"],
    count=LogNormal(7.0, 1.2, 1.0, 130.0),
    typical_ml=LogNormal(1.2, 0.7, 0.3, 20.0),
    spread=1.1,
    sites={"node": 0.42, "lung": 0.24, "bone": 0.16, "liver": 0.1, "soft tissue": 0.14},
    mass=0.2,
    mass_ml=LogNormal(300.0, 1.0, 17.0, 2300.0),
    mass_uptake=LogNormal(2.6, 0.6, 0.8, 9.0),
    uptake=LogNormal(4.5, 0.65, 1.0, 30.0),
    weak=0.2,
    weak_contrast=(1.3, 2.0),
    decoy_count=LogNormal(4.0, 0.8, 0.0, 25.0),
    decoy_kinds={
        "mimic": 0.42,
        "ureter": 0.12,
        "bowel": 0.14,
        "joint": 0.1,
        "fracture": 0.07,
        "infiltrate": 0.06,
        "tonsil": 0.05,
        "urine": 0.04,
    },
    brown_fat=0.06,
    injection_site=0.3,
    marrow=0.15,
)

PSMA_DISEASE = replace(
    FDG_DISEASE,
    lesion_free=reality.LESION_FREE["PSMA"],
    count=LogNormal(8.0, 1.3, 1.0, 150.0),
    typical_ml=LogNormal(1.2, 0.7, 0.3, 12.0),
    sites={"node": 0.4, "bone": 0.39, "prostate": 0.11, "lung": 0.02, "liver": 0.02, "soft tissue": 0.06},
    mass=0.03,
    mass_uptake=LogNormal(5.0, 0.7, 1.0, 20.0),
    uptake=LogNormal(7.0, 0.8, 1.5, 70.0),
    decoy_kinds={
        "mimic": 0.35,
        "ureter": 0.25,
        "bowel": 0.08,
        "joint": 0.06,
        "fracture": 0.12,
        "ganglion": 0.1,
        "urine": 0.04,
    },
    brown_fat=0.0,
    injection_site=0.15,
    marrow=0.0,
)


def _more_disease(disease: Disease) -> Disease:
    """The disease of more data: more and larger lesions and foci of less uptake, and more patients with masses."""
    return replace(
        disease,
        lesion_free=0.2,
        count=replace(disease.count, median=8.0),
        typical_ml=replace(disease.typical_ml, median=2.0),
        uptake=replace(disease.uptake, median=0.85 * disease.uptake.median),
        mass=2 * disease.mass,
        decoy_count=LogNormal(5.0, 0.8, 0.0, 25.0),
    )


UPTAKES: dict[Tracer, dict[str, Level]] = {
    "FDG": {
        "liver": (2.0, 0.16, 0.0),
        "blood": (1.7, 0.15, 0.0),
        "vertebra": (2.0, 0.25, 0.0),
        "pelvic marrow": (1.5, 0.25, 0.0),
        "colon": (2.8, 0.5, 0.75),
        "colon content": (2.4, 0.5, 0.6),
        "jejunum": (2.6, 0.35, 0.6),
        "ileum": (2.5, 0.35, 0.6),
        "tongue": (2.2, 0.35, 0.0),
        "kidney": (2.2, 0.2, 0.0),
        "myocardium": (2.7, 0.85, 0.0),
        "muscle": (0.7, 0.25, 0.0),
        "duodenum": (2.3, 0.35, 0.4),
        "stomach": (2.2, 0.35, 0.25),
        "uterus": (2.2, 0.35, 0.0),
        "prostate": (1.9, 0.3, 0.0),
    },
    "PSMA": {
        "liver": (5.9, 0.26, 0.0),
        "jejunum": (7.5, 0.45, 0.5),
        "ileum": (3.2, 0.5, 0.6),
        "colon": (2.4, 0.5, 0.6),
    },
}

REALISTIC = Population(
    name="realistic",
    female_probability=0.4,
    height_mm=(1580.0, 1880.0),
    fat_mm=LogNormal(22.0, 0.45, 5.0, 50.0),
    visceral_mm=(0.0, 45.0),
    arms_up_probability=0.75,
    contrast_agent_probability=0.7,
    psf_fwhm_mm=(4.5, 7.5),
    pet_noise=LogNormal(0.13, 0.35, 0.05, 0.3),
    noise_grain=(0.6, 1.15),
    ct_noise_hu=(6.0, 22.0),
    breathing_shift_mm=(-4.0, 18.0),
    breathing_blur_mm=(3.0, 16.0),
    uptakes=UPTAKES,
    body=BODY,
    fields=FIELDS,
    diseases={"FDG": FDG_DISEASE, "PSMA": PSMA_DISEASE},
    reading=Reading(),
    artifacts=Artifacts(),
)
"""Held to 180 real cases (`reality`) in organs, fields of view, lesions and where background clicks fall."""

REALISTIC_MORE = replace(
    REALISTIC,
    name="realistic-more",
    psma_probability=0.4,
    height_mm=(1480.0, 1960.0),
    frame=(0.9, 1.12),
    fat_mm=LogNormal(24.0, 0.5, 4.0, 55.0),
    visceral_mm=(0.0, 55.0),
    arms_up_probability=0.5,
    psf_fwhm_mm=(4.0, 8.5),
    pet_noise=LogNormal(0.16, 0.4, 0.05, 0.36),
    ct_noise_hu=(8.0, 28.0),
    diseases={"FDG": _more_disease(FDG_DISEASE), "PSMA": _more_disease(PSMA_DISEASE)},
)
"""More data of the realistic population: other sizes, counts and doses, more masses and fewer cases without lesions."""

POPULATIONS = {PopulationName(population.name): population for population in (REALISTIC, REALISTIC_MORE, BASE, MORE)}
