"""Click encodings: where clicks fall on the network's grid, and the maps that the network sees."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from scipy import ndimage

from lesionclick.case.clicks import Click
from lesionclick.errors import ModelError
from lesionclick.files import short_json
from lesionclick.model.preprocessing import NetworkGrid


def to_network_grid(clicks: Iterable[Click], grid: NetworkGrid) -> np.ndarray:
    """Where clicks fall on the network's grid.

    The crop's start is subtracted once, the result scaled by new size over old size and rounded half to even, as the
    published method does (less its second subtraction of the crop's start).

    Returns:
        int64 array of shape (clicks, 3) in the order of the grid's axes. A point may lie outside the grid, when it was
        cropped away or rounded past the end.
    """
    indices_zyx = np.array([(click.z, click.y, click.x) for click in clicks], dtype=np.float64).reshape(-1, 3)
    inside_crop = indices_zyx[:, list(grid.transpose)] - np.array(grid.crop_start)
    scale = np.array(grid.shape) / np.array(grid.cropped_shape)
    return np.round(inside_crop * scale).astype(np.int64)


class Encoding(Protocol):
    """How clicks become a map that a network reads."""

    def encode(self, points: np.ndarray, shape: Sequence[int]) -> np.ndarray:
        """The map of clicks of one label.

        Args:
            points: integers of shape (clicks, 3), indices of the network's grid; what lies outside it is cut.
            shape: the network's grid, three sizes.

        Returns:
            float32 array of that shape, 0 far from every click and highest on the clicks.
        """
        ...

    def to_json(self) -> dict[str, Any]:
        """The content of a model folder's prompt.json for this encoding."""
        ...


@dataclass(frozen=True)
class EDTEncoding:
    """A ball round each click, 1 at its centre and falling with the distance to its rim; balls merge by maximum.

    Source: arXiv 2508.21680; the value is the Euclidean distance transform of the binary ball in its bounding cube,
    divided by its maximum.
    """

    radius: int = 2

    def encode(self, points: np.ndarray, shape: Sequence[int]) -> np.ndarray:
        """See `Encoding.encode`."""
        offsets = np.indices((2 * self.radius + 1,) * 3) - self.radius
        ball = (offsets**2).sum(axis=0) <= self.radius**2
        stamp = ndimage.distance_transform_edt(ball)
        stamp = (stamp / stamp.max()).astype(np.float32)
        encoded = np.zeros(shape, dtype=np.float32)
        for point in np.unique(points, axis=0):
            box, part = _overlap(point, self.radius, shape)
            np.maximum(encoded[box], stamp[part], out=encoded[box])
        return encoded

    def to_json(self) -> dict[str, Any]:
        """See `Encoding.to_json`."""
        return {"encoding": "edt", "radius": self.radius}


@dataclass(frozen=True)
class GaussianEncoding:
    """A Gaussian round each click, of unit integral, not rescaled; those of neighbouring clicks add up.

    Equal to `scipy.ndimage.gaussian_filter` of a volume that is 1 at each click (a click given twice counts once) and
    computed only near the clicks.
    """

    sigma: float

    def encode(self, points: np.ndarray, shape: Sequence[int]) -> np.ndarray:
        """See `Encoding.encode`; a click outside the grid leaves no trace."""
        encoded = np.zeros(shape, dtype=np.float32)
        reach = int(4.0 * self.sigma + 0.5)  # where gaussian_filter truncates by default
        for point in np.unique(points, axis=0):
            if np.any(point < 0) or np.any(point >= shape):
                continue
            box, part = _overlap(point, reach, shape)
            # the box ends at the volume's border or out of the kernel's reach, so filtering it alone changes nothing
            single = np.zeros((2 * reach + 1,) * 3, dtype=np.float32)
            single[reach, reach, reach] = 1
            encoded[box] += ndimage.gaussian_filter(single[part], self.sigma)
        return encoded

    def to_json(self) -> dict[str, Any]:
        """See `Encoding.to_json`."""
        return {"encoding": "gaussian", "sigma": self.sigma}


def _overlap(point: np.ndarray, radius: int, shape: Sequence[int]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """The cube of a radius round a point, cut to a volume: as slices of the volume and as slices of the cube."""
    start = np.clip(point - radius, 0, shape)
    stop = np.clip(point + radius + 1, 0, shape)
    corner = point - radius
    box = tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
    part = tuple(slice(int(a), int(b)) for a, b in zip(start - corner, stop - corner, strict=True))
    return box, part


def encoding_from_json(document: Any, source: Path) -> Encoding:
    """The encoding that a prompt.json names.

    Raises:
        ModelError: the document names no known encoding or a parameter out of range; `source` is named.
    """
    match document:
        case {"encoding": "edt", "radius": int(radius)} if type(radius) is int and 1 <= radius <= 50:
            return EDTEncoding(radius)
        case {"encoding": "gaussian", "sigma": int(sigma) | float(sigma)} if (
            type(sigma) is not bool and math.isfinite(sigma) and 0 < sigma <= 50
        ):
            return GaussianEncoding(float(sigma))
    raise ModelError(
        f'{source}: expected {{"encoding": "edt", "radius": 1 to 50}} or {{"encoding": "gaussian", "sigma": up to 50}},'
        f" found {short_json(document)}"
    )
