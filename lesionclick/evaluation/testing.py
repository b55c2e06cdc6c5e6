"""Made-up datasets for tests of evaluation."""

from pathlib import Path

import numpy as np

from lesionclick.case.case import CLICKS_FILE, Case
from lesionclick.case.clicks import Click
from lesionclick.case.dataset import Dataset
from lesionclick.case.geometry import Geometry

SHAPE = (14, 15, 16)

GEOMETRY = Geometry(SHAPE[::-1], (1.0, 1.0, 2.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))

CLICKS = (*[Click(5, 5, 4, "tumor")] * 3, Click(0, 0, 0, "background"))


def make_lesions() -> np.ndarray:
    """A larger lesion and one of a single voxel: uint8 of shape `SHAPE`."""
    lesion_zyx = np.zeros(SHAPE, dtype=np.uint8)
    lesion_zyx[3:7, 4:8, 5:9] = lesion_zyx[12, 12, 12] = 1
    return lesion_zyx


def write_labelled_case(folder: Path, lesion_zyx: np.ndarray, seed: int = 0) -> None:
    """Writes a case of noise with `CLICKS` and its truth into a folder, in Grand Challenge layout."""
    generator = np.random.default_rng(seed)
    ct_zyx = generator.uniform(-900, 900, SHAPE).astype(np.float32)
    pet_zyx = generator.uniform(0.1, 20, SHAPE).astype(np.float32)
    Case("uuid", ct_zyx, pet_zyx, GEOMETRY, CLICKS).write(folder, lesion_zyx=lesion_zyx)


def write_dataset(folder: Path) -> Dataset:
    """Writes two cases of FDG, the second without a file of clicks, and one of PSMA without lesions."""
    write_labelled_case(folder / "base_fdg_1", make_lesions(), 0)
    write_labelled_case(folder / "base_fdg_2", make_lesions()[::-1], 1)
    (folder / "base_fdg_2" / CLICKS_FILE).unlink()
    write_labelled_case(folder / "psma_3", np.zeros(SHAPE, np.uint8), 2)
    return Dataset.find(folder)
