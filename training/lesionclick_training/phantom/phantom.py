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
from lesionclick_training.phantom.foci import draw_foci
from lesionclick_training.phantom.patient import HIGHEST_Z, LOWEST_Z, draw_patient
from lesionclick_training.phantom.population import BASE, Population, Tracer
from lesionclick_training.phantom.scanner import paint_tissue, scan_ct, scan_pet
from lesionclick_training.phantom.shapes import Grid, Triple
from lesionclick_training.phantom.uptake import Uptake

MARGIN_MM = 12.0
"""Air beside and before the patient."""

TABLE_MM = 50.0
"""Room behind the patient, for the table."""


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
    spacing_zyx: Triple = (5.0, 5.0, 5.0),
    shape_zyx: tuple[int, int, int] | None = None,
    population: Population = BASE,
) -> Phantom:
    """Makes the phantom of a seed; the same arguments give the same bits.

    Args:
        seed: 0 or more.
        tracer: drawn where None.
        spacing_zyx: mm.
        shape_zyx: voxels, with the middle of the patient in their middle; what does not fit is cut off. Where None, the
            volume holds the patient from above the vertex to mid thigh.
        population: what patients, scans, lesions and decoys are drawn from.
    """
    streams = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(7))
    for_tracer, for_patient, for_body, for_uptake, for_foci, for_ct, for_pet = streams
    drawn: Tracer = "PSMA" if for_tracer.random() < population.psma_probability else "FDG"
    tracer = tracer or drawn
    anatomy = build_anatomy(for_body, draw_patient(for_patient, tracer, population))
    foci = draw_foci(for_foci, anatomy, tracer, population)
    grid = _grid(anatomy, spacing_zyx, shape_zyx)
    tissue = paint_tissue(anatomy, Uptake(for_uptake, tracer), grid)
    ct = scan_ct(for_ct, tissue, foci, grid, population)
    pet, lesion = scan_pet(for_pet, anatomy, tissue, foci, grid, population)
    return Phantom(ct, pet, lesion, tissue.organ, spacing_zyx, tracer, seed)


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
