"""Header of an NRRD file (.nrrd, .nhdr): read strictly before ITK's reader sees it.

Source of the format: the definition of NRRD at teem.sourceforge.net. Pairs `key:=value` are the user's and left alone.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lesionclick.case.image_header import MAX_HEADER_BYTES, ImageHeader, is_neighbor, require_size
from lesionclick.errors import CaseError

_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
NUMBER_FORMATS = {name: code for code, names in _TYPES.items() for name in names}

_SPACES = ("left-posterior-superior", "right-anterior-superior", "left-anterior-superior", "lps", "ras", "las")

_FIELDS = {
    *("type", "dimension", "sizes", "encoding", "endian", "space", "space dimension", "space units", "space origin"),
    *("space directions", "spacings", "thicknesses", "kinds", "centers", "centerings", "units", "labels", "content"),
    *("axis mins", "axismins", "axis maxs", "axismaxs", "min", "max", "old min", "oldmin", "old max", "oldmax"),
    *("measurement frame", "sample units", "sampleunits", "number", "line skip", "lineskip", "byte skip", "byteskip"),
    *("block size", "blocksize", "data file", "datafile"),
}
"""Of the definition; every other one is refused."""

_MAX_LINE = 64 << 10


def read_nrrd(path: Path) -> ImageHeader:
    """What the header of a .nrrd or .nhdr says.

    Raises:
        CaseError: it is no header of a 3D image with one number a voxel whose data lie in it or, for a .nhdr, in one
            file beside it.
        OSError: it cannot be read.
    """
    fields, start = _read_fields(path)
    named = fields.get("data file", "LOCAL")
    data = path if named.upper() == "LOCAL" else _neighbor(path, named)
    size = tuple(map(int, _numbers(path, fields, "sizes", whole=True)))
    if _numbers(path, fields, "dimension", whole=True) != (len(size),):
        raise CaseError(f"{path}: its dimension is {fields['dimension']!r}, but its sizes are {fields['sizes'][:60]!r}")
    require_size(path, size, allow_4d=False)
    if any(kind not in ("domain", "space", "none", "???") for kind in fields.get("kinds", "").lower().split()):
        raise CaseError(f"{path}: its kinds are {fields['kinds'][:80]!r}, expected three of domain: one number a voxel")
    if fields.get("type", "").lower() not in NUMBER_FORMATS:
        raise CaseError(f"{path}: its type is {fields.get('type', '')!r}, expected one such as short, ushort or float")
    encoding = fields.get("encoding", "").lower()
    if encoding not in ("raw", "gzip", "gz"):
        raise CaseError(f"{path}: its encoding is {encoding[:60]!r}, expected raw or gzip")
    number_format = np.dtype(NUMBER_FORMATS[fields["type"].lower()])
    endian = fields.get("endian", "").lower()
    if endian not in ("little", "big") and not (number_format.itemsize == 1 and not endian):
        raise CaseError(f"{path}: its endian is {endian[:60]!r}, expected little or big")
    for name in ("line skip", "byte skip"):
        if fields.get(name, "0") != "0":
            raise CaseError(f"{path}: its {name} is {fields[name][:60]!r}, expected 0 or no such entry")
    return ImageHeader(
        path=path,
        library="NrrdImageIO",
        size=size,
        spacing=_spacing(path, fields),
        number_format=number_format.newbyteorder(">" if endian == "big" else "<"),
        data=data,
        start=start if data == path else 0,
        compression="none" if encoding == "raw" else "gzip",
    )


def _read_fields(path: Path) -> tuple[dict[str, str], int]:
    """The fields with their values, each once, and the number of bytes up to the end of the header's empty line."""
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        if not re.fullmatch(rb"NRRD000[1-6]\r?\n", file.readline(64)):
            raise CaseError(f"{path}: is not an image that can be read, it does not begin as an NRRD file does")
        while line := file.readline(_MAX_LINE):
            if not line.endswith(b"\n") or file.tell() > MAX_HEADER_BYTES:
                break
            text = line.decode("latin-1").strip()
            if not text:
                return _without_aliases(path, fields), file.tell()
            if text.startswith("#") or re.match(r"[^:]+:=", text):
                continue
            name, colon, value = text.partition(": ")
            if not colon or name.lower() not in _FIELDS or "\0" in text:
                raise CaseError(
                    f"{path}: is not an image that can be read, its header's line {text[:40]!r} is no field of NRRD"
                )
            if name.lower() in fields:
                raise CaseError(f"{path}: its header says {name} twice, expected it once")
            fields[name.lower()] = value.strip()
        if not line and path.suffix.lower() == ".nhdr":
            return _without_aliases(path, fields), file.tell()
    raise CaseError(f"{path}: is not an image that can be read, its header does not end with an empty line")


def _without_aliases(path: Path, fields: dict[str, str]) -> dict[str, str]:
    for alias, name in (("datafile", "data file"), ("lineskip", "line skip"), ("byteskip", "byte skip")):
        if alias in fields and name in fields:
            raise CaseError(f"{path}: its header says {name} twice, expected it once")
        if alias in fields:
            fields[name] = fields.pop(alias)
    return fields


def _numbers(path: Path, fields: Mapping[str, str], name: str, whole: bool = False) -> tuple[float, ...]:
    if name not in fields:
        raise CaseError(f"{path}: its header lacks {name!r}")
    words = fields[name].split()
    if whole and not all(re.fullmatch(r"\d{1,15}", word, re.ASCII) for word in words):
        raise CaseError(f"{path}: its {name} is {fields[name][:60]!r}, expected whole numbers")
    return _finite(path, fields, name, words)


def _finite(path: Path, fields: Mapping[str, str], name: str, words: list[str]) -> tuple[float, ...]:
    try:
        values = tuple(map(float, words))
    except ValueError:
        values = ()
    if not values or not all(map(math.isfinite, values)):
        raise CaseError(f"{path}: its {name} is {fields[name][:80]!r}, expected finite numbers")
    return values


def _spacing(path: Path, fields: Mapping[str, str]) -> tuple[float, ...]:
    """Lengths of the voxels' sides, mm; what else says where they lie is checked to be finite numbers."""
    if "space" in fields and fields["space"].lower() not in _SPACES:
        raise CaseError(f"{path}: its space is {fields['space'][:60]!r}, expected one of {', '.join(_SPACES[:3])}")
    units = set(re.findall(r'"([^"]*)"', " ".join(fields.get(name, "") for name in ("units", "space units"))))
    if not units <= {"", "mm", "millimeter", "millimeters"}:
        raise CaseError(f"{path}: is in {', '.join(sorted(units))} by its units, expected mm")
    if "space origin" in fields:
        _vectors(path, fields, "space origin", 1)
    if "space directions" in fields:
        return tuple(math.hypot(*vector) for vector in _vectors(path, fields, "space directions", 3))
    if "spacings" not in fields:
        raise CaseError(f"{path}: its header lacks 'space directions', so that the size of voxels is unknown")
    spacing = _numbers(path, fields, "spacings")
    if len(spacing) != 3:
        raise CaseError(f"{path}: its spacings are {fields['spacings'][:60]!r}, expected three")
    return spacing


def _vectors(path: Path, fields: Mapping[str, str], name: str, count: int) -> list[tuple[float, ...]]:
    text = fields[name]
    found = re.findall(r"\(([^()]*)\)", text)
    vectors = [_finite(path, fields, name, each.split(",")) for each in found]
    if re.sub(r"\([^()]*\)", "", text).strip() or len(vectors) != count or any(len(each) != 3 for each in vectors):
        raise CaseError(f"{path}: its {name} is {text[:80]!r}, expected {count} vector(s) of three numbers")
    return vectors


def _neighbor(path: Path, name: str) -> Path:
    """The file beside a .nhdr that holds its voxels."""
    if path.suffix.lower() != ".nhdr":
        raise CaseError(f"{path}: its voxels are in {name[:80]!r} by its data file, expected them in the .nrrd itself")
    bare = name.removeprefix("./")
    if not is_neighbor(path, bare) or re.match(r"LIST\b", name):
        raise CaseError(f"{path}: its data file is {name[:80]!r}, expected the name of one file beside it")
    return path.with_name(bare)
