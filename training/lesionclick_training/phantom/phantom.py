"""Phantom: a digital whole-body PET/CT from a seed: a stand-in for patients in training, tests and demonstrations.

    phantom = make_phantom(seed=7, tracer="PSMA")
    write_nnunet_case(phantom, Path("Dataset900_Phantom"), "psma_7")
    draw_figure(phantom, Path("psma_7.png"))

A patient is drawn in mm and only then put on a grid: a seed gives the same patient, uptake and lesions at every
spacing. Body and organs are in `anatomy`, their uptake in `uptake`, lesions and decoys in `foci`, what all of
it is drawn from in `population`, and what a scanner makes of it in `scanner`.
"""

from dataclasses import dataclass

import numpy as np

from lesionclick_training.phantom.anatomy import Anatomy, build_anatomy
from lesionclick_training.phantom.artifacts import Metal, draw_metal
from lesionclick_training.phantom.disease import draw_disease
from lesionclick_training.phantom.field_of_view import TABLE_MM, around_patient, draw_grid, padded
from lesionclick_training.phantom.foci import draw_foci
from lesionclick_training.phantom.patient import HIGHEST_Z, LOWEST_Z, draw_patient
from lesionclick_training.phantom.population import Population, Tracer
from lesionclick_training.phantom.populations import REALISTIC
from lesionclick_training.phantom.scanner import paint_tissue, scan_ct, scan_pet
from lesionclick_training.phantom.shapes import Grid, Triple
from lesionclick_training.phantom.uptake import Uptake

MARGIN_MM = 12.0
"""Air beside and before the patient."""

DEFAULT_SPACING = (5.0, 5.0, 5.0)

COARSE_MM = 9.0
"""How far apart the outlines of skin and muscle are computed, which takes half of the time otherwise."""

OUTSIDE_HU = -1024.0
"""What a CT holds beyond its own field of view."""


@dataclass(frozen=True)
class Phantom:
    """A PET/CT with its truth: volumes of one shape (z, y, x), z rising to the head, y to the back, x to the left.

    Attributes:
        ct_zyx: float32, HU.
        pet_zyx: float32, SUV.
        lesion_zyx: uint8, 1 in lesions, where the PET shows them.
        organ_zyx: uint8, 0 or the class in `nnunet_layout.ORGANS`, counted from 1, where the CT shows it.
        spacing_zyx: mm.
        tracer: of the PET.
        seed: what it was made from.
    """

    ct_zyx: np.ndarray
    pet_zyx: np.ndarray
    lesion_zyx: np.ndarray
    organ_zyx: np.ndarray
    spacing_zyx: Triple
    tracer: Tracer
    seed: int


def make_phantom(
    seed: int,
    tracer: Tracer | None = None,
    spacing_zyx: Triple | None = None,
    shape_zyx: tuple[int, int, int] | None = None,
    population: Population = REALISTIC,
) -> Phantom:
    """Makes the phantom of a seed; the same arguments give the same bits.

    Args:
        seed: 0 or more.
        tracer: drawn where None.
        spacing_zyx: mm; where None, that of the scanner that is drawn, or 5 mm in a population without scanners.
        shape_zyx: voxels, with the middle of the patient in their middle; what does not fit is cut off. Where None,
            a field of view is drawn, or from above the vertex to mid thigh in a population without such.
        population: what patients, scans, lesions and decoys are drawn from.
    """
    streams = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(9))
    for_tracer, for_patient, for_body, for_uptake, for_foci, for_ct, for_pet, for_field, for_metal = streams
    drawn: Tracer = "PSMA" if for_tracer.random() < population.psma_probability else "FDG"
    tracer = tracer or drawn
    anatomy = build_anatomy(for_body, draw_patient(for_patient, tracer, population))
    if population.fields is None or shape_zyx is not None:
        whole = _grid(anatomy, spacing_zyx or DEFAULT_SPACING, shape_zyx)
    else:
        whole = draw_grid(for_field, anatomy, population.fields[tracer], spacing_zyx)
    uptake = Uptake(for_uptake, tracer, (population.uptakes or {}).get(tracer))
    metal: list[Metal] = []
    if population.diseases is None:
        foci = draw_foci(for_foci, anatomy, tracer, population)
    else:
        disease = population.diseases[tracer]
        top = whole.origin_zyx[0] + whole.spacing_zyx[0] * whole.shape_zyx[0]
        anatomy, foci = draw_disease(for_foci, anatomy, tracer, disease, (whole.origin_zyx[0], top))
        if for_uptake.random() < disease.marrow:
            uptake.raise_marrow(for_uptake.uniform(1.4, 3.0))
    if population.artifacts is not None:
        metal = draw_metal(for_metal, anatomy, population.artifacts)
    noise = 1.0 if population.fields is None else population.fields[tracer].noise
    box = around_patient(whole, anatomy) if population.fields is not None else None
    grid = whole if box is None else whole.part(box)
    tissue = paint_tissue(anatomy, uptake, grid, coarse_mm=0.0 if population.body is None else COARSE_MM)
    ct = scan_ct(for_ct, tissue, foci, grid, population, metal)
    pet, lesion = scan_pet(for_pet, anatomy, tissue, foci, grid, population, metal, noise)
    organ = tissue.organ
    if box is not None:
        ct, pet = padded(ct, whole.shape_zyx, box, OUTSIDE_HU), padded(pet, whole.shape_zyx, box, 0.0)
        lesion, organ = padded(lesion, whole.shape_zyx, box, 0), padded(organ, whole.shape_zyx, box, 0)
    return Phantom(ct, pet, lesion, organ, whole.spacing_zyx, tracer, seed)


def _grid(anatomy: Anatomy, spacing_zyx: Triple, shape_zyx: tuple[int, int, int] | None) -> Grid:
    """The voxels that hold a patient and the table, in mm of the patient."""
    body, scale = anatomy.body, np.array(anatomy.patient.scale_zyx)
    half_width = max(-body.low[2], body.high[2])
    low = np.array((LOWEST_Z, body.low[1], -half_width)) * scale - (0.0, MARGIN_MM, MARGIN_MM)
    high = np.array((HIGHEST_Z, anatomy.patient.back, half_width)) * scale + (0.0, TABLE_MM, MARGIN_MM)
    spacing = np.array(spacing_zyx)
    shape = np.ceil((high - low) / spacing).astype(int) if shape_zyx is None else np.array(shape_zyx)
    origin = (low + high) / 2 - spacing * (shape - 1) / 2
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), spacing_zyx, tuple(origin.tolist()))
