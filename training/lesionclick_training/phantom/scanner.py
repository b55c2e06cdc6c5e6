"""Scanner: what CT and PET make of a phantom's anatomy and uptake."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from lesionclick_training.phantom.anatomy import Anatomy
from lesionclick_training.phantom.artifacts import Metal, metal_in_ct, metal_in_pet
from lesionclick_training.phantom.contours import draw_contours
from lesionclick_training.phantom.foci import Focus
from lesionclick_training.phantom.patient import AIR_HU, FAT_HU
from lesionclick_training.phantom.population import Population, draw
from lesionclick_training.phantom.sampling import sampled
from lesionclick_training.phantom.shapes import Grid, Waves, coverage
from lesionclick_training.phantom.uptake import Uptake

FWHM_PER_SIGMA = 2.3548

STANDARD_GRAIN = 0.8
"""Width of the noise's grains over that of the point spread, where none is drawn."""

CT_BLUR_MM = 1.0
"""Standard deviation of the CT's point spread."""

TEXTURE_COARSE_MM = 6.0

LARGE_MM3 = 4e7
"""A box of a solid that fills much of the body."""

RING_MM = (2.0, 12.0)
"""How far from a focus the tissue around it is looked at."""


@dataclass(frozen=True)
class Tissue:
    """A patient without foci on a grid: HU, SUV, organ class, and signed distance to the skin in mm."""

    ct: np.ndarray
    suv: np.ndarray
    organ: np.ndarray
    skin: np.ndarray


def paint_tissue(anatomy: Anatomy, uptake: Uptake, grid: Grid, coarse_mm: float = 0.0) -> Tissue:
    """Paints table, body and structures one over the other, with the edges that partly filled voxels have.

    `coarse_mm`: how far apart the outlines of what fills much of the body are computed; they are smooth in between.
    """
    standard = grid.scaled(1 / np.array(anatomy.patient.scale_zyx))
    width = float(np.mean(standard.spacing_zyx))
    skin = sampled(anatomy.body.distance, standard, standard.whole, coarse_mm)
    inside = coverage(skin, width)
    ct = _air_and_table(anatomy.patient.back, standard)
    ct += inside * (np.float32(FAT_HU) - ct)
    suv = inside * np.float32(uptake.of("fat"))
    organ = np.zeros(grid.shape_zyx, dtype=np.uint8)
    for structure in anatomy.structures:
        for solid, level in zip(structure.solids, uptake.of_solids(structure), strict=True):
            box = standard.box(solid.low, solid.high, width / 2)
            step = coarse_mm if np.prod(solid.high - solid.low) > LARGE_MM3 else 0.0
            share = np.minimum(coverage(sampled(solid.distance, standard, box, step), width), inside[box])
            ct[box] += share * (np.float32(structure.hu) - ct[box])
            suv[box] += share * (np.float32(level) - suv[box])
            organ[box][share > 0.5] = structure.organ
    return Tissue(ct, suv, organ, skin)


def _air_and_table(back: float, standard: Grid) -> np.ndarray:
    """A CT without a patient: air, a thin mattress at a level of y, and a hollow table top curved below it."""
    _, y, x = replace(standard, bend=()).points()
    width = standard.spacing_zyx[1]
    half_width, wall = 215.0, 2.5
    mattress = np.maximum(np.maximum(back - y, y - back - 10), np.abs(x) - (half_width - 20))
    lower = back + 16 + 38 * (1 - (x / half_width) ** 2)
    shell = np.abs(np.maximum(np.maximum(back + 12 - y, y - lower), np.abs(x) - half_width)) - wall
    ct = np.full(standard.shape_zyx, AIR_HU, dtype=np.float32)
    for distance, hu in ((mattress, -930.0), (shell, -350.0)):
        ct += coverage(distance, width) * (np.float32(hu) - ct)
    return ct


def scan_ct(
    rng: np.random.Generator,
    tissue: Tissue,
    foci: Sequence[Focus],
    grid: Grid,
    population: Population,
    metal: Sequence[Metal] = (),
) -> np.ndarray:
    """The CT in HU: tissue with its texture, foci, blur, and noise that grows with the depth in the body."""
    noise_hu = draw(rng, population.ct_noise_hu)
    coarse_mm = 0.0 if population.body is None else TEXTURE_COARSE_MM
    texture = sampled(Waves(rng, wavelength=28.0, deviation=4.0), grid, grid.whole, coarse_mm)
    ct = tissue.ct + np.where((tissue.ct > -200) & (tissue.skin < 0), texture, 0)
    width = float(np.mean(grid.spacing_zyx))
    for focus in foci:
        if focus.hu is not None:
            box = grid.box(focus.solid.low, focus.solid.high, width / 2)
            share = coverage(focus.solid.distance(*grid.points(box)), width)
            ct[box] += share * (np.float32(focus.hu) - ct[box])
    metal_in_ct(ct, metal, grid)
    ct = ndimage.gaussian_filter(ct, [CT_BLUR_MM / step for step in grid.spacing_zyx])
    depth = np.clip(-tissue.skin, -1, 120)
    ct += _white_noise(rng, ct.shape, population) * noise_hu * np.where(depth < 0, 0.06, 0.4 + depth / 90)
    hounsfield: np.ndarray = np.clip(ct, -1024, 3071).astype(np.float32)
    return hounsfield


def scan_pet(
    rng: np.random.Generator,
    anatomy: Anatomy,
    tissue: Tissue,
    foci: Sequence[Focus],
    grid: Grid,
    population: Population,
    metal: Sequence[Metal] = (),
    noise_factor: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """The PET in SUV, with breathing, foci, point spread, metal and count noise; and the lesions in it.

    Those are where the PET shows them, or where a reader sees them in a population with a `reading`.
    """
    shift, blur = draw(rng, population.breathing_shift_mm), draw(rng, population.breathing_blur_mm)
    fwhm, noise = draw(rng, population.psf_fwhm_mm), draw(rng, population.pet_noise) * noise_factor
    grain_width = STANDARD_GRAIN
    if population.noise_grain is not None:
        grain_width = draw(rng, population.noise_grain)
        noise *= STANDARD_GRAIN / grain_width
    scale_z = anatomy.patient.scale_zyx[0]
    z = grid.points()[0].ravel()
    share = _breathing_share(z / scale_z)
    breathing = slice(0, len(share))
    if population.body is not None:  # the planes that move, which is all that differs in fewer planes
        planes = np.flatnonzero(share > 0)
        reach = int(np.ceil(2 * (abs(shift) + blur) / grid.spacing_zyx[0]))
        breathing = slice(max(0, int(planes.min(initial=0)) - reach), int(planes.max(initial=0)) + reach + 1)
    suv = tissue.suv.copy()
    suv[breathing] = move_planes(tissue.suv[breathing], [shift * share[breathing] / grid.spacing_zyx[0]])
    lesion = np.zeros(grid.shape_zyx, dtype=np.uint8)
    moved = [shift * float(_breathing_share(focus.center[0] / scale_z)) for focus in foci]
    for focus, up in zip(foci, moved, strict=True):
        paint_focus(suv, lesion, focus, up, grid)
    suv[breathing] = move_planes(
        suv[breathing], [phase * blur * share[breathing] / grid.spacing_zyx[0] for phase in np.linspace(-0.5, 0.5, 7)]
    )
    sigmas = np.array([fwhm / FWHM_PER_SIGMA / step for step in grid.spacing_zyx])
    suv = ndimage.gaussian_filter(suv, sigmas)
    metal_in_pet(suv, metal, grid)
    grain = ndimage.gaussian_filter(_white_noise(rng, suv.shape, population), grain_width * sigmas)
    grain /= grain.std()
    # counts: variance as activity, and more of it where more tissue absorbs; equal to `noise` at SUV 2 and 60 mm
    absorbed = np.exp((np.clip(-tissue.skin, 0, 130) - 60) / 140)
    suv += grain * noise * np.sqrt(2 * suv + 0.01) * absorbed
    pet = np.maximum(suv, 0).astype(np.float32)
    if population.reading is not None:
        seen = [(f, f.solid.moved((up, 0.0, 0.0))) for f, up in zip(foci, moved, strict=True) if f.lesion]
        lesion = draw_contours(rng, pet, seen, grid, population.reading)
    return pet, lesion


def paint_focus(suv: np.ndarray, lesion: np.ndarray, focus: Focus, up: float, grid: Grid) -> None:
    """Puts a focus that breathing has moved up by some mm into the PET and, if it is a lesion, into the label."""
    solid = focus.solid.moved((up, 0.0, 0.0))
    box = grid.box(solid.low, solid.high, RING_MM[1])
    if any(part.start == part.stop for part in box):
        return
    points = grid.points(box)
    distance = solid.distance(*points)
    around = suv[box][(distance > RING_MM[0]) & (distance < RING_MM[1])]
    level = focus.suv(float(np.median(around)) if around.size else 0.0)
    share = coverage(distance, float(np.mean(grid.spacing_zyx)))
    suv[box] += share * (np.float32(level) * (1 + focus.texture(*points)) - suv[box])
    if focus.lesion:
        lesion[box][distance < 0] = 1
        middle = np.round((focus.center + np.array((up, 0, 0)) - grid.origin_zyx) / grid.spacing_zyx).astype(int)
        if np.all((middle >= 0) & (middle < grid.shape_zyx)):
            lesion[tuple(middle)] = 1  # one smaller than a voxel may hold no voxel's middle


def _white_noise(rng: np.random.Generator, shape: tuple[int, ...], population: Population) -> np.ndarray:
    """Standard normal noise; in double precision for the first populations, whose phantoms stay what they are."""
    if population.body is None:
        return rng.normal(size=shape).astype(np.float32)
    return rng.standard_normal(size=shape, dtype=np.float32)


def _breathing_share(standard_z: np.ndarray | float) -> np.ndarray:
    """How much of the diaphragm's movement a level takes part in: none at apex and pelvis, all at the domes."""
    return np.asarray(np.interp(standard_z, [960, 1090, 1230, 1400], [0.0, 0.8, 1.0, 0.0]))


def move_planes(volume: np.ndarray, shifts: Sequence[np.ndarray]) -> np.ndarray:
    """A volume with its planes moved up by a number of planes each; the mean over several such movements."""
    count = len(volume)
    matrix = np.zeros((count, count), dtype=np.float32)
    planes = np.arange(count)
    for shift in shifts:
        source = np.clip(planes - shift, 0, count - 1)
        lower = np.floor(source).astype(int)
        rest = (source - lower).astype(np.float32)
        matrix[planes, lower] += (1 - rest) / len(shifts)
        matrix[planes, np.minimum(lower + 1, count - 1)] += rest / len(shifts)
    moved: np.ndarray = (matrix @ volume.reshape(count, -1)).reshape(volume.shape)
    return moved
