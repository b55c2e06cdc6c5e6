"""Matching of the volume that a viewer sends with a case that the server holds: which image it is, and how it lies.

A viewer says neither what it shows nor where it lies in the world, and its reader may have put the axes in any order
and direction. Size and spacing leave some orders of axes; values at the same sampled voxels decide between these,
between the directions, and between CT and PET.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lesionclick.errors import CaseError
from lesionclick.server.cases import CaseLibrary
from lesionclick.server.problems import ServerError
from lesionclick.server.records import CaseRecord

SPACING_TOLERANCE = 0.01  # of a spacing; viewers round it

SAMPLES = 20_000  # voxels whose values are compared; fewer miss the few hot ones of a PET

CORRELATION = 0.99  # of an image with itself though stored in other units or rounded; another image has less

AHEAD = 10.0  # how many times farther from a perfect correlation any other orientation must be

ROUNDING = 1e-9  # of a correlation; nobody is closer to 1 than this

NO_SPACING = (1.0, 1.0, 1.0)  # what a viewer says that knows none


class MatchError(ServerError):
    """A viewer's volume that is not, or not for certain, an image of the case."""

    status = 400


@dataclass(frozen=True)
class Orientation:
    """How a viewer's arrays lie against the case's.

    Attributes:
        axes: for each axis of the viewer, which of the case's axes z, y, x (0, 1, 2) it is.
        flipped: for each axis of the viewer, whether it runs the other way.
        shape_zyx: the case's size, voxels.
    """

    axes: tuple[int, ...]
    flipped: tuple[bool, ...]
    shape_zyx: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Size in the viewer's order, voxels."""
        return tuple(self.shape_zyx[axis] for axis in self.axes)

    def to_viewer(self, array_zyx: np.ndarray) -> np.ndarray:
        """The case's array as the viewer has it, without a copy."""
        return array_zyx.transpose(self.axes)[self._steps]

    def to_case(self, array: np.ndarray) -> np.ndarray:
        """The viewer's array as the case has it, without a copy."""
        return array[self._steps].transpose(np.argsort(self.axes))

    def voxels_to_case(self, voxels: np.ndarray) -> np.ndarray:
        """Indices of shape (n, 3) in the viewer's order as indices z, y, x of the case."""
        last = np.array(self.shape) - 1
        return np.where(self.flipped, last - voxels, voxels)[:, np.argsort(self.axes)]

    @property
    def _steps(self) -> tuple[slice, ...]:
        return tuple(slice(None, None, -1 if flipped else 1) for flipped in self.flipped)

    def __str__(self) -> str:
        signs = ("-" if flipped else "" for flipped in self.flipped)
        return ", ".join(f"{sign}{'zyx'[axis]}" for sign, axis in zip(signs, self.axes, strict=True))


@dataclass(frozen=True)
class Match:
    """What a viewer's volume is.

    Attributes:
        images: "CT" or "PET" for each of its channels.
        orientation: of all of them.
    """

    images: tuple[str, ...]
    orientation: Orientation


def axis_orders(
    shape: Sequence[int], spacing: Sequence[float] | None, shape_zyx: Sequence[int], spacing_zyx: Sequence[float]
) -> list[tuple[int, ...]]:
    """Orders of the case's axes (0, 1, 2 for z, y, x) that give a viewer's size and spacing.

    Args:
        shape: of the viewer's volume without its channels, voxels.
        spacing: mm in the same order; None, or 1 on all axes, for unknown.
        shape_zyx: the case's.
        spacing_zyx: the case's, mm.

    Raises:
        MatchError: there is none, or the spacing is none.
    """
    orders = [
        axes for axes in itertools.permutations(range(3)) if tuple(shape_zyx[axis] for axis in axes) == tuple(shape)
    ]
    if not orders:
        raise MatchError(f"the volume has {_product(shape)} voxels, the case {_product(shape_zyx)} (z, y, x)")
    if spacing is None:
        return orders
    if len(spacing) != 3 or not all(math.isfinite(step) and step != 0 for step in spacing):
        raise MatchError(f"the volume's spacing is {list(spacing)}, expected three numbers above 0")
    spacing = [abs(step) for step in spacing]  # of an axis that a viewer turned over it may be negative
    fitting = [
        axes
        for axes in orders
        if all(
            math.isclose(step, spacing_zyx[axis], rel_tol=SPACING_TOLERANCE)
            for step, axis in zip(spacing, axes, strict=True)
        )
    ]
    if fitting:
        return fitting
    if tuple(spacing) == NO_SPACING:
        return orders
    raise MatchError(f"the volume's spacing is {_product(spacing)} mm, the case's {_product(spacing_zyx)} mm (z, y, x)")


def match_volume(
    volume: np.ndarray,
    spacing: Sequence[float] | None,
    images_zyx: dict[str, np.ndarray],
    spacing_zyx: Sequence[float],
) -> Match:
    """Finds out which image of a case a volume is, and how it lies.

    Values need not be the same: any unit will do, and rounding. They are compared by their correlation.

    Args:
        volume: (channels, ...) with three axes in any order and direction; each channel another image.
        spacing: of these three axes, mm; None, or 1 on all of them, for unknown.
        images_zyx: the case's images by name, on one grid.
        spacing_zyx: of that grid, mm.

    Raises:
        MatchError: it is none of them, or it looks alike in several orientations.
    """
    shape_zyx = next(iter(images_zyx.values())).shape
    _require_channels(volume)
    orders = axis_orders(volume.shape[1:], spacing, shape_zyx, spacing_zyx)
    orientations = [
        Orientation(axes, flipped, shape_zyx)
        for axes in orders
        for flipped in itertools.product(*((False, True) if size > 1 else (False,) for size in volume.shape[1:]))
    ]
    voxels = _sample(volume.shape[1:])
    correlations = {
        (names, orientation): min(
            _correlation(channel[tuple(voxels.T)], images_zyx[name][tuple(orientation.voxels_to_case(voxels).T)])
            for channel, name in zip(volume, names, strict=True)
        )
        for names in itertools.permutations(images_zyx, len(volume))
        for orientation in orientations
    }
    names, orientation = max(correlations, key=lambda key: correlations[key])
    best = correlations[names, orientation]
    if best < CORRELATION:
        raise MatchError(
            f"the volume is none of the case's images ({' and '.join(images_zyx)}): its values at {len(voxels)} voxels "
            f"correlate with theirs by {best:.3f} at most, in any order and direction of the axes"
        )
    gap = max(1 - best, ROUNDING)
    alike = {other for (_, other), value in correlations.items() if 1 - value <= AHEAD * gap}
    if len(alike) > 1:
        raise MatchError(f"the volume looks alike in {len(alike)} orientations ({'; '.join(map(str, alike))})")
    return Match(names, orientation)


def find_case(volume: np.ndarray, spacing: Sequence[float] | None, cases: CaseLibrary) -> tuple[CaseRecord, Match]:
    """The one case on offer of which a volume is an image; see `match_volume`.

    Raises:
        MatchError: it is an image of none, or of several.
        CaseError: the only case there is cannot be read.
    """
    _require_channels(volume)
    records = cases.records()
    matches, refusals = [], []
    for record in records:
        try:
            geometry = cases.geometry(record.id)
            axis_orders(volume.shape[1:], spacing, geometry.shape_zyx, geometry.spacing_zyx)  # spares to read it again
            case = cases.read(record.id)
            images_zyx = {"CT": case.ct_zyx, "PET": case.pet_zyx}
            matches.append((record, match_volume(volume, spacing, images_zyx, geometry.spacing_zyx)))
        except (MatchError, CaseError) as error:
            if len(records) == 1:
                raise
            refusals.append(f"{record.name}: {error}")
    if len(matches) == 1:
        return matches[0]
    if matches:
        names = ", ".join(record.name for record, _ in matches)
        raise MatchError(f"the volume is an image of {len(matches)} cases alike: {names}")
    raise MatchError(f"the volume is an image of none of the {len(records)} cases; {'; '.join(refusals)}")


def _require_channels(volume: np.ndarray) -> None:
    if volume.ndim != 4 or not 1 <= len(volume) <= 2:
        raise MatchError(f"the volume has the shape {volume.shape}, expected 1 or 2 channels and three axes")


def _sample(shape: Sequence[int]) -> np.ndarray:
    """The same voxels each time, (n, 3)."""
    size = math.prod(shape)
    flat = np.arange(size) if size <= SAMPLES else np.random.default_rng(0).integers(size, size=SAMPLES)
    return np.stack(np.unravel_index(flat, tuple(shape)), axis=1)


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's, of values that are finite in both; 0 where one of them is the same everywhere."""
    first, second = first.astype(np.float64), second.astype(np.float64)
    finite = np.isfinite(first) & np.isfinite(second)
    if not finite.any():
        return 0.0
    first, second = first[finite] - first[finite].mean(), second[finite] - second[finite].mean()
    norm = math.sqrt(float(first @ first) * float(second @ second))
    return float(first @ second) / norm if norm > 0 else 0.0


def _product(numbers: Sequence[float]) -> str:
    return " x ".join(f"{number:.5g}" for number in numbers)
