"""Click encodings: how the clicks of one label become a map that a network reads."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from scipy import ndimage

from lesionclick.errors import ModelError
from lesionclick.files import short_json

BALL_RADIUS = 2  # of the balls in `UptakeEncoding`, as in arXiv 2508.21680

SMOOTHING = 1.0  # voxels, sigma: what a click tells of uptake is not that of one noisy voxel

LEAST_UPTAKE = 0.3  # SUV, added so that noise in air and lung is no doubling

MOST_DOUBLINGS = 2.0


class Encoding(Protocol):
    """How clicks become a map that a network reads.

    Attributes:
        needs_suv: whether the map depends on the PET, too.
        patchwise: whether a patch shows only the clicks that lie in it, as in training, and what they tell of the PET
            in it; else patches are cut out of the map of the whole volume.
    """

    @property
    def needs_suv(self) -> bool:  # noqa: D102  (see the class)
        ...

    @property
    def patchwise(self) -> bool:  # noqa: D102  (see the class)
        ...

    def encode(self, points: np.ndarray, shape: Sequence[int], suv_zyx: np.ndarray | None = None) -> np.ndarray:
        """The map of clicks of one label.

        Args:
            points: integers of shape (clicks, 3), indices of the network's grid; what lies outside it is cut.
            shape: the network's grid or a patch of it, three sizes.
            suv_zyx: the PET on that grid, SUV; an encoding that shows uptake needs it, others leave it alone.

        Returns:
            float32 array of that shape, 0 far from every click and highest on the clicks.
        """
        ...

    def to_json(self) -> dict[str, Any]:
        """The content of a model folder's prompt.json for this encoding."""
        ...


@dataclass(frozen=True)
class EDTEncoding:
    """A ball round each click, 1 at its center and falling with the distance to its rim; balls merge by maximum.

    Source: arXiv 2508.21680; the value is the Euclidean distance transform of the binary ball in its bounding cube,
    divided by its maximum.
    """

    radius: int = 2
    needs_suv: ClassVar[bool] = False
    patchwise: ClassVar[bool] = False

    def encode(self, points: np.ndarray, shape: Sequence[int], suv_zyx: np.ndarray | None = None) -> np.ndarray:
        """See `Encoding.encode`."""
        offsets = np.indices((2 * self.radius + 1,) * 3) - self.radius
        ball = (offsets**2).sum(axis=0) <= self.radius**2
        stamp = ndimage.distance_transform_edt(ball)
        stamp = (stamp / stamp.max()).astype(np.float32)
        encoded = np.zeros(shape, dtype=np.float32)
        for point in np.unique(points, axis=0):
            in_volume, in_cube = _overlap(point, self.radius, shape)
            np.maximum(encoded[in_volume], stamp[in_cube], out=encoded[in_volume])
        return encoded

    def to_json(self) -> dict[str, Any]:
        """See `Encoding.to_json`."""
        return {"encoding": "edt", "radius": self.radius}


@dataclass(frozen=True)
class GaussianEncoding:
    """A Gaussian round each click, of unit integral, not rescaled; those of neighboring clicks add up.

    Equal to `scipy.ndimage.gaussian_filter` of a volume that is 1 at each click (a click given twice counts once) and
    computed only near the clicks.
    """

    sigma: float
    needs_suv: ClassVar[bool] = False
    patchwise: ClassVar[bool] = False

    def encode(self, points: np.ndarray, shape: Sequence[int], suv_zyx: np.ndarray | None = None) -> np.ndarray:
        """See `Encoding.encode`; a click outside the grid leaves no trace."""
        encoded = np.zeros(shape, dtype=np.float32)
        reach = int(4.0 * self.sigma + 0.5)  # where gaussian_filter truncates by default
        for point in np.unique(points, axis=0):
            if np.any(point < 0) or np.any(point >= shape):
                continue
            in_volume, in_cube = _overlap(point, reach, shape)
            # the cube ends at the volume's border or where the kernel does, so that to filter it alone gives the same
            single = np.zeros((2 * reach + 1,) * 3, dtype=np.float32)
            single[reach, reach, reach] = 1
            encoded[in_volume] += ndimage.gaussian_filter(single[in_cube], self.sigma)
        return encoded

    def to_json(self) -> dict[str, Any]:
        """See `Encoding.to_json`."""
        return {"encoding": "gaussian", "sigma": self.sigma}


@dataclass(frozen=True)
class UptakeEncoding:
    """A small ball on each click, and round it how much higher or lower the uptake is than where the click is.

    A click on the rim of a lesion tells at which uptake it ends, a click inside tells what it looks like. A ball shows
    neither to a network, which would have to carry the uptake from the click to every voxel around it. Here each voxel
    up to `radius` from a click has log2 of its uptake over that of the clicks around, the nearer the more, of up to
    two doublings and halved, times what falls from 1 on the click to 0 at `radius`. The ball of `EDTEncoding(2)` is
    added. The idea is ours; how much it helps is in docs/recipe-study.md.

    Attributes:
        radius: voxels of the network's grid.
    """

    radius: int
    needs_suv: ClassVar[bool] = True
    patchwise: ClassVar[bool] = True

    def encode(self, points: np.ndarray, shape: Sequence[int], suv_zyx: np.ndarray | None = None) -> np.ndarray:
        """See `Encoding.encode`; a click outside the grid leaves no more than its ball.

        Raises:
            ValueError: there is no `suv_zyx`.
        """
        if suv_zyx is None:
            raise ValueError("the encoding by uptake needs the PET")
        encoded = EDTEncoding(BALL_RADIUS).encode(points, shape)
        offsets = np.indices((2 * self.radius + 1,) * 3, dtype=np.float32) - self.radius
        fading = np.clip(1 - np.sqrt((offsets**2).sum(axis=0)) / self.radius, 0, None)
        nearest, weights, levels, uptake = (np.zeros(shape, dtype=np.float32) for _ in range(4))
        for point in np.unique(points, axis=0):
            if np.any(point < 0) or np.any(point >= shape):
                continue
            in_volume, in_cube = _overlap(point, self.radius, shape)
            uptake[in_volume] = _log_uptake(suv_zyx, in_volume)
            near = fading[in_cube]
            np.maximum(nearest[in_volume], near, out=nearest[in_volume])
            weights[in_volume] += near**2
            levels[in_volume] += near**2 * uptake[tuple(point)]
        seen = nearest > 0
        relative = uptake[seen] - levels[seen] / weights[seen]
        encoded[seen] += nearest[seen] * np.clip(relative, -MOST_DOUBLINGS, MOST_DOUBLINGS) / MOST_DOUBLINGS
        return encoded

    def to_json(self) -> dict[str, Any]:
        """See `Encoding.to_json`."""
        return {"encoding": "uptake", "radius": self.radius}


def _log_uptake(suv_zyx: np.ndarray, box: tuple[slice, ...]) -> np.ndarray:
    """log2 of smoothed uptake in a box: what the whole volume, filtered, has there."""
    margin = int(4.0 * SMOOTHING + 0.5)  # where gaussian_filter truncates by default
    larger = tuple(slice(max(0, side.start - margin), side.stop + margin) for side in box)
    smooth = ndimage.gaussian_filter(np.maximum(suv_zyx[larger], 0), SMOOTHING)
    inside = tuple(
        slice(side.start - outer.start, side.stop - outer.start) for side, outer in zip(box, larger, strict=True)
    )
    logarithm: np.ndarray = np.log2(smooth[inside] + LEAST_UPTAKE)
    return logarithm


def _overlap(point: np.ndarray, radius: int, shape: Sequence[int]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """The cube of a radius round a point, cut to a volume: as slices of the volume and as slices of the cube."""
    corner = point - radius
    start = np.clip(corner, 0, shape)
    stop = np.clip(point + radius + 1, 0, shape)
    in_volume = tuple(slice(int(first), int(end)) for first, end in zip(start, stop, strict=True))
    in_cube = tuple(slice(int(first), int(end)) for first, end in zip(start - corner, stop - corner, strict=True))
    return in_volume, in_cube


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
        case {"encoding": "uptake", "radius": int(radius)} if type(radius) is int and 1 <= radius <= 50:
            return UptakeEncoding(radius)
    raise ModelError(
        f'{source}: expected {{"encoding": "edt", "radius": 1 to 50}}, {{"encoding": "gaussian", "sigma": up to 50}} or'
        f' {{"encoding": "uptake", "radius": 1 to 50}}, found {short_json(document)}'
    )
