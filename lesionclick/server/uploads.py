"""Uploads: files that were sent become those of a case, within bounds, and refer to nothing outside of themselves.

A name that was sent decides the format alone. A small file can stand for a huge image (2 GB of zeros are 2 MB of gzip),
and the header of an image can name another file to read voxels from: both are found before any voxel is read.
"""

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import BinaryIO

from lesionclick.case.headers import read_header
from lesionclick.case.image_header import in_words
from lesionclick.errors import CaseError
from lesionclick.server.problems import NoRoomError, NotAnImageError, ServerError, TooLargeError
from lesionclick.server.room import require_room

ENDINGS = (".nii.gz", ".nii", ".mha", ".nrrd")
"""Of the formats that are taken: one file an image, which says where its voxels lie in the world."""

MAX_IMAGE_BYTES = 1 << 30
"""Of an image, unpacked; a CT of 1300 slices of 512 x 512 has 0.7 GB."""

MAX_VOXELS = 1 << 29
"""Of an image: each takes 4 bytes of memory, however few it has in the file."""

MAX_CLICKS_BYTES = 16 << 20

_MAX_HEADER = 1 << 16

_CHUNK = 1 << 20


def store_image(source: BinaryIO, filename: str, folder: Path, kind: str) -> Path:
    """Puts an image into a folder, unpacked where it was a .nii.gz.

    Args:
        source: what was sent.
        filename: as it was called there.
        folder: must exist.
        kind: "ct" or "pet", the file's name in the folder.

    Raises:
        NotAnImageError, TooLargeError, NoRoomError, ServerError: it is not taken.
    """
    words = {"ct": "the CT", "pet": "the PET"}[kind]
    ending = next((each for each in ENDINGS if filename.lower().endswith(each)), None)
    if ending is None:
        raise NotAnImageError(f"{words}: its name does not end with one of {', '.join(ENDINGS)}")
    require_room(folder, MAX_IMAGE_BYTES)
    path = folder / f"{kind}{'.nii' if ending == '.nii.gz' else ending}"
    try:
        with path.open("xb") as target:
            if ending == ".nii.gz":
                with gzip.open(source) as unpacked:
                    _copy(unpacked, target, MAX_IMAGE_BYTES + _MAX_HEADER, words)
            else:
                _copy(source, target, MAX_IMAGE_BYTES + _MAX_HEADER, words)
            target.flush()
            os.fsync(target.fileno())  # a case that the store has comes through a power cut, too
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise ServerError(f"{words}: its gzip is damaged or cut short") from None
    except OSError as error:
        raise NoRoomError(f"{words}: could not be stored: {error.strerror}") from error
    _require_bounded(path, words)
    return path


def store_clicks(source: BinaryIO, filename: str, folder: Path) -> Path:
    """Puts a file of clicks into a folder, see `read_click_files` for the formats.

    Raises:
        TooLargeError: it is too large.
    """
    path = folder / ("clicks.mrk.json" if filename.lower().endswith(".mrk.json") else "clicks.json")
    with path.open("xb") as target:
        _copy(source, target, MAX_CLICKS_BYTES, "the file of clicks")
    return path


def _copy(source: "BinaryIO | gzip.GzipFile", target: BinaryIO, limit: int, words: str) -> None:
    copied = 0
    while chunk := source.read(_CHUNK):
        copied += len(chunk)
        if copied > limit:
            raise TooLargeError(f"{words}: has more than {limit >> 20} MB unpacked")
        target.write(chunk)


def _require_bounded(path: Path, words: str) -> None:
    try:
        header = read_header(path)
    except CaseError as error:
        raise NotAnImageError(f"{words}: {str(error).removeprefix(f'{path}: ')}") from None
    voxels, unpacked = math.prod(header.size), header.voxel_bytes
    if voxels > MAX_VOXELS or unpacked > MAX_IMAGE_BYTES:
        size = in_words(header.size)
        raise TooLargeError(
            f"{words}: has {size} voxels, {unpacked >> 20} MB unpacked; at most {MAX_IMAGE_BYTES >> 20} MB "
            f"and {MAX_VOXELS >> 20} million voxels are taken"
        )
