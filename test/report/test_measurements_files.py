import csv
import json
from pathlib import Path

import numpy as np
import pytest

from lesionclick.case.geometry import Geometry
from lesionclick.errors import CaseError
from lesionclick.report.lesion_files import COLUMNS, UNITS, write_csv, write_json
from lesionclick.report.measurements import LesionTable, measure_lesions


def make_table(organs: bool = False) -> LesionTable:
    """Two lesions of 1 ml and 2 ml, the larger one below the other and in the liver."""
    geometry = Geometry((10, 10, 30), (5.0, 5.0, 5.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    mask = np.zeros(geometry.shape_zyx, dtype=np.uint8)
    mask[4:8, 4:6, 4:6] = 1
    mask[20:22, 4:6, 4:6] = 1
    pet = np.full(mask.shape, 1 / 3, dtype=np.float32)
    organ_numbers = np.zeros_like(mask)
    organ_numbers[:15] = 3
    return measure_lesions(mask, pet, geometry, organ_numbers if organs else None)


EXPECTED_COLUMNS = (
    *("number", "volume_ml", "suv_max", "suv_mean", "suv_peak", "tlg", "centroid_x_voxel", "centroid_y_voxel"),
    *("centroid_z_voxel", "centroid_x_mm", "centroid_y_mm", "centroid_z_mm", "axial_diameter_mm", "organ"),
    *("nearest_organ", "nearest_organ_mm"),
)


@pytest.mark.parametrize("organs", [False, True])
def test_csv_has_a_line_a_lesion_and_always_the_same_columns(organs: bool, tmp_path: Path) -> None:
    write_csv(make_table(organs), tmp_path / "new" / "lesions.csv")
    with (tmp_path / "new" / "lesions.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert tuple(header) == COLUMNS == EXPECTED_COLUMNS
    first, second = (dict(zip(header, row, strict=True)) for row in rows)
    assert (first["number"], first["volume_ml"], first["suv_max"], first["tlg"]) == ("1", "2.0", "0.333333", "0.666667")
    assert (second["number"], second["volume_ml"], second["centroid_z_voxel"]) == ("2", "1.0", "20.5")
    assert (second["centroid_x_mm"], second["centroid_z_mm"]) == ("22.5", "102.5")
    assert (first["organ"], first["nearest_organ_mm"]) == (("liver", "0.0") if organs else ("", ""))
    assert (second["organ"], second["nearest_organ_mm"]) == (("", "30.0") if organs else ("", ""))


def test_json_says_the_same_and_what_all_come_to(tmp_path: Path) -> None:
    table = make_table(organs=True)
    write_csv(table, tmp_path / "lesions.csv")
    write_json(table, tmp_path / "lesions.json")
    content = json.loads((tmp_path / "lesions.json").read_text())
    assert list(content) == ["schema", "units", "case", "lesions"]
    assert content["case"] == {
        "lesion_count": 2,
        "total_volume_ml": 3.0,
        "total_tlg": 1.0,
        "dmax_mm": 75.0,
        "liver": {"suv_mean": 0.333333, "suv_sd": 0.0, "volume_ml": pytest.approx(100, abs=80)},
    }
    with (tmp_path / "lesions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    shown = [{name: "" if value is None else str(value) for name, value in each.items()} for each in content["lesions"]]
    assert shown == rows
    named = {*COLUMNS, *content["case"], *content["case"]["liver"]}
    assert content["units"] == UNITS
    assert named - UNITS.keys() == {"number", "organ", "nearest_organ", "lesion_count", "liver"}
    assert UNITS.keys() <= named


def test_an_empty_table_is_written_too(tmp_path: Path) -> None:
    geometry = Geometry((3, 3, 3), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    table = measure_lesions(np.zeros((3, 3, 3), np.uint8), np.ones((3, 3, 3), np.float32), geometry)
    write_csv(table, tmp_path / "lesions.csv")
    write_json(table, tmp_path / "lesions.json")
    assert (tmp_path / "lesions.csv").read_text() == ",".join(COLUMNS) + "\n"
    content = json.loads((tmp_path / "lesions.json").read_text())
    assert (content["lesions"], content["case"]["dmax_mm"], content["case"]["lesion_count"]) == ([], None, 0)


@pytest.mark.parametrize("write", [write_csv, write_json])
def test_a_file_that_cannot_be_written_is_one_sentence_and_leaves_nothing(write: object, tmp_path: Path) -> None:
    assert callable(write)
    (tmp_path / "file").touch()
    with pytest.raises(CaseError, match="cannot be written"):
        write(make_table(), tmp_path / "file" / "lesions.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
