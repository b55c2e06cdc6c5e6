"""Solids for phantoms: signed distances in mm, combined, and painted into volumes with smooth edges.

A point is z, y, x in mm: z toward the head, y toward the back, x toward the patient's left. A solid is a function
that gives the distance of points to its surface, negative inside; most are approximate away from the surface, which is
all that painting needs. Coordinates may be any arrays that broadcast: three open axes of a grid, or three lists of
points.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.interpolate import PchipInterpolator

Distance = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]

Triple = tuple[float, float, float]
"""Three numbers in the order z, y, x."""

Numbers = Sequence[float] | np.ndarray

Points = Sequence[Numbers] | np.ndarray
"""A list of points, or an array of shape (n, 3)."""


@dataclass(frozen=True)
class Grid:
    """Where the voxels of a volume lie: centers at origin + index * spacing, mm.

    `bend` gives levels of z, mm, and how far to the back (y, mm) everything at such a level is moved, linear in
    between: the head on a cushion, the pelvis sunk in. Points and boxes are in the coordinates of the straight body.
    """

    shape_zyx: tuple[int, int, int]
    spacing_zyx: Triple
    origin_zyx: Triple
    bend: tuple[tuple[float, float], ...] = ()

    def scaled(self, factor_zyx: Numbers) -> Self:
        """The same voxels in coordinates that are multiplied by a factor an axis."""
        spacing = tuple(s * f for s, f in zip(self.spacing_zyx, factor_zyx, strict=True))
        origin = tuple(o * f for o, f in zip(self.origin_zyx, factor_zyx, strict=True))
        bend = tuple((z * factor_zyx[0], shift * factor_zyx[1]) for z, shift in self.bend)
        return type(self)(self.shape_zyx, spacing, origin, bend)

    @property
    def whole(self) -> tuple[slice, slice, slice]:
        """The box of all voxels."""
        z, y, x = (slice(0, size) for size in self.shape_zyx)
        return z, y, x

    def part(self, box: tuple[slice, slice, slice]) -> Self:
        """The grid of a box's voxels."""
        shape = tuple(part.stop - part.start for part in box)
        origin = tuple(a + s * b.start for a, s, b in zip(self.origin_zyx, self.spacing_zyx, box, strict=True))
        return type(self)(
            (shape[0], shape[1], shape[2]), self.spacing_zyx, (origin[0], origin[1], origin[2]), self.bend
        )

    def box(self, low: Numbers, high: Numbers, margin: float = 0.0) -> tuple[slice, slice, slice]:
        """The voxels between two corners, widened by a margin in mm; empty slices where the grid does not reach."""
        slices = []
        if self.bend:
            levels = [low[0], high[0], *(z for z, _ in self.bend if low[0] < z < high[0])]
            shifts = self.shift_at(np.array(levels))
            low, high = (low[0], low[1] + shifts.min(), low[2]), (high[0], high[1] + shifts.max(), high[2])
        for size, step, start, a, b in zip(self.shape_zyx, self.spacing_zyx, self.origin_zyx, low, high, strict=True):
            first = int(np.clip(np.ceil((a - margin - start) / step), 0, size))
            last = int(np.clip(np.floor((b + margin - start) / step) + 1, first, size))
            slices.append(slice(first, last))
        return slices[0], slices[1], slices[2]

    def points(self, box: tuple[slice, ...] | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The centers of a box's voxels (of all voxels by default) as three float32 arrays that broadcast."""
        ranges = box or self.whole
        z, y, x = (
            (start + step * np.arange(part.start, part.stop)).astype(np.float32)
            for start, step, part in zip(self.origin_zyx, self.spacing_zyx, ranges, strict=True)
        )
        return self.straightened(z[:, None, None], y[None, :, None], x[None, None, :])

    def shift_at(self, z: np.ndarray) -> np.ndarray:
        """How far to the back everything at levels of z is moved, mm."""
        levels, shifts = zip(*self.bend, strict=True)
        return np.asarray(np.interp(z, levels, shifts), dtype=np.float32)

    def straightened(self, z: np.ndarray, y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Open axes of points in the scanner as arrays of the straight body's coordinates, which broadcast."""
        return (z, y - self.shift_at(z), x) if self.bend else (z, y, x)


@dataclass(frozen=True)
class Solid:
    """A signed distance and a box, low to high corner in mm (z, y, x), outside of which it is positive."""

    low: np.ndarray
    high: np.ndarray
    distance: Distance

    def grown(self, mm: float) -> "Solid":
        """The solid with its surface moved outwards (inwards where negative)."""
        room = max(mm, 0.0)
        return Solid(self.low - room, self.high + room, lambda z, y, x: self.distance(z, y, x) - mm)

    def moved(self, by: Numbers) -> "Solid":
        """The solid moved by mm along z, y, x."""
        step = np.asarray(by, dtype=np.float64)
        dz, dy, dx = step.astype(np.float32)
        return Solid(self.low + step, self.high + step, lambda z, y, x: self.distance(z - dz, y - dy, x - dx))

    def where(self, distance: Distance, rounding: float = 0.0) -> "Solid":
        """The part that lies also inside a second distance; `rounding` in mm blunts the edges between the two."""
        return Solid(
            self.low, self.high, lambda z, y, x: -smooth_min(-self.distance(z, y, x), -distance(z, y, x), rounding)
        )

    def without(self, *others: "Solid") -> "Solid":
        """The part that lies outside of other solids."""

        def distance(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
            d = self.distance(z, y, x)
            for other in others:
                d = np.maximum(d, -other.distance(z, y, x))
            return d

        return Solid(self.low, self.high, distance)

    def within(self, low: Sequence[float | None], high: Sequence[float | None]) -> "Solid":
        """The solid with a smaller box (None: that side stays); the distance is not changed."""
        smaller = [
            np.array([own if new is None else new for own, new in zip(side, given, strict=True)])
            for side, given in ((self.low, low), (self.high, high))
        ]
        return Solid(smaller[0], smaller[1], self.distance)


def smooth_min(a: np.ndarray, b: np.ndarray, radius: float) -> np.ndarray:
    """The minimum of two distances, with a fillet of about `radius` mm where they meet (quadratic blend)."""
    minimum: np.ndarray = np.minimum(a, b)
    if radius > 0:
        overlap = np.maximum(radius - np.abs(a - b), 0) / radius
        minimum = minimum - overlap * overlap * (radius / 4)
    return minimum


def union(solids: Sequence[Solid], rounding: float = 0.0) -> Solid:
    """All solids as one, with fillets of about `rounding` mm between them."""

    def distance(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        d = solids[0].distance(z, y, x)
        for other in solids[1:]:
            d = smooth_min(d, other.distance(z, y, x), rounding)
        return d

    low = np.min([solid.low for solid in solids], axis=0) - rounding / 4
    high = np.max([solid.high for solid in solids], axis=0) + rounding / 4
    return Solid(low, high, distance)


def rotation(about_z: float = 0.0, about_y: float = 0.0, about_x: float = 0.0) -> np.ndarray:
    """A rotation of z, y, x coordinates by angles in degrees, applied in the order of the arguments."""
    result = np.eye(3)
    for angle, (i, j) in ((about_z, (1, 2)), (about_y, (0, 2)), (about_x, (0, 1))):
        c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        turn = np.eye(3)
        turn[i, i], turn[i, j], turn[j, i], turn[j, j] = c, -s, s, c
        result = turn @ result
    return result


def ellipsoid(
    center: Numbers, semi_axes: Numbers, turn: np.ndarray | None = None, bumps: "Waves | None" = None
) -> Solid:
    """An ellipsoid with semi-axes along z, y, x, turned by a rotation; `bumps` shifts its surface by mm."""
    matrix = np.eye(3) if turn is None else turn
    axes = np.asarray(semi_axes, dtype=np.float64)
    inverse = ((matrix / axes).T).astype(np.float32)  # patient axes -> unit sphere
    cz, cy, cx = (float(c) for c in center)
    size = float(np.prod(axes) ** (1 / 3))
    reach = np.sqrt(((matrix * axes) ** 2).sum(axis=1)) + (0.0 if bumps is None else bumps.bound)

    def distance(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        dz, dy, dx = z - cz, y - cy, x - cx
        squares = sum((row[0] * dz + row[1] * dy + row[2] * dx) ** 2 for row in inverse)
        # to first order: (r - 1) over the length of its gradient, which is 1/axis along each axis
        steep = sum((column[0] * dz + column[1] * dy + column[2] * dx) ** 2 for column in inverse.T @ inverse)
        radius = np.sqrt(squares) + np.float32(1e-6)
        d = (radius - 1) * radius / (np.sqrt(steep) + np.float32(1e-6 / size))
        bumpy: np.ndarray = d if bumps is None else d - bumps(z, y, x)
        return bumpy

    return Solid(np.asarray(center) - reach, np.asarray(center) + reach, distance)


def capsule(start: Numbers, end: Numbers, radius: float, end_radius: float | None = None) -> Solid:
    """A rounded cylinder between two points, whose radius may change from one end to the other."""
    a, b = np.asarray(start, dtype=np.float64), np.asarray(end, dtype=np.float64)
    final = radius if end_radius is None else end_radius
    (az, ay, ax), (uz, uy, ux) = a, b - a
    length2 = float(((b - a) ** 2).sum()) or 1.0

    def distance(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        dz, dy, dx = z - np.float32(az), y - np.float32(ay), x - np.float32(ax)
        t = np.clip((dz * np.float32(uz) + dy * np.float32(uy) + dx * np.float32(ux)) / np.float32(length2), 0, 1)
        squares = (dz - t * np.float32(uz)) ** 2 + (dy - t * np.float32(uy)) ** 2 + (dx - t * np.float32(ux)) ** 2
        cone: np.ndarray = np.sqrt(squares) - (np.float32(radius) + t * np.float32(final - radius))
        return cone

    thick = max(radius, final)
    return Solid(np.minimum(a, b) - thick, np.maximum(a, b) + thick, distance)


def tube(points: Points, radii: float | Numbers) -> list[Solid]:
    """A tube along a line of points, as one capsule a stretch (so that each can be painted in its own small box)."""
    thick = np.broadcast_to(np.asarray(radii, dtype=np.float64), len(points))
    return [capsule(points[i], points[i + 1], float(thick[i]), float(thick[i + 1])) for i in range(len(points) - 1)]


def smooth_path(points: Points, steps: int) -> np.ndarray:
    """`steps` points, evenly spread over a monotone cubic through the given ones: shape (steps, 3)."""
    given = np.asarray(points, dtype=np.float64)
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(given, axis=0), axis=1))])
    path: np.ndarray = PchipInterpolator(length, given)(np.linspace(0, length[-1], steps))
    return path


def stack(rows: Points, power: float) -> Solid:
    """A trunk of superellipse cross-sections, smooth along z.

    Args:
        rows: (z, half width, front y, back y) with z rising; cubic in between, flat ends at the first and last z.
        power: 2 for ellipses, more for squarer sections.
    """
    table = np.asarray(rows, dtype=np.float64)
    profile = PchipInterpolator(table[:, 0], table[:, 1:])
    bottom, top = float(table[0, 0]), float(table[-1, 0])

    def distance(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        section = profile(np.clip(z, bottom, top)).astype(np.float32)
        half_width, front, back = section[..., 0], section[..., 1], section[..., 2]
        across = np.abs(x) + np.float32(1e-3)
        along = np.abs(y - (front + back) / 2)
        level = (across / half_width) ** power + (2 * along / (back - front)) ** power
        radial = np.sqrt(across**2 + along**2)
        d = radial * (1 - level ** np.float32(-1 / power))
        inside_and_between: np.ndarray = np.maximum(d, np.maximum(bottom - z, z - top))
        return inside_and_between

    width = float(table[:, 1].max())
    low = np.array([bottom, table[:, 2].min(), -width])
    return Solid(low, np.array([top, table[:, 3].max(), width]), distance)


class Waves:
    """Smooth random variation in space: a sum of plane waves in random directions, of zero mean.

    It depends on mm alone, so it is the same field on every grid.
    """

    def __init__(self, rng: np.random.Generator, wavelength: float, deviation: float, count: int = 12) -> None:
        """Draws waves of about a length in mm that add up to a standard deviation."""
        directions = rng.normal(size=(count, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        lengths = wavelength * rng.uniform(0.7, 1.5, size=(count, 1))
        self._vectors = (2 * np.pi * directions / lengths).astype(np.float32)
        self._phases = rng.uniform(0, 2 * np.pi, size=count).astype(np.float32)
        self._amplitude = np.float32(deviation * np.sqrt(2 / count))
        self.bound = 3.0 * deviation
        """What the field seldom exceeds and is cut to."""

    def __call__(self, z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """The field at points."""
        total = np.zeros(np.broadcast_shapes(z.shape, y.shape, x.shape), dtype=np.float32)
        for (kz, ky, kx), phase in zip(self._vectors, self._phases, strict=True):
            # cos(a + b) by the cosines and sines of a and b: on open axes, trigonometry of a plane and a line only
            a, b = kz * z + ky * y + phase, kx * x
            total += np.cos(a) * np.cos(b)
            total -= np.sin(a) * np.sin(b)
        field: np.ndarray = np.clip(self._amplitude * total, -self.bound, self.bound)
        return field


def coverage(distance: np.ndarray, width: float) -> np.ndarray:
    """How much of a voxel of a width lies inside a surface at a signed distance: 0 to 1."""
    return np.clip(0.5 - distance / width, 0, 1)
