"""Geometry of an image: where its voxels lie in the world."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from lesionclick.errors import CaseError

logger = logging.getLogger(__name__)

GRID_TOLERANCE = 1e-3  # mm, or cosine for directions

_ROUNDING = 1e-6
"""Of cosines: what files with numbers of single precision differ by from orthonormal ones, and nobody notices."""

_QUANTITIES = ("size", "spacing", "origin", "direction")


@dataclass(frozen=True)
class Geometry:
    """Where an image's voxels lie in the world; everything in SimpleITK's order x, y, z.

    Attributes:
        size: voxels.
        spacing: mm.
        origin: center of the first voxel, mm.
        direction: 3 x 3 cosines, row by row.
    """

    size: tuple[int, ...]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]

    @classmethod
    def of(cls, image: sitk.Image) -> "Geometry":
        """The geometry of a SimpleITK image."""
        return cls(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())

    @property
    def shape_zyx(self) -> tuple[int, ...]:
        """Size in the order of arrays, voxels."""
        return self.size[::-1]

    @property
    def spacing_zyx(self) -> tuple[float, ...]:
        """Spacing in the order of arrays, mm."""
        return self.spacing[::-1]


def is_same_grid(first: Geometry, second: Geometry) -> bool:
    """Whether two grids differ by no more than GRID_TOLERANCE."""
    return not any(_difference(first, second, quantity) > GRID_TOLERANCE for quantity in _QUANTITIES)


def require_same_grid(
    first: Geometry, second: Geometry, names: tuple[str, str], places: tuple[Path | str, Path | str]
) -> None:
    """Raises CaseError, with both values and their places, where two grids differ by more than GRID_TOLERANCE."""
    for quantity in _QUANTITIES:
        if _difference(first, second, quantity) > GRID_TOLERANCE:
            of_first, of_second = getattr(first, quantity), getattr(second, quantity)
            raise CaseError(
                f"{names[0]} and {names[1]} are on different grids: {quantity} is {_numbers(of_first)} in {places[0]} "
                f"and {_numbers(of_second)} in {places[1]}"
            )


def require_orthonormal(path: Path, direction: Sequence[float], axes: int = 3) -> None:
    """Raises CaseError where the axes of an image are not unit vectors at right angles within GRID_TOLERANCE."""
    difference = _off_orthonormal(np.reshape(direction, (axes, axes)))
    if not difference <= GRID_TOLERANCE:  # NaN is no less
        raise CaseError(
            f"{path}: its direction is {_numbers(direction)}, which is sheared or scaled, expected orthonormal axes"
            f" ({difference:.2g} off)"
        )


def straightened(path: Path, direction: Sequence[float]) -> tuple[float, ...]:
    """The orthonormal direction that is nearest to one off by rounding, which is logged; else the same one.

    It is the orthogonal factor of the polar decomposition.
    """
    matrix = np.reshape(direction, (3, 3))
    difference = _off_orthonormal(matrix)
    if difference <= _ROUNDING:
        return tuple(direction)
    left, _, right = np.linalg.svd(matrix)
    logger.info("%s: its direction is %.1e off orthonormal, which is mended", path, difference)
    return tuple(map(float, (left @ right).ravel()))


def _off_orthonormal(matrix: np.ndarray) -> float:
    return float(np.abs(matrix.T @ matrix - np.eye(len(matrix))).max())


def _difference(first: Geometry, second: Geometry, quantity: str) -> float:
    return float(np.abs(np.subtract(getattr(first, quantity), getattr(second, quantity))).max())


def _numbers(values: Sequence[float]) -> str:
    return f"({', '.join(f'{value:.7g}' for value in values)})"
