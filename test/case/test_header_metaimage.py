"""Headers of MetaImages as public bug reports and attackers have them, and honest ones of other programs."""

import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from helpers_images import ARRAY, GRID, read_in_process, write_metaimage

from lesionclick.case.geometry import Geometry
from lesionclick.case.images import read_image
from lesionclick.errors import CaseError

HOSTILE: dict[str, tuple[dict[str, str | None], str]] = {
    "fewer slices than data": ({"DimSize": "4 5 5"}, "(100 bytes), but image.mha holds 120 bytes of voxels"),
    "more slices than data": ({"DimSize": "4 5 7"}, "(140 bytes), but image.mha holds 120 bytes of voxels"),
    "empty axis": ({"DimSize": "4 5 0"}, "has 4 x 5 x 0 voxels, expected at least one along each axis"),
    "negative size": ({"DimSize": "4 5 -6"}, "its DimSize is '4 5 -6', expected whole numbers"),
    "size that overflows": ({"DimSize": "4294967296 4294967296 4"}, "but image.mha holds 120 bytes of voxels"),
    "size of words": ({"DimSize": "four 5 6"}, "its DimSize is 'four 5 6', expected 3 finite number(s)"),
    "two sizes": ({"DimSize": "20 6"}, "expected 3 finite number(s)"),
    "no size": ({"DimSize": None}, "its header lacks DimSize"),
    "NDims -1": ({"NDims": "-1"}, "is -1D (4 x 5 x 6), expected a 3D image"),
    "NDims 100": ({"NDims": "100"}, "is 100D"),
    "NDims 100000": ({"NDims": "100000"}, "is 100000D"),
    "NDims 4": ({"NDims": "4", "DimSize": "4 5 6 1"}, "is 4D (4 x 5 x 6 x 1)"),
    "no NDims": ({"NDims": None}, "its header lacks NDims"),
    "long name": ({"Name": "x" * 300}, "says Name with 300 characters, expected at most 200"),
    "long comment": ({"Comment": "x" * 1000}, "says Comment with 1000 characters"),
    "long modality": ({"Modality": "x" * 600}, "says Modality with 600 characters"),
    "long unknown value": ({"Other": "x" * 100_000}, "is not an image that can be read"),
    "negative spacing": ({"ElementSpacing": "2 -2 3"}, "has voxels of 2 x -2 x 3 mm, expected 0.1 to 50 mm"),
    "zero spacing": ({"ElementSpacing": "2 2 0"}, "has voxels of 2 x 2 x 0 mm"),
    "spacing NaN": ({"ElementSpacing": "2 nan 3"}, "its ElementSpacing is '2 nan 3', expected 3 finite number(s)"),
    "meters": ({"ElementSpacing": "0.002 0.002 0.003"}, "expected 0.1 to 50 mm along each axis"),
    "micrometers": ({"ElementSpacing": "2000 2000 3000"}, "expected 0.1 to 50 mm along each axis"),
    "spacing 1e300": ({"ElementSpacing": "1e300 2 3"}, "has voxels of 1e+300 x 2 x 3 mm"),
    "unknown spacing": ({"ElementSpacing": None}, "lacks ElementSpacing, so that the size of voxels is unknown"),
    "inches": ({"DistanceUnits": "in"}, "is in 'in' by its DistanceUnits, expected mm"),
    "offset x": ({"Offset": "x"}, "its Offset is 'x', expected 3 finite number(s)"),
    "offset NaN": ({"Offset": "0 0 nan"}, "its Offset is '0 0 nan', expected 3 finite number(s)"),
    "offset 1e300": ({"Offset": "0 0 1e300"}, "its origin is (0, 0, 1e+300), expected less than 1 km"),
    "two offsets": ({"Origin": "1 2 3"}, "says Offset and Origin, which differ"),
    "sheared": ({"TransformMatrix": "1 0.1 0 0 1 0 0 0 1"}, "which is sheared or scaled, expected orthonormal axes"),
    "scaled": ({"TransformMatrix": "2 0 0 0 1 0 0 0 1"}, "which is sheared or scaled"),
    "flat": ({"TransformMatrix": "1 0 0 1 0 0 0 0 1"}, "image.mha: "),
    "matrix of 8": ({"TransformMatrix": "1 0 0 0 1 0 0 0"}, "expected 9 finite number(s)"),
    "header size": ({"HeaderSize": "1000000000000000"}, "its HeaderSize is '1000000000000000', expected 0"),
    "header size -1": ({"HeaderSize": "-1"}, "its HeaderSize is '-1', expected 0 or no such entry"),
    "header size -2": ({"HeaderSize": "-2"}, "its HeaderSize is '-2', expected 0"),
    "channels": ({"ElementNumberOfChannels": "2"}, "is an image with 2 component(s) a voxel"),
    "no channels": ({"ElementNumberOfChannels": "0"}, "is an image with 0 component(s) a voxel"),
    "slope": ({"ElementToIntensityFunctionSlope": "2"}, "its ElementToIntensityFunctionSlope is '2', expected 1"),
    "text": ({"BinaryData": "False"}, "does not say BinaryData = True"),
    "type": ({"ElementType": "MET_OTHER"}, "its ElementType is 'MET_OTHER', expected one of MET_CHAR, "),
    "array": ({"ElementType": "MET_UCHAR_ARRAY"}, "its ElementType is 'MET_UCHAR_ARRAY'"),
    "flag": ({"CompressedData": "perhaps"}, "its CompressedData is 'perhaps', expected True or False"),
    "compressed size": ({"CompressedData": "True", "CompressedDataSize": "99999999999"}, "CompressedDataSize is 9999"),
    "not compressed": ({"CompressedData": "True"}, "image.mha: its "),
    "no compressed size": (
        {"CompressedData": "True", "CompressedDataSize": None},
        "its header lacks CompressedDataSize",
    ),
    "object": ({"ObjectType": "Tube"}, "its ObjectType is 'Tube', expected Image"),
}


LAST_LINES: dict[str, tuple[str, str]] = {
    "another file": ("ElementDataFile = secret.raw\n", "by its ElementDataFile, expected LOCAL in a .mha"),
    "an absolute path": ("ElementDataFile = /etc/passwd\n", "expected LOCAL in a .mha"),
    "a list": ("ElementDataFile = LIST\nsecret.raw\n", "expected LOCAL in a .mha"),
    "a pattern": ("ElementDataFile = secret%03d.raw 1 6 1\n", "expected LOCAL in a .mha"),
    "percent n": ("ElementDataFile = %n\n", "expected LOCAL in a .mha"),
    "percent s": ("ElementDataFile = %s%s%n 1 2 1\n", "expected LOCAL in a .mha"),
    "nothing": ("ElementDataFile =\n", "expected LOCAL in a .mha"),
    "no end": ("", "of its header is no key = value"),
    "twice": ("NDims = 3\nElementDataFile = LOCAL\n", "says NDims twice"),
    "hidden": (
        "Comment = a\rElementDataFile = secret.raw\nElementDataFile = LOCAL\n",
        "of its header is no key = value",
    ),
    "no key": ("hello\nElementDataFile = LOCAL\n", "the line 'hello' of its header is no key = value"),
    "long key": (f"{'K' * 300} = 1\nElementDataFile = LOCAL\n", "of its header is no key = value"),
    "endless line": ("K" * 2_000_000, "its header has no end"),
}


def test_headers_of_metaimages_that_lie_are_refused(tmp_path: Path) -> None:
    """In a process of its own, since some of them made it die of a signal inside ITK, or wait."""
    cases: list[tuple[str, str, dict[str, Any]]] = []
    for name, (changes, message) in HOSTILE.items():
        cases.append((name, message, {"changes": changes}))
    for name, (last, message) in LAST_LINES.items():
        cases.append((name, message, {"last": last}))
    paths = []
    for number, (_, _, arguments) in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "secret.raw").write_bytes(ARRAY.tobytes())
        write_metaimage(folder / "image.mha", **arguments)
        paths.append(folder / "image.mha")
    for (name, message, _), path, found in zip(cases, paths, read_in_process(paths), strict=True):
        assert found.startswith(f"{path}: "), (name, found)
        assert message in found, name
        assert "\n" not in found, name


NAMES: dict[str, tuple[str, str]] = {
    "absolute": ("/etc/passwd", "expected LOCAL or the name of one file beside it"),
    "above": ("../data.raw", "expected LOCAL or the name of one file beside it"),
    "list": ("LIST", "expected LOCAL or the name of one file beside it"),
    "pattern": ("data%d.raw 1 6 1", "expected LOCAL or the name of one file beside it"),
    "itself": ("image.mhd", "expected LOCAL or the name of one file beside it"),
    "missing": ("none.raw", "none.raw: the file is missing, expected the voxels of image.mhd"),
    "pipe": ("pipe.raw", "pipe.raw: is a pipe, a socket or a device, expected the voxels of image.mhd"),
    "folder": ("folder", "folder: is a folder, expected the voxels"),
    "link": ("link.raw", "link.raw: is a link, expected a file with the voxels of image.mhd"),
    "short": ("short.raw", "(120 bytes), but short.raw holds 119 bytes"),
}


def test_a_detached_header_names_one_file_beside_it(tmp_path: Path) -> None:
    inside = tmp_path / "case"
    inside.mkdir()
    for path in (tmp_path / "data.raw", inside / "data.raw"):
        path.write_bytes(ARRAY.tobytes())
    (inside / "short.raw").write_bytes(ARRAY.tobytes()[:-1])
    (inside / "folder").mkdir()
    (inside / "link.raw").symlink_to(tmp_path / "data.raw")
    os.mkfifo(inside / "pipe.raw")
    path = inside / "image.mhd"
    write_metaimage(path, data=b"", last="ElementDataFile = data.raw\n")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_image(path)), ARRAY)
    for name, message in NAMES.values():
        write_metaimage(path, data=b"", last=f"ElementDataFile = {name}\n")
        with pytest.raises(CaseError) as error:
            read_image(path)
        assert message in str(error.value), name


HONEST: dict[str, dict[str, str | None]] = {
    "few entries": dict.fromkeys(("ObjectType", "CenterOfRotation", "AnatomicalOrientation", "TransformMatrix")),
    "other spellings": {"Offset": None, "Position": "0 0 0", "BinaryData": "true", "CompressedData": "false"},
    "size of elements": {"ElementSpacing": None, "ElementSize": "2 2 3"},
    "zero header": {"HeaderSize": "0", "ElementNumberOfChannels": "1", "Modality": "MET_MOD_CT", "Comment": "ähnlich"},
    "DICOM's": {"0008|103e": "CT " * 300, "ITK_InputFilterName": "GDCMImageIO", "PatientName": "A=B: %n %s"},
}


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("changes", HONEST.values(), ids=HONEST)
@pytest.mark.parametrize(
    "last", ["ElementDataFile = LOCAL\n", "ElementDataFile=LOCAL\n", "ElementDataFile = LOCAL\r\n"]
)
def test_metaimages_of_other_programs_are_read(
    changes: dict[str, str | None], last: str, compressed: bool, tmp_path: Path
) -> None:
    path = tmp_path / "image.mha"
    if compressed:
        changes = {**changes, "CompressedData": "true"}
    write_metaimage(path, changes, zlib.compress(ARRAY.tobytes()) if compressed else ARRAY.tobytes(), last)
    image = read_image(path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), ARRAY)
    assert Geometry.of(image) == GRID
