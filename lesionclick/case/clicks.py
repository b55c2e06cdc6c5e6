"""Clicks: voxels that a reader has marked, and the challenge's JSON that holds them."""

import json
from collections.abc import Iterable, Mapping, Sequence
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
    """Reads a click file in either of the challenge's public formats.

    {"version": {"major": 1, "minor": 0}, "type": "Multiple points",
     "points": [{"point": [x, y, z], "name": "tumor"}, ...]}               as the container gets it
    {"tumor": [[x, y, z], ...], "background": [[x, y, z], ...]}            as it lies beside the training data

    Args:
        path: the JSON file. Unknown keys are ignored; lists of points may be empty and may repeat a point. In the
            second format a label without clicks may be missing.
        shape_zyx: the CT's size in voxels, to tell whether a point lies inside.

    Returns:
        The clicks in the file's order; of the second format those of tumors first.

    Raises:
        CaseError: the file is missing, is not such a JSON, or a point (named by its index) is not a voxel of the CT.
    """
    if not path.exists():
        raise CaseError(f"{path}: the clicks file is missing (for no clicks, give a file with an empty list)")
    document = read_json_object(path, CaseError)
    labels = [label for label in get_args(Label) if label in document]
    if not labels and not {"type", "points"} & document.keys():
        raise CaseError(f"{path}: holds no clicks, expected 'type' and 'points', or 'tumor' and 'background'")
    if labels and "points" in document:
        raise CaseError(f"{path}: holds both 'points' and '{labels[0]}', expected clicks in one format")
    if labels:
        return _lists_by_label(path, document, labels, shape_zyx)
    return _multiple_points(path, document, shape_zyx)


def _multiple_points(path: Path, document: Mapping[str, Any], shape_zyx: Sequence[int]) -> tuple[Click, ...]:
    if document.get("type") != "Multiple points":
        raise CaseError(f"{path}: 'type' is {short_json(document.get('type'))}, expected \"Multiple points\"")
    version = document.get("version")
    if not isinstance(version, dict) or type(version.get("major")) is not int or version["major"] != 1:
        raise CaseError(f"{path}: 'version' is {short_json(version)}, expected major version 1")
    clicks = []
    for index, point in enumerate(_list_at(path, document, "points")):
        where = f"{path}: point {index}"
        if not isinstance(point, dict):
            raise CaseError(f"{where} is {short_json(point)}, expected an object with the keys 'point' and 'name'")
        name: Any = point.get("name")
        if name not in get_args(Label):
            raise CaseError(f'{where} has the name {short_json(name)}, expected "tumor" or "background"')
        clicks.append(_parse_click(where, point.get("point"), name, shape_zyx))
    return tuple(clicks)


def _lists_by_label(
    path: Path, document: Mapping[str, Any], labels: Iterable[Label], shape_zyx: Sequence[int]
) -> tuple[Click, ...]:
    return tuple(
        _parse_click(f"{path}: point {index} of '{label}'", point, label, shape_zyx)
        for label in labels
        for index, point in enumerate(_list_at(path, document, label))
    )


def _list_at(path: Path, document: Mapping[str, Any], key: str) -> list[Any]:
    points = document.get(key)
    if not isinstance(points, list):
        raise CaseError(f"{path}: '{key}' is {short_json(points)}, expected a list")
    return points


def _parse_click(where: str, coordinates: Any, label: Label, shape_zyx: Sequence[int]) -> Click:
    """A click out of [x, y, z]; messages begin with `where`."""
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
    return Click(x, y, z, label)


def write_clicks(clicks: Iterable[Click], path: Path) -> None:
    """Writes clicks as the challenge's JSON, readable by `read_clicks`; a reader sees all of the file or nothing.

    Raises:
        CaseError: the file cannot be written.
    """
    points = [{"point": [click.x, click.y, click.z], "name": click.label} for click in clicks]
    document = {"version": {"major": 1, "minor": 0}, "type": "Multiple points", "points": points}
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(document) + "\n")
