"""Clicks: the challenge's JSON, their place on the network's grid, and the maps that the network sees."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np
from scipy import ndimage

from lesionclick.errors import CaseError, ModelError
from lesionclick.preprocessing import NetworkGrid

Label = Literal["tumor", "background"]


@dataclass(frozen=True)
class Click:
    """One voxel of the CT's grid that a reader has marked; indices count from 0, in the challenge's order x, y, z."""

    x: int
    y: int
    z: int
    label: Label


def read_clicks(path: Path, shape_zyx: Sequence[int]) -> tuple[Click, ...]:
    """Reads a click file of autoPET/CT IV or V ("Multiple points", version 1).

    Args:
        path: the JSON file. Unknown keys are ignored; the list of points may be empty and may repeat a point.
        shape_zyx: the CT's size in voxels, to tell whether a point lies inside.

    Returns:
        The clicks in the file's order.

    Raises:
        CaseError: the file is missing, is not such a JSON, or a point (named by its index) is not a voxel of the CT.
    """
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise CaseError(f"{path}: the clicks file is missing (for no clicks, give a file with an empty list)") from None
    except OSError as error:
        raise CaseError(f"{path}: the clicks file cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise CaseError(f"{path}: not a JSON file: {error}") from error

    if not isinstance(document, dict):
        raise CaseError(f"{path}: expected a JSON object with the key 'points', found {_short(document)}")
    if document.get("type") != "Multiple points":
        raise CaseError(f"{path}: 'type' is {_short(document.get('type'))}, expected \"Multiple points\"")
    version = document.get("version")
    if not isinstance(version, dict) or type(version.get("major")) is not int or version["major"] != 1:
        raise CaseError(f"{path}: 'version' is {_short(version)}, expected major version 1")
    points = document.get("points")
    if not isinstance(points, list):
        raise CaseError(f"{path}: 'points' is {_short(points)}, expected a list")
    return tuple(_parse_point(path, index, point, shape_zyx) for index, point in enumerate(points))


def _parse_point(path: Path, index: int, point: Any, shape_zyx: Sequence[int]) -> Click:
    where = f"{path}: point {index}"
    if not isinstance(point, dict):
        raise CaseError(f"{where} is {_short(point)}, expected an object with the keys 'point' and 'name'")
    name: Any = point.get("name")
    if name not in get_args(Label):
        raise CaseError(f'{where} has the name {_short(name)}, expected "tumor" or "background"')
    coordinates = point.get("point")
    if not isinstance(coordinates, list) or len(coordinates) != 3:
        raise CaseError(f"{where} has the coordinates {_short(coordinates)}, expected three: [x, y, z]")
    indices = []
    for axis, value, size in zip("xyz", coordinates, reversed(shape_zyx), strict=True):
        whole = type(value) is int or (isinstance(value, float) and value.is_integer())
        if not whole:
            raise CaseError(f"{where} has {axis} = {_short(value)}, expected a whole number (a voxel index)")
        if not 0 <= value < size:
            raise CaseError(f"{where} has {axis} = {_short(value)}, outside the image (0 to {size - 1})")
        indices.append(int(value))
    x, y, z = indices
    return Click(x, y, z, name)


def _short(value: Any) -> str:
    """A JSON value as it stood in the file, cut to a length that fits a sentence; null also for a missing key."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def write_clicks(clicks: Iterable[Click], path: Path) -> None:
    """Writes clicks as the challenge's JSON, readable by `read_clicks`."""
    points = [{"point": [click.x, click.y, click.z], "name": click.label} for click in clicks]
    document = {"version": {"major": 1, "minor": 0}, "type": "Multiple points", "points": points}
    path.write_text(json.dumps(document) + "\n")


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
        f" found {_short(document)}"
    )
