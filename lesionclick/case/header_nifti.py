"""Header of a NIfTI file (.nii, .nii.gz, .hdr with .img): its numbers checked before ITK's reader sees them.

Source of the layout: nifti1.h and nifti2.h of the NIfTI standard. What of qform and sform says where voxels lie is
left to ITK, which nnU-Net reads by, too.
"""

import gzip
import math
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lesionclick.case.image_header import ImageHeader, in_words, require_size
from lesionclick.errors import CaseError
from lesionclick.files import describe_error

NUMBER_FORMATS = {
    2: "u1",
    4: "i2",
    8: "i4",
    16: "f4",
    64: "f8",
    256: "i1",
    512: "u2",
    768: "u4",
    1024: "i8",
    1280: "u8",
}
"""By the standard's code; what it also has are complex numbers, colors, single bits and 128 bit."""

_MAX_OFFSET = 64 << 20  # of the voxels: extensions come before them

# name: (format and offset in NIfTI-1, format and offset in NIfTI-2)
_FIELDS = {
    "dim": (("8h", 40), ("8q", 16)),
    "datatype": (("h", 70), ("h", 12)),
    "bitpix": (("h", 72), ("h", 14)),
    "pixdim": (("8f", 76), ("8d", 104)),
    "vox_offset": (("f", 108), ("q", 168)),
    "scl_slope": (("f", 112), ("d", 176)),
    "scl_inter": (("f", 116), ("d", 184)),
    "xyzt_units": (("B", 123), ("i", 500)),
    "qform_code": (("h", 252), ("i", 344)),
    "sform_code": (("h", 254), ("i", 348)),
    "quatern": (("3f", 256), ("3d", 352)),
    "qoffset": (("3f", 268), ("3d", 376)),
    "srow": (("12f", 280), ("12d", 400)),
}
_SIZES = (348, 540)
_SPATIAL_UNITS, _UNIT_NAMES = 0x07, {1: "meters", 3: "micrometers"}


def read_nifti(path: Path, allow_4d: bool) -> ImageHeader:
    """What the header of a NIfTI file says.

    Args:
        path: a .nii, .nii.gz or .hdr.
        allow_4d: whether it may hold several volumes.

    Raises:
        CaseError: it is no header of a 3D image with one number a voxel, or contradicts itself.
        OSError: it cannot be read.
    """
    if path.suffix.lower() == ".gz" and path.with_suffix("").exists():
        twin = path.with_suffix("").name
        raise CaseError(f"{path}: lies beside {twin}, which SimpleITK reads in its place, expected one of them")
    is_gzip = _is_gzip(path)
    start = _first_bytes(path, is_gzip, max(_SIZES) + 4)
    field, version, order = _layout(path, start)
    single = path.suffix.lower() != ".hdr"
    magic = start[344:348] if version == 0 else start[4:8]
    if magic != f"n{'+' if single else 'i'}{version + 1}\0".encode():
        if magic.strip(b"\0") == b"" and version == 0:
            raise CaseError(f"{path}: is Analyze 7.5, which does not say where voxels lie in the world, expected NIfTI")
        raise CaseError(
            f"{path}: is not an image that can be read, its NIfTI header says {magic!r} where it names its kind"
        )
    size = _size(path, field("dim"), allow_4d)
    (code,), (bits,) = field("datatype"), field("bitpix")
    if code not in NUMBER_FORMATS:
        raise CaseError(f"{path}: its datatype is {code}, expected one of {', '.join(map(str, NUMBER_FORMATS))}")
    number_format = np.dtype(order + NUMBER_FORMATS[code])
    if bits != 8 * number_format.itemsize:
        raise CaseError(f"{path}: its bitpix is {bits}, but its datatype {code} has {8 * number_format.itemsize} bits")
    spacing = tuple(field("pixdim")[1:4])
    _require_geometry(path, field, spacing)
    for name in ("scl_slope", "scl_inter"):
        if math.isinf(*field(name)):
            raise CaseError(f"{path}: its {name} is infinite, expected a finite number")
    data = path if single else _body(path)
    (offset,) = field("vox_offset")
    least = _SIZES[version] + 4 if single else 0
    if not (math.isfinite(offset) and offset == int(offset) and least <= offset <= _MAX_OFFSET):
        raise CaseError(f"{path}: its vox_offset is {offset:g}, expected {least} or, with extensions, a little more")
    packed = is_gzip if single else _is_gzip(data)
    scale = (field("scl_slope")[0], field("scl_inter")[0])
    return ImageHeader(
        path=path,
        library="NiftiImageIO",
        size=size,
        spacing=spacing,
        number_format=number_format,
        data=data,
        start=int(offset),
        compression="gzip" if packed else "none",
        whole_file=packed,
        scaled=scale[0] != 0 and not math.isnan(scale[0]) and scale != (1, 0),
    )


def _is_gzip(path: Path) -> bool:
    """Whether a file is compressed, whatever its name says: ITK goes by its first bytes where the name ends with gz."""
    with path.open("rb") as file:
        starts_like_gzip = file.read(2) == b"\x1f\x8b"
    return starts_like_gzip and path.suffix.lower() == ".gz"


def _first_bytes(path: Path, is_gzip: bool, count: int) -> bytes:
    if not is_gzip:
        with path.open("rb") as file:
            return file.read(count)
    try:
        with gzip.open(path) as stream:
            return stream.read(count)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise CaseError(
            f"{path}: is not an image that can be read, its gzip is damaged: {describe_error(error)}"
        ) from None


def _layout(path: Path, start: bytes) -> tuple[Callable[[str], tuple[Any, ...]], int, str]:
    """How to get at a field, which of the two versions it is (0 or 1), and the order of bytes, "<" or ">"."""
    for order in "<>":
        for version, size in enumerate(_SIZES):
            if len(start) >= size and struct.unpack(f"{order}i", start[:4]) == (size,):

                def field(name: str, order: str = order, version: int = version) -> tuple[Any, ...]:
                    form, offset = _FIELDS[name][version]
                    return struct.unpack_from(order + form, start, offset)

                return field, version, order
    raise CaseError(f"{path}: is not an image that can be read, it does not begin with a NIfTI header")


def _size(path: Path, dim: tuple[int, ...], allow_4d: bool) -> tuple[int, ...]:
    axes = dim[0]
    if not 1 <= axes <= 7 or min(dim[1 : axes + 1]) < 1:
        raise CaseError(f"{path}: its dim is {list(dim)}, expected a number of axes and one or more voxels along each")
    size = dim[1 : axes + 1]
    while len(size) > 3 and size[-1] == 1:  # a series of one volume is a volume
        size = size[:-1]
    require_size(path, size, allow_4d)
    return size


def _require_geometry(path: Path, field: Callable[[str], tuple[Any, ...]], spacing: tuple[float, ...]) -> None:
    """Raises CaseError where numbers of the geometry are not finite or contradict each other."""
    if not all(math.isfinite(length) and length > 0 for length in spacing):
        raise CaseError(f"{path}: its pixdim has voxels of {in_words(spacing)}, expected positive numbers of mm")
    unit = field("xyzt_units")[0] & _SPATIAL_UNITS
    if unit not in (0, 2):
        raise CaseError(f"{path}: is in {_UNIT_NAMES.get(unit, 'an unknown unit')} by its xyzt_units, expected mm")
    quaternion, offset, rows = field("quatern"), field("qoffset"), field("srow")
    if field("qform_code")[0] > 0:
        if not all(map(math.isfinite, (*quaternion, *offset))):
            raise CaseError(f"{path}: its qform holds NaN or infinite values, expected finite ones")
        if sum(value**2 for value in quaternion) > 1.001:
            raise CaseError(f"{path}: its qform's quaternion is {list(quaternion)}, which is no rotation")
    if field("sform_code")[0] > 0:
        if not all(map(math.isfinite, rows)):
            raise CaseError(f"{path}: its sform holds NaN or infinite values, expected finite ones")
        lengths = [math.hypot(*rows[axis::4]) for axis in range(3)]
        if not all(math.isclose(*pair, rel_tol=2e-3) for pair in zip(lengths, spacing, strict=True)):
            raise CaseError(
                f"{path}: its sform has voxels of {in_words(lengths)} mm, but its pixdim says {in_words(spacing)} mm"
            )


def _body(path: Path) -> Path:
    """The file beside a .hdr that holds its voxels."""
    for ending in (".img", ".img.gz"):
        if path.with_suffix(ending).exists():
            return path.with_suffix(ending)
    raise CaseError(f"{path.with_suffix('.img')}: is missing, which holds the voxels of {path.name}")
