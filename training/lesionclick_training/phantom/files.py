"""Files of phantoms: cases in nnU-Net's raw layout or in the container's."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from lesionclick.case.case import Case
from lesionclick.case.clicks import Click
from lesionclick.case.geometry import Geometry
from lesionclick.case.images import image_from_array
from lesionclick.log import Progress
from lesionclick.simulation.official_clicks import simulate_official
from lesionclick_training.data import nnunet_layout
from lesionclick_training.phantom.phantom import Phantom, make_phantom
from lesionclick_training.phantom.population import Population
from lesionclick_training.phantom.shapes import Triple

PHANTOM_WARNING = "trained on synthetic phantoms, for demonstration and tests, not for patients"
"""What a model says of itself each time it is used, if a phantom was in its training data."""


def draw_phantoms(
    seeds: Sequence[int], population: Population, spacing_zyx: Triple | None
) -> Iterator[tuple[str, Phantom]]:
    """The phantoms of seeds, each with its name <population>_<tracer>_<seed>; shows progress.

    Args:
        seeds: 0 or more each.
        population: what patients, scans, lesions and decoys are drawn from.
        spacing_zyx: mm; None for what the population says.
    """
    with Progress("making phantoms", len(seeds), "phantoms") as progress:
        for seed in seeds:
            phantom = make_phantom(seed, spacing_zyx=spacing_zyx, population=population)
            yield f"{population.name}_{phantom.tracer.lower()}_{seed:05d}", phantom
            progress.update()


def write_nnunet_dataset(phantoms: Iterable[tuple[str, Phantom]], dataset: Path, extend: Path | None = None) -> None:
    """Adds phantoms to a dataset in nnU-Net's raw layout, whose description then warns of them.

    Args:
        phantoms: each with its name.
        dataset: the folder DatasetXXX_Name.
        extend: a dataset of which that one is made first; see `nnunet_layout.adding_cases`.

    Raises:
        CaseError: see `nnunet_layout.adding_cases`; no phantom is added then.
    """
    with nnunet_layout.adding_cases(dataset, PHANTOM_WARNING, extend) as folder:
        for name, phantom in phantoms:
            write_nnunet_case(phantom, folder, name)


def write_container_cases(phantoms: Iterable[tuple[str, Phantom]], folder: Path) -> None:
    """Writes each phantom to a folder of its name, with the clicks that the challenge's scheme simulates.

    Raises:
        CaseError: a file cannot be written.
    """
    for name, phantom in phantoms:
        clicks = simulate_official(phantom.pet_zyx, phantom.lesion_zyx)
        write_container_case(phantom, folder / name, clicks)


def write_nnunet_case(phantom: Phantom, dataset: Path, name: str) -> None:
    """Writes a phantom as a training case (`nnunet_layout.write_case`), CT and PET rounded to what a scan is worth."""
    geometry = _geometry(phantom)
    ct = image_from_array(np.round(phantom.ct_zyx).astype(np.int16), geometry)
    pet = image_from_array(_rounded_pet(phantom), geometry)
    label = nnunet_layout.stack_label(phantom.lesion_zyx, phantom.organ_zyx)
    nnunet_layout.write_case(dataset, name, ct, pet, label)


def write_container_case(phantom: Phantom, folder: Path, clicks: Iterable[Click]) -> None:
    """Writes a phantom in Grand Challenge layout, named after the folder, with its truth beside it; see `Case.write`.

    The CT is in whole HU; the PET is rounded as in a training case.
    """
    case = Case(folder.name, phantom.ct_zyx, _rounded_pet(phantom), _geometry(phantom), tuple(clicks))
    case.write(folder, lesion_zyx=phantom.lesion_zyx, ct_type=np.int16)


def _rounded_pet(phantom: Phantom) -> np.ndarray:
    """The PET to 1 in 1000 above SUV 4 and to 1/256 SUV below, which makes a compressed file a third as large."""
    _, exponent = np.frexp(phantom.pet_zyx)
    step = np.ldexp(np.float32(1), np.maximum(exponent - 10, -7))
    rounded: np.ndarray = (np.round(phantom.pet_zyx / step) * step).astype(np.float32)
    return rounded


def _geometry(phantom: Phantom) -> Geometry:
    """Where a phantom's voxels lie: the first one's center at the world's origin, axes along the world's."""
    spacing = tuple(float(step) for step in reversed(phantom.spacing_zyx))
    return Geometry(phantom.ct_zyx.shape[::-1], spacing, (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
