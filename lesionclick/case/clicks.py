"""Clicks: voxels that a reader has marked, and the challenge's JSON that holds them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from lesionclick.errors import CaseError
from lesionclick.files import read_json_object, replacing, short_json

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
    if not path.exists():
        raise CaseError(f"{path}: the clicks file is missing (for no clicks, give a file with an empty list)")
    document = read_json_object(path, CaseError)
    if document.get("type") != "Multiple points":
        raise CaseError(f"{path}: 'type' is {short_json(document.get('type'))}, expected \"Multiple points\"")
    version = document.get("version")
    if not isinstance(version, dict) or type(version.get("major")) is not int or version["major"] != 1:
        raise CaseError(f"{path}: 'version' is {short_json(version)}, expected major version 1")
    points = document.get("points")
    if not isinstance(points, list):
        raise CaseError(f"{path}: 'points' is {short_json(points)}, expected a list")
    return tuple(_parse_point(path, index, point, shape_zyx) for index, point in enumerate(points))


def _parse_point(path: Path, index: int, point: Any, shape_zyx: Sequence[int]) -> Click:
    where = f"{path}: point {index}"
    if not isinstance(point, dict):
        raise CaseError(f"{where} is {short_json(point)}, expected an object with the keys 'point' and 'name'")
    name: Any = point.get("name")
    if name not in get_args(Label):
        raise CaseError(f'{where} has the name {short_json(name)}, expected "tumor" or "background"')
    coordinates = point.get("point")
    if not isinstance(coordinates, list) or len(coordinates) != 3:
        raise CaseError(f"{where} has the coordinates {short_json(coordinates)}, expected three: [x, y, z]")
    indices = []
    for axis, value, size in zip("xyz", coordinates, reversed(shape_zyx), strict=True):
        whole = type(value) is int or (isinstance(value, float) and value.is_integer())
        if not whole:
            raise CaseError(f"{where} has {axis} = {short_json(value)}, expected a whole number (a voxel index)")
        if not 0 <= value < size:
            raise CaseError(f"{where} has {axis} = {short_json(value)}, outside the image (0 to {size - 1})")
        indices.append(int(value))
    x, y, z = indices
    return Click(x, y, z, name)


def write_clicks(clicks: Iterable[Click], path: Path) -> None:
    """Writes clicks as the challenge's JSON, readable by `read_clicks`; a reader sees all of the file or nothing.

    Raises:
        CaseError: the file cannot be written.
    """
    points = [{"point": [click.x, click.y, click.z], "name": click.label} for click in clicks]
    document = {"version": {"major": 1, "minor": 0}, "type": "Multiple points", "points": points}
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(document) + "\n")
