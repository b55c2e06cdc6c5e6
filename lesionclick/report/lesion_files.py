"""Files of a lesion table: lesions.csv, a line a lesion, and lesions.json, with the case's own figures and all units.

Both hold the same numbers, to six significant digits.
"""

import csv
from pathlib import Path
from typing import Any

from lesionclick import files
from lesionclick.files import replacing
from lesionclick.report.measurements import Lesion, LesionTable

SCHEMA = "lesionclick-lesions-1"
"""Of lesions.json: the number goes up when a key changes its name or its meaning."""

UNITS = {
    "volume_ml": "ml",
    "suv_max": "g/ml",
    "suv_mean": "g/ml",
    "suv_peak": "g/ml",
    "suv_sd": "g/ml",
    "tlg": "g/ml x ml",
    "centroid_x_voxel": "voxels from 0",
    "centroid_y_voxel": "voxels from 0",
    "centroid_z_voxel": "voxels from 0",
    "centroid_x_mm": "mm to the left",
    "centroid_y_mm": "mm to the back",
    "centroid_z_mm": "mm to the head",
    "axial_diameter_mm": "mm",
    "nearest_organ_mm": "mm",
    "total_volume_ml": "ml",
    "total_tlg": "g/ml x ml",
    "dmax_mm": "mm",
}

COLUMNS = (
    "number",
    "volume_ml",
    "suv_max",
    "suv_mean",
    "suv_peak",
    "tlg",
    "centroid_x_voxel",
    "centroid_y_voxel",
    "centroid_z_voxel",
    "centroid_x_mm",
    "centroid_y_mm",
    "centroid_z_mm",
    "axial_diameter_mm",
    "organ",
    "nearest_organ",
    "nearest_organ_mm",
)
"""Of lesions.csv, in this order, whether or not organs are known."""


def write_csv(table: LesionTable, path: Path) -> None:
    """Writes a line a lesion under a line of `COLUMNS`; what is not known is left empty.

    Raises:
        CaseError: the file cannot be written.
    """
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lesion_row(lesion) for lesion in table.lesions)


def write_json(table: LesionTable, path: Path) -> None:
    """Writes the same as an object: `schema`, `units`, `case` and `lesions`; what is not known is null.

    Raises:
        CaseError: the file cannot be written.
    """
    content = {
        "schema": SCHEMA,
        "units": UNITS,
        "case": case_figures(table),
        "lesions": [lesion_row(lesion) for lesion in table.lesions],
    }
    files.write_json(content, path)


def lesion_row(lesion: Lesion) -> dict[str, int | float | str | None]:
    """A lesion's figures under the names of `COLUMNS`, in that order, to six significant digits."""
    centroids = {
        f"centroid_{axis}_{unit}": value
        for unit, point in (("voxel", lesion.centroid_voxel), ("mm", lesion.centroid_mm))
        for axis, value in zip("xyz", point, strict=True)
    }
    return {name: _rounded(centroids[name] if name in centroids else getattr(lesion, name)) for name in COLUMNS}


def case_figures(table: LesionTable) -> dict[str, Any]:
    """What all lesions of a case come to, and the liver's uptake: the entry `case` of lesions.json."""
    liver = table.liver
    measured = ("suv_mean", "suv_sd", "volume_ml")
    return {
        "lesion_count": len(table.lesions),
        "total_volume_ml": _rounded(table.total_volume_ml),
        "total_tlg": _rounded(table.total_tlg),
        "dmax_mm": _rounded(table.dmax_mm),
        "liver": None if liver is None else {name: _rounded(getattr(liver, name)) for name in measured},
    }


def _rounded(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value
