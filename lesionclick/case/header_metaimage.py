"""Header of a MetaImage (.mha, .mhd): read strictly, since ITK's own reader trusts what it reads.

Source of the format: the documentation of MetaIO, and what ITK 5.4 makes of its keys. A key that no one knows is left
to ITK, which keeps it as text.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lesionclick.case.image_header import MAX_HEADER_BYTES, ImageHeader, is_neighbor, require_size
from lesionclick.errors import CaseError

ELEMENT_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",  # as ITK reads it, on every machine
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}

_BYTE_ORDER = ("BinaryDataByteOrderMSB", "ElementByteOrderMSB")
_ORIGIN = ("Offset", "Origin", "Position")
_DIRECTION = ("TransformMatrix", "Rotation", "Orientation")

_FLAGS = ("BinaryData", "CompressedData", *_BYTE_ORDER)

_NUMBERS = {  # how many each key has, for three axes
    **dict.fromkeys(("DimSize", "ElementSpacing", "ElementSize", "CenterOfRotation", "ImagePosition", *_ORIGIN), 3),
    **dict.fromkeys(_DIRECTION, 9),
    **dict.fromkeys(("Color", "SequenceID"), 4),
    **dict.fromkeys(("NDims", "HeaderSize", "CompressedDataSize", "CompressionLevel", "ID", "ParentID"), 1),
    **dict.fromkeys(("ElementMin", "ElementMax", "ElementNumberOfChannels"), 1),
    **dict.fromkeys(("ElementToIntensityFunctionSlope", "ElementToIntensityFunctionOffset"), 1),
}

_KNOWN = {
    *_NUMBERS,
    *_FLAGS,
    *("ObjectType", "ObjectSubType", "TransformType", "Name", "Comment", "DistanceUnits", "AnatomicalOrientation"),
    *("AcquisitionDate", "Modality", "ElementType", "ElementDataFile"),
}
"""Keys of MetaIO; any other one ITK keeps as text of any length."""

_MAX_KEY, _MAX_VALUE, _MAX_KEYS = 80, 4000, 1000  # MetaIO's own arrays are longer
_MAX_WORDS = 200  # of what MetaIO knows and keeps in arrays of 255 characters


def read_metaimage(path: Path) -> ImageHeader:
    """What the header of a .mha or .mhd says.

    Raises:
        CaseError: it is no header of a 3D MetaImage with one number a voxel whose data lie in it or, for a .mhd, in
            one file beside it.
        OSError: it cannot be read.
    """
    fields, start = _read_fields(path)
    if fields.get("ObjectType", "Image") != "Image":
        raise CaseError(f"{path}: its ObjectType is {fields['ObjectType']!r}, expected Image")
    (axes,) = _numbers(path, fields, "NDims")
    if axes != 3:
        sizes = " x ".join(fields.get("DimSize", "").split()[:8])
        raise CaseError(f"{path}: is {axes:g}D ({sizes}), expected a 3D image with one number a voxel")
    for key, only in (
        ("HeaderSize", 0),
        ("ElementToIntensityFunctionSlope", 1),
        ("ElementToIntensityFunctionOffset", 0),
    ):
        if key in fields and _numbers(path, fields, key) != (only,):
            raise CaseError(f"{path}: its {key} is {fields[key]!r}, expected {only} or no such entry")
    if "ElementNumberOfChannels" in fields and _numbers(path, fields, "ElementNumberOfChannels") != (1,):
        channels = fields["ElementNumberOfChannels"]
        raise CaseError(f"{path}: is an image with {channels} component(s) a voxel, expected a 3D image with one")
    if fields.get("DistanceUnits", "mm").lower() not in ("mm", "millimeter", "millimeters", "?"):
        raise CaseError(f"{path}: is in {fields['DistanceUnits']!r} by its DistanceUnits, expected mm")
    for key in fields.keys() & _NUMBERS.keys():
        _numbers(path, fields, key)
    size = _whole_numbers(path, fields, "DimSize")
    require_size(path, size, allow_4d=False)
    if "ElementSpacing" not in fields and "ElementSize" not in fields:
        raise CaseError(f"{path}: its header lacks ElementSpacing, so that the size of voxels is unknown")
    spacing = _numbers(path, fields, "ElementSpacing" if "ElementSpacing" in fields else "ElementSize")
    flags = {key: _flag(path, fields, key) for key in _FLAGS}
    if not flags["BinaryData"]:
        raise CaseError(f"{path}: its header does not say BinaryData = True, expected voxels as binary numbers")
    if fields.get("ElementType") not in ELEMENT_TYPES:
        known = ", ".join(ELEMENT_TYPES)
        raise CaseError(f"{path}: its ElementType is {fields.get('ElementType')!r}, expected one of {known}")
    order = ">" if any(flags[key] for key in _BYTE_ORDER) else "<"
    local = fields["ElementDataFile"].upper() == "LOCAL"
    header = ImageHeader(
        path=path,
        library="MetaImageIO",
        size=size,
        spacing=spacing,
        number_format=np.dtype(order + ELEMENT_TYPES[fields["ElementType"]]),
        data=path if local else _neighbor(path, fields["ElementDataFile"]),
        start=start if local else 0,
        compression="zlib" if flags["CompressedData"] else "none",
    )
    if header.compression == "zlib":
        (said,) = _whole_numbers(path, fields, "CompressedDataSize")  # without it ITK gives what was in memory before
        held = header.data.stat().st_size - header.start
        if said != held:
            raise CaseError(
                f"{path}: its CompressedDataSize is {said}, but {header.data.name} holds {held} compressed bytes: it is"
                f" {'truncated' if said > held else 'longer than its header says'} or damaged"
            )
    return header


def _read_fields(path: Path) -> tuple[dict[str, str], int]:
    """The keys with their values, each once, and the number of bytes up to the end of ElementDataFile's line."""
    fields: dict[str, str] = {}
    start = 0
    with path.open("rb") as file:
        while "ElementDataFile" not in fields:
            line = file.readline(_MAX_KEY + _MAX_VALUE + 16)
            start += len(line)
            if not line.endswith(b"\n") or start > MAX_HEADER_BYTES or len(fields) > _MAX_KEYS:
                raise CaseError(
                    f"{path}: is not an image that can be read, its header has no end (a line ElementDataFile = LOCAL)"
                )
            text = line.decode("latin-1").strip()
            if text:
                _add_field(path, fields, text)
    for aliases in (_BYTE_ORDER, _ORIGIN, _DIRECTION):
        given = [key for key in aliases if key in fields]
        if len({fields[key] for key in given}) > 1:
            raise CaseError(f"{path}: its header says {' and '.join(given)}, which differ, expected one of them")
    return fields, start


def _add_field(path: Path, fields: dict[str, str], text: str) -> None:
    found = re.fullmatch(r"([\w|.\- /()\[\],#*+]+?)\s*[=:]\s*(.*)", text, re.ASCII)
    if not found or len(found[1]) > _MAX_KEY or re.search(r"[\x00-\x08\x0a-\x1f\x7f]", text):
        raise CaseError(
            f"{path}: is not an image that can be read, the line {text[:40]!r} of its header is no key = value"
        )
    key, value = found[1], found[2].strip()
    if key in fields:
        raise CaseError(f"{path}: its header says {key} twice, expected it once")
    if len(value) > (_MAX_WORDS if key in _KNOWN else _MAX_VALUE):
        raise CaseError(f"{path}: its header says {key} with {len(value)} characters, expected at most {_MAX_WORDS}")
    fields[key] = value


def _numbers(path: Path, fields: Mapping[str, str], key: str) -> tuple[float, ...]:
    try:
        values = tuple(float(word) for word in fields[key].split())
    except KeyError:
        raise CaseError(f"{path}: its header lacks {key}") from None
    except ValueError:
        values = ()
    count = _NUMBERS[key]
    if len(values) != count or not all(map(math.isfinite, values)) or "_" in fields[key]:
        raise CaseError(f"{path}: its {key} is {fields[key][:60]!r}, expected {count} finite number(s)")
    return values


def _whole_numbers(path: Path, fields: Mapping[str, str], key: str) -> tuple[int, ...]:
    words = fields[key].split() if _numbers(path, fields, key) else []
    if not all(re.fullmatch(r"\d{1,15}", word, re.ASCII) for word in words):
        raise CaseError(f"{path}: its {key} is {fields[key][:60]!r}, expected whole numbers")
    return tuple(map(int, words))


def _flag(path: Path, fields: Mapping[str, str], key: str) -> bool:
    value = fields.get(key, "False")
    if value.lower() not in ("true", "false", "t", "f", "1", "0"):
        raise CaseError(f"{path}: its {key} is {value[:60]!r}, expected True or False")
    return value[0] in "tT1"


def _neighbor(path: Path, name: str) -> Path:
    """The file beside a .mhd that holds its voxels."""
    if path.suffix.lower() != ".mhd":
        raise CaseError(f"{path}: its voxels are in {name[:80]!r} by its ElementDataFile, expected LOCAL in a .mha")
    if not is_neighbor(path, name) or re.match(r"LIST\b", name, re.I):
        raise CaseError(
            f"{path}: its ElementDataFile is {name[:80]!r}, expected LOCAL or the name of one file beside it"
        )
    return path.with_name(name)
