"""Phantom case: a digital patient with clicks in a wide field of view, as a case in container layout."""

import dataclasses
from pathlib import Path

import numpy as np

FIELD_MM = 700.0
AIR_HU, AIR_SUV = -1000.0, 1 / 128  # an SUV of exactly 0 might be cropped


def write_phantom_case(folder: Path, spacing_zyx: tuple[float, float, float], seed: int = 1) -> Path:
    """Writes a phantom with 20 clicks and air around it, 700 mm wide.

    Args:
        folder: to make.
        spacing_zyx: mm.
        seed: of the phantom.

    Raises:
        SystemExit: the training package is missing.
    """
    try:
        from lesionclick_training.phantom.files import write_container_case
        from lesionclick_training.phantom.phantom import make_phantom
        from lesionclick_training.phantom.populations import BASE
    except ImportError as error:
        raise SystemExit(f"making a phantom needs the training package (pip install -e training): {error}") from error
    from lesionclick.simulation.official_clicks import simulate_official

    phantom = make_phantom(seed, spacing_zyx=spacing_zyx, population=BASE)
    missing = [max(0, round(FIELD_MM / spacing_zyx[axis]) - phantom.ct_zyx.shape[axis]) for axis in (1, 2)]
    margins = [(0, 0), *((total // 2, total - total // 2) for total in missing)]
    phantom = dataclasses.replace(
        phantom,
        ct_zyx=np.pad(phantom.ct_zyx, margins, constant_values=AIR_HU),
        pet_zyx=np.pad(phantom.pet_zyx, margins, constant_values=AIR_SUV),
        lesion_zyx=np.pad(phantom.lesion_zyx, margins),
        organ_zyx=np.pad(phantom.organ_zyx, margins),
    )
    write_container_case(phantom, folder, simulate_official(phantom.pet_zyx, phantom.lesion_zyx))
    return folder
