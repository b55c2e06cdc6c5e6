"""Markups of 3D Slicer (.mrk.json): points in millimeters, read as clicks of the voxels that they lie in."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lesionclick.case.clicks import Click, Label, read_clicks
from lesionclick.case.geometry import Geometry
from lesionclick.errors import CaseError
from lesionclick.files import read_json_object, short_json

ENDING = ".mrk.json"

POINT_LISTS = ("Fiducial", "PointList")
"""Types of markups that are lists of points; lines, curves and planes are not."""

SIGNS = {"LPS": (1.0, 1.0, 1.0), "RAS": (-1.0, -1.0, 1.0)}
"""By coordinate system, what coordinates are multiplied with to be DICOM's and SimpleITK's (LPS)."""

_LABELS: Mapping[str, Label] = {"tumor": "tumor", "tumour": "tumor", "background": "background"}


def read_click_files(paths: Iterable[Path], geometry: Geometry) -> tuple[Click, ...]:
    """Reads clicks from files in the challenge's formats (voxels of the grid) or of 3D Slicer's markups (mm).

    Args:
        paths: one after the other; 3D Slicer stores a file for each list of points.
        geometry: the case's grid.

    Raises:
        CaseError: a file is missing, is none of these, or holds a point outside the image.
    """
    return tuple(click for path in paths for click in _read_click_file(path, geometry))


def _read_click_file(path: Path, geometry: Geometry) -> tuple[Click, ...]:
    if not path.is_file():
        raise CaseError(f"{path}: the clicks file is missing")
    if path.name.lower().endswith(ENDING) or "markups" in read_json_object(path, CaseError):
        return read_markups(path, geometry)
    return read_clicks(path, geometry.shape_zyx)


def read_markups(path: Path, geometry: Geometry) -> tuple[Click, ...]:
    """Reads the point lists of a file of 3D Slicer's markups.

    Whether a point marks tumor or background is said by the first word of its label (tumor-1), else by that of its
    list's name, else by that of the file's; upper and lower case are alike. Points that have not been placed are left
    out.

    Args:
        path: .mrk.json, by the schema of 3D Slicer's markups, version 1.
        geometry: the grid whose voxels the points are sought in.

    Returns:
        The clicks in the file's order.

    Raises:
        CaseError: the file is missing or damaged, or a point (named by list, number and label) lies outside the image
            or says neither tumor nor background.
    """
    document = read_json_object(path, CaseError)
    lists = document.get("markups")
    if not isinstance(lists, list) or not all(isinstance(markup, dict) for markup in lists):
        raise CaseError(f"{path}: 'markups' is {short_json(lists)}, expected a list of 3D Slicer's markups")
    clicks: list[Click] = []
    for number, markup in enumerate(lists, start=1):
        clicks += _clicks_of(markup, f"{path}: list {number}", path.name, geometry)
    return tuple(clicks)


def _clicks_of(markup: Mapping[str, Any], where: str, file_name: str, geometry: Geometry) -> list[Click]:
    points = markup.get("controlPoints", [])
    if not isinstance(points, list) or not all(isinstance(point, dict) for point in points):
        raise CaseError(f"{where} has 'controlPoints' {short_json(points)}, expected a list of points")
    if not points:
        return []
    kind = markup.get("type")
    if kind not in POINT_LISTS:
        raise CaseError(f"{where} has the type {short_json(kind)}, expected a list of points (Fiducial)")
    system = str(markup.get("coordinateSystem", "LPS")).upper()
    if system not in SIGNS:
        raise CaseError(f"{where} has the coordinate system {short_json(system)}, expected LPS or RAS")
    units = markup.get("coordinateUnits", "mm")
    if units != "mm" and not (isinstance(units, list) and units[:1] == ["mm"]):  # a name, or with its code beside it
        raise CaseError(f"{where} has coordinates in {short_json(units)}, expected mm")
    clicks = []
    for number, point in enumerate(points, start=1):
        if point.get("positionStatus", "defined") != "defined":
            continue
        name = f"{where}, point {number} ({short_json(point.get('label'))})"
        label = _label_of(point.get("label")) or _label_of(markup.get("name")) or _label_of(file_name)
        if label is None:
            raise CaseError(
                f"{name} says neither tumor nor background, expected one of them as its label or its list's name"
            )
        clicks.append(_click_at(name, point.get("position"), SIGNS[system], label, geometry))
    return clicks


def _label_of(text: Any) -> Label | None:
    words = re.findall(r"[^\W\d_]+", text.lower()) if isinstance(text, str) else []
    return _LABELS.get(words[0]) if words else None


def _click_at(name: str, position: Any, signs: tuple[float, ...], label: Label, geometry: Geometry) -> Click:
    """A click at a place in mm; messages begin with `name`."""
    if not isinstance(position, list) or len(position) != 3 or not all(_is_number(value) for value in position):
        raise CaseError(f"{name} has the position {short_json(position)}, expected three numbers in mm")
    axes = np.reshape(geometry.direction, (3, 3)) * geometry.spacing
    index = np.linalg.solve(axes, np.multiply(position, signs) - geometry.origin)
    x, y, z = (int(value) for value in np.floor(index + 0.5).clip(-1e9, 1e9))
    if not all(0 <= value < size for value, size in zip((x, y, z), geometry.size, strict=True)):
        raise CaseError(
            f"{name} lies outside the image: {short_json(position)} mm is voxel ({x}, {y}, {z}) of {geometry.size}"
        )
    return Click(x, y, z, label)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and bool(np.isfinite(value))
