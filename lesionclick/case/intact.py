"""Intactness of compressed voxels: ITK fills what is missing with zeros, and looks at no checksum."""

import gzip
import os
import struct
import zlib
from collections.abc import Iterator

import numpy as np

from lesionclick.case.image_header import ImageHeader
from lesionclick.errors import CaseError
from lesionclick.files import describe_error

_CHUNK = 1 << 20


def require_intact(header: ImageHeader, stored_zyx: np.ndarray) -> None:
    """Checks that voxels are what their file holds, all of it.

    The checksum at the file's end is compared with that of the voxels, which costs little. Only where they differ, as
    they do where values are scaled, is everything unpacked once more, to see what is the matter.

    Args:
        header: of the image.
        stored_zyx: its voxels as ITK read them.

    Raises:
        CaseError: the compressed data are damaged, cut short, longer than the header says or followed by others, or
            ITK made something else of them.
    """
    if header.compression == "none":
        return
    voxels = None if header.scaled else stored_zyx.astype(header.number_format, copy=False)
    try:
        if voxels is None or not _ends_with_checksum_of(header, voxels):
            _unpack_all(header, voxels)
    except OSError as error:
        raise CaseError(f"{header.data}: cannot be read: {describe_error(error)}") from error


def _ends_with_checksum_of(header: ImageHeader, voxels: np.ndarray) -> bool:
    with header.data.open("rb") as file:
        if header.compression == "zlib":
            file.seek(-4, os.SEEK_END)  # zlib's format (RFC 1950) ends with the Adler-32 of the uncompressed bytes
            return int.from_bytes(file.read(4), "big") == zlib.adler32(voxels.data)
        file.seek(-8, os.SEEK_END)  # gzip's (RFC 1952) with their CRC-32 and their number
        checksum, size = struct.unpack("<II", file.read(8))
        if size != header.unpacked_bytes % 2**32:
            return False
        before = b""
        if header.whole_file:
            file.seek(0)
            with gzip.open(file) as stream:
                before = stream.read(header.start)
        return bool(zlib.crc32(voxels.data, zlib.crc32(before)) == checksum)


def _unpack_all(header: ImageHeader, voxels: np.ndarray | None) -> None:
    """Raises CaseError with the reason why compressed data are not what header and voxels say; none where they are."""
    before = header.start if header.whole_file else 0
    expected, found, checksum = header.unpacked_bytes, 0, 0
    try:
        for chunk in _unpacked_chunks(header):
            checksum = zlib.crc32(chunk[max(0, before - found) :], checksum)
            found += len(chunk)
            if found > expected:
                raise _WrongError(f"they are longer than the {expected} bytes that its header says")
        if found < expected:
            raise _WrongError(f"they are {found} bytes, but its header says {expected}")
        if voxels is not None and checksum != zlib.crc32(voxels.data):
            raise _WrongError("or SimpleITK makes other voxels of them than they hold")
    except (_WrongError, OSError, EOFError, zlib.error) as error:
        if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
            raise
        raise CaseError(f"{header.path}: its compressed voxels are damaged, {describe_error(error)}") from None


class _WrongError(Exception):
    """What is wrong with compressed data."""


def _unpacked_chunks(header: ImageHeader) -> Iterator[bytes]:
    with header.data.open("rb") as file:
        file.seek(0 if header.whole_file else header.start)
        if header.compression == "gzip":
            with gzip.open(file) as stream:
                while chunk := stream.read(_CHUNK):
                    yield chunk
            return
        inflater = zlib.decompressobj()
        while not inflater.eof:
            packed = inflater.unconsumed_tail or file.read(_CHUNK)
            if not packed:
                raise _WrongError("they end too early")
            yield inflater.decompress(packed, _CHUNK)
        if trailing := len(inflater.unused_data) + len(file.read()):
            raise _WrongError(f"{trailing} byte(s) follow their end")
