"""Cases with their truth, made up for tests."""

from pathlib import Path

import numpy as np
from conftest import body

from lesionclick.case.case import CLICKS_FILE, Case
from lesionclick.case.clicks import Click
from lesionclick.case.dataset import Dataset, LabelledCase
from lesionclick.case.geometry import Geometry

SHAPE = (14, 15, 16)

GEOMETRY = Geometry(SHAPE[::-1], (1.0, 1.0, 2.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))

CLICKS = (*[Click(5, 5, 4, "tumor")] * 3, Click(0, 0, 0, "background"))


def make_lesions() -> np.ndarray:
    """A larger lesion and one of a single voxel: uint8 of shape `SHAPE`."""
    lesion_zyx = np.zeros(SHAPE, dtype=np.uint8)
    lesion_zyx[3:7, 4:8, 5:9] = lesion_zyx[12, 12, 12] = 1
    return lesion_zyx


def make_labelled_case(name: str = "a", clicks: tuple[Click, ...] | None = None, seed: int = 0) -> LabelledCase:
    """A case of noise with lesions; None for one that came without a file of clicks."""
    return LabelledCase(Case(name, *body(SHAPE, seed), GEOMETRY, clicks or ()), make_lesions(), clicks is not None)


def write_labelled_case(folder: Path, lesion_zyx: np.ndarray, seed: int = 0) -> None:
    """Writes a case of noise with `CLICKS` and its truth into a folder, in Grand Challenge layout."""
    make_labelled_case("uuid", CLICKS, seed).case.write(folder, lesion_zyx=lesion_zyx)


def write_dataset(folder: Path) -> Dataset:
    """Writes two cases of FDG, the second without a file of clicks, and one of PSMA without lesions."""
    write_labelled_case(folder / "base_fdg_1", make_lesions(), 0)
    write_labelled_case(folder / "base_fdg_2", make_lesions()[::-1], 1)
    (folder / "base_fdg_2" / CLICKS_FILE).unlink()
    write_labelled_case(folder / "psma_3", np.zeros(SHAPE, np.uint8), 2)
    return Dataset.find(folder)
