"""A digital whole-body PET/CT from a seed: a stand-in for patients in training, tests and demonstrations.

    phantom = make_phantom(seed=7, tracer="PSMA")
    write_nnunet_case(phantom, Path("Dataset900_Phantom"), "psma_7")
    figure(phantom, Path("psma_7.png"))

A patient is drawn in mm and only then put on a grid: a seed gives the same patient, uptake and lesions at every
spacing. Body and organs are in `phantom_anatomy`, their uptake in `phantom_uptake`, lesions and decoys in
`phantom_foci`, and what all of it is drawn from in `phantom_population`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from scipy import ndimage

from lesionclick.case import CLICKS_FILE, CT_FOLDER, PET_FOLDER, TRUTH_FILE
from lesionclick.clicks import Click, write_clicks
from lesionclick_training import nnunet_layout
from lesionclick_training.phantom_anatomy import Anatomy, build_anatomy
from lesionclick_training.phantom_foci import Focus, draw_foci
from lesionclick_training.phantom_organs import AIR_HU, FAT_HU
from lesionclick_training.phantom_patient import HIGHEST_Z, LOWEST_Z, draw_patient
from lesionclick_training.phantom_population import BASE, MORE, Population, Tracer, draw
from lesionclick_training.phantom_shapes import Grid, Triple, Waves, coverage
from lesionclick_training.phantom_uptake import Uptake

__all__ = [
    "BASE",
    "MORE",
    "Phantom",
    "Population",
    "Tracer",
    "figure",
    "make_phantom",
    "write_container_case",
    "write_nnunet_case",
]

_FWHM_PER_SIGMA = 2.3548
_MARGIN_MM = 12.0
"""Air beside and before the patient."""
_TABLE_MM = 50.0
"""Room behind the patient, for the table."""
_CT_BLUR_MM = 1.0
"""Standard deviation of the CT's point spread."""
_RING_MM = (2.0, 12.0)
"""How far from a focus the tissue around it is looked at."""


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


@dataclass(frozen=True)
class _Tissue:
    """A patient without foci on a grid: HU, SUV, organ class, and signed distance to the skin in mm."""

    ct: np.ndarray
    suv: np.ndarray
    organ: np.ndarray
    skin: np.ndarray


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
    tissue = _paint_tissue(anatomy, Uptake(for_uptake, tracer), grid)
    ct = _scan_ct(for_ct, tissue, foci, grid, population)
    pet, lesion = _scan_pet(for_pet, anatomy, tissue, foci, grid, population)
    return Phantom(ct, pet, lesion, tissue.organ, spacing_zyx, tracer, seed)


def _grid(anatomy: Anatomy, spacing_zyx: Triple, shape_zyx: tuple[int, int, int] | None) -> Grid:
    """The voxels that hold a patient and the table, in mm of the patient."""
    body, scale = anatomy.body, np.array(anatomy.patient.scale_zyx)
    half_width = max(-body.low[2], body.high[2])
    low = np.array((LOWEST_Z, body.low[1], -half_width)) * scale - (0.0, _MARGIN_MM, _MARGIN_MM)
    high = np.array((HIGHEST_Z, anatomy.patient.back, half_width)) * scale + (0.0, _TABLE_MM, _MARGIN_MM)
    spacing = np.array(spacing_zyx)
    shape = np.ceil((high - low) / spacing).astype(int) if shape_zyx is None else np.array(shape_zyx)
    origin = (low + high) / 2 - spacing * (shape - 1) / 2
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), spacing_zyx, tuple(origin.tolist()))


def _paint_tissue(anatomy: Anatomy, uptake: Uptake, grid: Grid) -> _Tissue:
    """Paints table, body and structures one over the other, with the edges that partly filled voxels have."""
    standard = grid.scaled(1 / np.array(anatomy.patient.scale_zyx))
    width = float(np.mean(standard.spacing_zyx))
    skin = anatomy.body.distance(*standard.points()).astype(np.float32)
    inside = coverage(skin, width)
    ct = _air_and_table(anatomy.patient.back, standard)
    ct += inside * (np.float32(FAT_HU) - ct)
    suv = inside * np.float32(uptake.of("fat"))
    organ = np.zeros(grid.shape_zyx, dtype=np.uint8)
    for structure in anatomy.structures:
        for solid, level in zip(structure.solids, uptake.of_solids(structure), strict=True):
            box = standard.box(solid.low, solid.high, width / 2)
            share = np.minimum(coverage(solid.distance(*standard.points(box)), width), inside[box])
            ct[box] += share * (np.float32(structure.hu) - ct[box])
            suv[box] += share * (np.float32(level) - suv[box])
            organ[box][share > 0.5] = structure.organ
    return _Tissue(ct, suv, organ, skin)


def _air_and_table(back: float, standard: Grid) -> np.ndarray:
    """A CT without a patient: air, a thin mattress at a level of y, and a hollow table top curved below it."""
    _, y, x = standard.points()
    width = standard.spacing_zyx[1]
    half_width, wall = 215.0, 2.5
    mattress = np.maximum(np.maximum(back - y, y - back - 10), np.abs(x) - (half_width - 20))
    lower = back + 16 + 38 * (1 - (x / half_width) ** 2)
    shell = np.abs(np.maximum(np.maximum(back + 12 - y, y - lower), np.abs(x) - half_width)) - wall
    ct = np.full(standard.shape_zyx, AIR_HU, dtype=np.float32)
    for distance, hu in ((mattress, -930.0), (shell, -350.0)):
        ct += coverage(distance, width) * (np.float32(hu) - ct)
    return ct


def _scan_ct(
    rng: np.random.Generator, tissue: _Tissue, foci: Sequence[Focus], grid: Grid, population: Population
) -> np.ndarray:
    """The CT in HU: tissue with its texture, foci, blur, and noise that grows with the depth in the body."""
    noise_hu = draw(rng, population.ct_noise_hu)
    texture = Waves(rng, wavelength=28.0, deviation=4.0)(*grid.points())
    ct = tissue.ct + np.where((tissue.ct > -200) & (tissue.skin < 0), texture, 0)
    width = float(np.mean(grid.spacing_zyx))
    for focus in foci:
        if focus.hu is not None:
            box = grid.box(focus.solid.low, focus.solid.high, width / 2)
            share = coverage(focus.solid.distance(*grid.points(box)), width)
            ct[box] += share * (np.float32(focus.hu) - ct[box])
    ct = ndimage.gaussian_filter(ct, [_CT_BLUR_MM / step for step in grid.spacing_zyx])
    depth = np.clip(-tissue.skin, -1, 120)
    ct += rng.normal(size=ct.shape).astype(np.float32) * noise_hu * np.where(depth < 0, 0.06, 0.4 + depth / 90)
    return np.clip(ct, -1024, 3071).astype(np.float32)


def _scan_pet(
    rng: np.random.Generator,
    anatomy: Anatomy,
    tissue: _Tissue,
    foci: Sequence[Focus],
    grid: Grid,
    population: Population,
) -> tuple[np.ndarray, np.ndarray]:
    """The PET in SUV, with breathing, foci, point spread and count noise; and the lesions as the PET shows them."""
    shift, blur = draw(rng, population.breathing_shift_mm), draw(rng, population.breathing_blur_mm)
    fwhm, noise = draw(rng, population.psf_fwhm_mm), draw(rng, population.pet_noise)
    scale_z = anatomy.patient.scale_zyx[0]
    z = grid.points()[0].ravel()
    share = _breathing_share(z / scale_z)
    suv = _move_planes(tissue.suv, [shift * share / grid.spacing_zyx[0]])
    lesion = np.zeros(grid.shape_zyx, dtype=np.uint8)
    for focus in foci:
        _paint_focus(suv, lesion, focus, shift * float(_breathing_share(focus.centre[0] / scale_z)), grid)
    suv = _move_planes(suv, [phase * blur * share / grid.spacing_zyx[0] for phase in np.linspace(-0.5, 0.5, 7)])
    sigmas = np.array([fwhm / _FWHM_PER_SIGMA / step for step in grid.spacing_zyx])
    suv = ndimage.gaussian_filter(suv, sigmas)
    grain = ndimage.gaussian_filter(rng.normal(size=suv.shape).astype(np.float32), 0.8 * sigmas)
    grain /= grain.std()
    # counts: variance as activity, and more of it where more tissue absorbs; equal to `noise` at SUV 2 and 60 mm
    absorbed = np.exp((np.clip(-tissue.skin, 0, 130) - 60) / 140)
    suv += grain * noise * np.sqrt(2 * suv + 0.01) * absorbed
    return np.maximum(suv, 0).astype(np.float32), lesion


def _paint_focus(suv: np.ndarray, lesion: np.ndarray, focus: Focus, up: float, grid: Grid) -> None:
    """Puts a focus that breathing has moved up by some mm into the PET and, if it is a lesion, into the label."""
    solid = focus.solid.moved((up, 0.0, 0.0))
    box = grid.box(solid.low, solid.high, _RING_MM[1])
    if any(part.start == part.stop for part in box):
        return
    points = grid.points(box)
    distance = solid.distance(*points)
    around = suv[box][(distance > _RING_MM[0]) & (distance < _RING_MM[1])]
    level = focus.suv(float(np.median(around)) if around.size else 0.0)
    share = coverage(distance, float(np.mean(grid.spacing_zyx)))
    suv[box] += share * (np.float32(level) * (1 + focus.texture(*points)) - suv[box])
    if focus.lesion:
        lesion[box][distance < 0] = 1
        middle = np.round((focus.centre + np.array((up, 0, 0)) - grid.origin_zyx) / grid.spacing_zyx).astype(int)
        if np.all((middle >= 0) & (middle < grid.shape_zyx)):
            lesion[tuple(middle)] = 1  # one smaller than a voxel may hold no voxel's middle


def _breathing_share(standard_z: np.ndarray | float) -> np.ndarray:
    """How much of the diaphragm's movement a level takes part in: none at apex and pelvis, all at the domes."""
    return np.asarray(np.interp(standard_z, [960, 1090, 1230, 1400], [0.0, 0.8, 1.0, 0.0]))


def _move_planes(volume: np.ndarray, shifts: Sequence[np.ndarray]) -> np.ndarray:
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
    return (matrix @ volume.reshape(count, -1)).reshape(volume.shape)


def _image(volume: np.ndarray, spacing_zyx: Triple) -> sitk.Image:
    image = sitk.GetImageFromArray(volume)
    image.SetSpacing([float(step) for step in reversed(spacing_zyx)])
    return image


def _stored_ct(phantom: Phantom) -> sitk.Image:
    """The CT in whole HU."""
    return _image(np.round(phantom.ct_zyx).astype(np.int16), phantom.spacing_zyx)


def _stored_pet(phantom: Phantom) -> sitk.Image:
    """The PET to 1 in 1000 above SUV 4 and to 1/256 SUV below, which makes a compressed file a third as large."""
    _, exponent = np.frexp(phantom.pet_zyx)
    step = np.ldexp(np.float32(1), np.maximum(exponent - 10, -7))
    return _image((np.round(phantom.pet_zyx / step) * step).astype(np.float32), phantom.spacing_zyx)


def write_nnunet_case(phantom: Phantom, dataset: Path, name: str) -> None:
    """Writes a phantom as a training case (`nnunet_layout.write_case`), CT and PET rounded to what a scan is worth."""
    label = nnunet_layout.stack_label(phantom.lesion_zyx, phantom.organ_zyx)
    nnunet_layout.write_case(dataset, name, _stored_ct(phantom), _stored_pet(phantom), label)


def write_container_case(phantom: Phantom, folder: Path, clicks: Iterable[Click]) -> None:
    """Writes a phantom as the container reads it, named after the folder, with its truth beside it.

    The files are images/ct/<name>.mha (int16, HU), images/pet/<name>.mha (float32, SUV), lesion-clicks.json and
    truth.mha (uint8, 1 in lesions).
    """
    images = {
        folder / CT_FOLDER / f"{folder.name}.mha": _stored_ct(phantom),
        folder / PET_FOLDER / f"{folder.name}.mha": _stored_pet(phantom),
        folder / TRUTH_FILE: _image(phantom.lesion_zyx, phantom.spacing_zyx),
    }
    for path, image in images.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(image, str(path), useCompression=True)
    write_clicks(clicks, folder / CLICKS_FILE)


# one colour an organ class, in the order of nnunet_layout.ORGANS
_ORGAN_COLOURS = ListedColormap(
    ["#7b6fb0", "#c98b3c", "#a8765c", "#d9c44a", "#b9d3e6", "#c7bcb0", "#d99aa8", "#8fb58a", "#4d8f86", "#5b8fc4"]
)
_LESION_COLOUR = ListedColormap(["#d4001a"])
_DRAWN_FIRST = (5, 3, 6, 7, 8, 1, 2, 4, 9, 10)
"""Organ classes from large to small, so that a projection hides none."""


def figure(phantom: Phantom, path: Path) -> None:
    """Draws a phantom as PNG: coronal CT, maximum-intensity projection of the PET, both fused, and the labels."""
    depth, _, width = phantom.ct_zyx.shape
    tall = depth * phantom.spacing_zyx[0] / (width * phantom.spacing_zyx[2])
    drawing = Figure(figsize=(12.0, 2.92 * tall + 0.42), facecolor="white", layout="constrained")
    FigureCanvasAgg(drawing)
    panels = drawing.subplots(1, 4)
    row = _middle_row(phantom)
    ct, pet = phantom.ct_zyx[:, row], phantom.pet_zyx[:, row]
    highest = 7.0 if phantom.tracer == "FDG" else 12.0
    count = ndimage.label(phantom.lesion_zyx, np.ones((3, 3, 3)))[1]
    _show(panels[0], "CT", phantom, ct, cmap="gray", vmin=-160, vmax=240)
    _show(
        panels[1],
        f"{phantom.tracer} PET, SUV 0 to {highest:.0f}",
        phantom,
        phantom.pet_zyx.max(axis=1),
        cmap="gray_r",
        vmin=0,
        vmax=highest,
    )
    _show(panels[2], "fused", phantom, ct, cmap="gray", vmin=-160, vmax=240)
    heat = np.clip(pet / highest, 0, 1)
    _show(panels[2], "fused", phantom, pet, cmap="hot", vmin=0, vmax=highest, alpha=0.75 * np.sqrt(heat))
    _show(
        panels[3],
        f"organs and lesions ({count})",
        phantom,
        _projected_organs(phantom.organ_zyx),
        cmap=_ORGAN_COLOURS,
        vmin=1,
        vmax=10,
    )
    _show(
        panels[3],
        panels[3].get_title(),
        phantom,
        np.ma.masked_equal(phantom.lesion_zyx.max(axis=1), 0),
        cmap=_LESION_COLOUR,
    )
    drawing.savefig(path, dpi=110)


def _show(panel: Axes, title: str, phantom: Phantom, image: np.ndarray, **how: Any) -> None:
    panel.imshow(image, origin="lower", aspect=phantom.spacing_zyx[0] / phantom.spacing_zyx[2], **how)
    panel.set_title(title, fontsize=11, color="black")
    panel.set_axis_off()


def _middle_row(phantom: Phantom) -> int:
    """The coronal plane through the middle of the body."""
    body = (phantom.ct_zyx > -300).sum(axis=(0, 2))
    return int(np.searchsorted(body.cumsum(), body.sum() / 2))


def _projected_organs(organ_zyx: np.ndarray) -> np.ndarray:
    """Organ classes seen from the front, small ones over large ones; masked where there are none."""
    seen = np.zeros((organ_zyx.shape[0], organ_zyx.shape[2]), dtype=np.uint8)
    for organ in _DRAWN_FIRST:
        seen[(organ_zyx == organ).any(axis=1)] = organ
    return np.ma.masked_equal(seen, 0)
