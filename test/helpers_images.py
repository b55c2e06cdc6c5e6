"""Images of tests: files whose header says anything, and what becomes of files that are read one after another."""

import json
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lesionclick.case.geometry import Geometry

ARRAY = np.arange(1, 121, dtype=np.uint8).reshape(6, 5, 4)
"""Voxels of the images, z, y, x."""

GRID = Geometry((4, 5, 6), (2.0, 2.0, 3.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1, 0, 0, 0, 1))
"""Where they lie."""

NOISE = np.random.default_rng(0).integers(0, 255, (20, 30, 40)).astype(np.int16)
"""Voxels that hardly compress, z, y, x."""

NiftiChange = tuple[str, int, float | bytes]
"""Format, offset and value of what is written into a header."""

HEADER = {
    "ObjectType": "Image",
    "NDims": "3",
    "BinaryData": "True",
    "BinaryDataByteOrderMSB": "False",
    "CompressedData": "False",
    "TransformMatrix": "1 0 0 0 1 0 0 0 1",
    "Offset": "0 0 0",
    "CenterOfRotation": "0 0 0",
    "AnatomicalOrientation": "RAI",
    "ElementSpacing": "2 2 3",
    "DimSize": "4 5 6",
    "ElementType": "MET_UCHAR",
}


def write_metaimage(
    path: Path,
    changes: dict[str, str | None] | None = None,
    data: bytes = ARRAY.tobytes(),
    last: str = "ElementDataFile = LOCAL\n",
) -> None:
    """Writes a MetaImage of 4 x 5 x 6 bytes.

    Args:
        path: to write.
        changes: values of its header by their keys, None for an entry that is left out.
        data: what follows the header, which says its size where it says that it is compressed.
        last: the header's last line or lines.
    """
    fields = {**HEADER, **(changes or {})}
    if "compresseddata" in last.lower() or (fields["CompressedData"] or "").lower() == "true":
        fields.setdefault("CompressedDataSize", str(len(data)))
    lines = [f"{key} = {value}\n" for key, value in fields.items() if value is not None]
    path.write_bytes("".join([*lines, last]).encode("latin-1") + data)


def nrrd_header(**changes: str | None) -> bytes:
    """The header of an NRRD file of `ARRAY`; None for a field that is left out, and _ for a blank in its name."""
    fields: dict[str, str | None] = {
        "type": "uchar",
        "dimension": "3",
        "space": "left-posterior-superior",
        "sizes": "4 5 6",
        "space directions": "(2,0,0) (0,2,0) (0,0,3)",
        "kinds": "domain domain domain",
        "endian": "little",
        "encoding": "raw",
        "space origin": "(0,0,0)",
        **{key.replace("_", " "): value for key, value in changes.items()},
    }
    lines = [f"{key}: {value}" for key, value in fields.items() if value is not None]
    return ("NRRD0004\n# a comment\n" + "\n".join(lines) + "\nkey:=value\n\n").encode()


def nifti(
    *changes: NiftiChange,
    order: str = "<",
    datatype: int = 2,
    voxels: np.ndarray = ARRAY,
) -> bytes:
    """A NIfTI-1 file of some voxels.

    Args:
        changes: written over the header.
        order: of bytes.
        datatype: 2, 4 or 16, for uint8, int16 and float32.
        voxels: z, y, x.
    """
    header = bytearray(352)
    number_format = {2: "u1", 4: "i2", 16: "f4"}[datatype]
    struct.pack_into(f"{order}i", header, 0, 348)
    struct.pack_into(f"{order}8h", header, 40, 3, *voxels.shape[::-1], 1, 1, 1, 1)
    struct.pack_into(f"{order}2h", header, 70, datatype, 8 * np.dtype(number_format).itemsize)
    struct.pack_into(f"{order}8f", header, 76, 1, 2, 2, 3, 0, 0, 0, 0)
    struct.pack_into(f"{order}3f", header, 108, 352, 1, 0)
    header[123] = 2
    struct.pack_into(f"{order}2h", header, 252, 1, 0)
    header[344:348] = b"n+1\0"
    for form, offset, value in changes:
        struct.pack_into(order + form, header, offset, value)
    return bytes(header) + voxels.astype(order + number_format).tobytes()


_READ = """
import json, sys, resource
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
from pathlib import Path
from lesionclick.case.images import read_image
from lesionclick.errors import CaseError
for path in json.load(sys.stdin):
    try:
        image = read_image(Path(path))
        found = f"read {image.GetSize()}"
    except CaseError as error:
        found = str(error)
    print(json.dumps(found), flush=True)
"""


def read_in_process(paths: Sequence[Path]) -> list[str]:
    """What `read_image` makes of files, in a process of its own that a signal may end: "read" or the error's sentence.

    The list is as long as `paths` only where every file was read or refused.
    """
    process = subprocess.run(
        [sys.executable, "-c", _READ],
        input=json.dumps([str(path) for path in paths]),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert process.returncode == 0, f"exit code {process.returncode} after {process.stdout[-300:]} {process.stderr}"
    return [json.loads(line) for line in process.stdout.splitlines()]
