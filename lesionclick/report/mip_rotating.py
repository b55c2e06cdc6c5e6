"""Moving picture: the maximum-intensity projection of the PET all around the patient, lesions in color."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from lesionclick.case.case import Case
from lesionclick.errors import CaseError
from lesionclick.files import replacing, require_writable
from lesionclick.report.mip import Upright, colored

PIXEL_MM = 4.0

FRAMES = 36

FRAME_MS = 100

FORMATS = {".gif": "GIF", ".webp": "WEBP"}


def write_rotating_mip(case: Case, numbers_zyx: np.ndarray, path: Path) -> None:
    """Writes a moving picture of the projection all around the patient, first from the front.

    Args:
        case: its PET is drawn.
        numbers_zyx: 0 outside of lesions and each lesion's number inside, on the case's grid.
        path: a .gif or .webp; its folder is made where missing.

    Raises:
        CaseError: the file's ending is another one, or it cannot be written.
    """
    kind = mip_format(path)
    first, *others = (Image.fromarray(frame) for frame in _frames(Upright.of(case, numbers_zyx)))
    with replacing(path) as temporary:
        first.save(temporary, format=kind, save_all=True, append_images=others, duration=FRAME_MS, loop=0)


def mip_format(path: Path) -> str:
    """The format of a moving picture by its file's ending; CaseError where that is neither .gif nor .webp."""
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise CaseError(f"{path}: a rotating picture has the ending {' or '.join(FORMATS)}, not {path.suffix!r}")
    return kind


def require_mip(path: Path) -> None:
    """Raises CaseError where no moving picture could be written at `path`; makes nothing."""
    mip_format(path)
    require_writable(path)


def _frames(upright: Upright) -> Iterator[np.ndarray]:
    """A picture for each angle: uint8 of shape (rows, columns, 3)."""
    pet, numbers = _in_cubes(upright.pet, upright.spacing), _in_cubes(upright.numbers, upright.spacing)
    rows, deep, wide = pet.shape
    columns = np.ascontiguousarray(pet.reshape(rows, -1).T)  # a column of the patient lies together in memory
    size = math.ceil(math.hypot(deep, wide))
    depth, across = np.mgrid[:size, :size] - (size - 1) / 2

    row, y, x = np.nonzero(numbers)
    by_uptake = np.argsort(pet[row, y, x], kind="stable")  # what is written last stays: the hottest
    row, y, x = row[by_uptake], y[by_uptake], x[by_uptake]
    number = numbers[row, y, x]
    for frame in range(FRAMES):
        angle = 2 * math.pi * frame / FRAMES
        cosine, sine = math.cos(angle), math.sin(angle)
        source_x = _nearest(across * cosine - depth * sine + (wide - 1) / 2)
        source_y = _nearest(across * sine + depth * cosine + (deep - 1) / 2)
        inside = (source_x >= 0) & (source_x < wide) & (source_y >= 0) & (source_y < deep)
        uptake = np.zeros((size, rows), np.float32)
        for line in np.flatnonzero(inside.any(axis=1)):
            seen = inside[line]
            found = columns[source_y[line, seen] * wide + source_x[line, seen]]
            uptake[seen] = np.maximum(uptake[seen], found)
        lesions = np.zeros((rows, size), np.int32)
        column = (x - (wide - 1) / 2) * cosine + (y - (deep - 1) / 2) * sine + (size - 1) / 2
        lesions[row, _nearest(column)] = number
        yield colored(uptake.T, lesions)


def _nearest(places: np.ndarray) -> np.ndarray:
    """The nearest whole numbers, of halves always the greater: numpy.round takes the even one and would leave gaps."""
    nearest: np.ndarray = np.floor(places + 0.5 + 1e-6).astype(np.int64)  # sines and cosines are a little off
    return nearest


def _in_cubes(array: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """The nearest voxel in each cube of PIXEL_MM."""
    nearest = []
    for size, mm in zip(array.shape, spacing, strict=True):
        centers = (np.arange(max(1, round(size * mm / PIXEL_MM))) + 0.5) * PIXEL_MM / mm
        nearest.append(np.minimum(centers.astype(np.int64), size - 1))
    return array[np.ix_(*nearest)]
