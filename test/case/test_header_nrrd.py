"""Headers of NRRD files that lie."""

from pathlib import Path

import pytest
from helpers_images import ARRAY, nrrd_header, read_in_process

from lesionclick.case.headers import read_header
from lesionclick.errors import CaseError

HOSTILE_NRRD: dict[str, tuple[dict[str, str | None], str]] = {
    "another file": ({"data_file": "secret.raw"}, "'secret.raw' by its data file, expected them in the .nrrd itself"),
    "a list": ({"data_file": "LIST"}, "expected them in the .nrrd itself"),
    "a pattern": ({"datafile": "%d.raw 1 6 1"}, "expected them in the .nrrd itself"),
    "fewer": ({"sizes": "4 5 5"}, "(100 bytes), but image.nrrd holds 120 bytes"),
    "more": ({"sizes": "4 5 7"}, "(140 bytes), but image.nrrd holds 120 bytes"),
    "negative": ({"sizes": "4 5 -6"}, "its sizes is '4 5 -6', expected whole numbers"),
    "vector": ({"sizes": "2 2 5 6", "dimension": "4"}, "is 4D (2 x 2 x 5 x 6)"),
    "kinds": ({"kinds": "vector domain domain"}, "expected three of domain"),
    "dimension": ({"dimension": "100000"}, "its dimension is '100000', but its sizes are '4 5 6'"),
    "sheared": ({"space_directions": "(2,0.2,0) (0,2,0) (0,0,3)"}, "which is sheared or scaled"),
    "no direction": ({"space_directions": "none (0,2,0) (0,0,3)"}, "expected 3 vector(s) of three numbers"),
    "NaN": ({"space_directions": "(nan,0,0) (0,2,0) (0,0,3)"}, "expected finite numbers"),
    "origin": ({"space_origin": "(0,0,1e300)"}, "its origin is (0, 0, 1e+300)"),
    "meters": ({"space_units": '"m" "m" "m"'}, "is in m by its units, expected mm"),
    "unknown space": ({"space": "scanner-xyz-time"}, "its space is 'scanner-xyz-time'"),
    "skip": ({"byte_skip": "-1"}, "its byte skip is '-1', expected 0"),
    "lines": ({"line_skip": "100000"}, "its line skip is '100000', expected 0"),
    "encoding": ({"encoding": "hex"}, "its encoding is 'hex', expected raw or gzip"),
    "block": ({"type": "block", "block_size": "100"}, "its type is 'block'"),
    "unknown": ({"no such": "field"}, "'no such: field' is no field of NRRD"),
    "no grid": ({"space_directions": None}, "lacks 'space directions'"),
}


def test_headers_of_nrrd_that_lie_are_refused(tmp_path: Path) -> None:
    paths = []
    for number, (changes, _) in enumerate(HOSTILE_NRRD.values()):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "secret.raw").write_bytes(ARRAY.tobytes())
        paths.append(folder / "image.nrrd")
        paths[-1].write_bytes(nrrd_header(**changes) + ARRAY.tobytes())
    for (name, (_, message)), found in zip(HOSTILE_NRRD.items(), read_in_process(paths), strict=True):
        assert message in found, name


@pytest.mark.parametrize("name", ["./", "./.", "./..", "./image.nhdr", "image.nhdr", "../other.raw", "./a/b.raw"])
def test_voxels_of_a_detached_header_lie_in_another_file_beside_it(name: str, tmp_path: Path) -> None:
    path = tmp_path / "image.nhdr"
    path.write_bytes(nrrd_header(data_file=name))
    with pytest.raises(CaseError, match=r"its data file is .*, expected the name of one file beside it"):
        read_header(path)
