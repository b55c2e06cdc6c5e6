"""Frames of the nnInteractive protocol: one array as bytes, compressed in chunks with Blosc2.

Little endian without padding: "NNIA", format version, codec, number of dimensions and length of the number format's
name (a byte each), that name, the shape (int64 each), the number of chunks (uint32), and before each chunk its
length unpacked and packed (uint64 each). Chunks follow each other in C order.
"""

import math
import struct
from typing import Any

import blosc2
import numpy as np

from lesionclick.server.problems import ServerError, TooLargeError

MAGIC = b"NNIA"

VERSION = 1

ZSTANDARD = 1  # as the frame's head says it; a chunk says it again for itself

CODECS = (ZSTANDARD, 2)  # the other one is LZ4

CHUNK_BYTES = 1 << 30  # Blosc2 takes less than 2 GiB at a time

# that an image or a mask may have; looked up and not parsed, since numpy tries hard to read a format out of any text
NUMBER_FORMATS = {
    name.encode("ascii"): np.dtype(name).newbyteorder("<")
    for name in [
        "bool",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "float16",
        "float32",
        "float64",
    ]
}

HEAD = struct.Struct("<4s4B")

COUNT = struct.Struct("<I")

LENGTHS = struct.Struct("<2Q")

LEAST_CHUNK = 16  # bytes of a chunk's own head


class FrameError(ServerError):
    """Bytes that are no frame."""

    status = 400


def pack(array: np.ndarray) -> bytes:
    """A frame of an array that has at least one element."""
    array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    name = array.dtype.name.encode("ascii")
    content = array.reshape(-1).view(np.uint8).data
    starts = range(0, len(content), CHUNK_BYTES)
    head = HEAD.pack(MAGIC, VERSION, ZSTANDARD, array.ndim, len(name))
    parts = [head, name, struct.pack(f"<{array.ndim}q", *array.shape), COUNT.pack(len(starts))]
    for start in starts:
        piece = content[start : start + CHUNK_BYTES]
        # with another item size a chunk of zeros could not be unpacked again
        chunk = blosc2.compress2(piece, typesize=array.itemsize, codec=blosc2.Codec.ZSTD, clevel=3)
        parts += [LENGTHS.pack(len(piece), len(chunk)), chunk]
    return b"".join(parts)


def unpack(frame: bytes, most_bytes: int) -> np.ndarray:
    """The array in a frame.

    Args:
        frame: as `pack` or any client of the protocol makes it.
        most_bytes: how large the array may be; nothing larger is allocated.

    Raises:
        FrameError: these bytes are no frame.
        TooLargeError: its array is larger than that.
    """
    reader = _Reader(frame)
    magic, version, codec, dimensions, name_length = reader.take(HEAD)
    if magic != MAGIC or version != VERSION or codec not in CODECS:
        raise FrameError("the body is no packed array of the nnInteractive protocol, format version 1")
    number_format = NUMBER_FORMATS.get(bytes(reader.take_bytes(name_length)))
    if number_format is None:
        raise FrameError(f"the packed array's number format is none of {b', '.join(NUMBER_FORMATS).decode()}")
    shape = reader.take(struct.Struct(f"<{dimensions}q"))
    if not dimensions or min(shape) < 1:
        raise FrameError(f"the packed array has the shape {shape}, expected at least one element")
    size = math.prod(shape) * number_format.itemsize
    if size > most_bytes:
        raise TooLargeError(f"the packed array has {size} bytes, expected at most {most_bytes}")
    pieces = []
    (count,) = reader.take(COUNT)
    for _ in range(count):
        length, packed_length = reader.take(LENGTHS)
        pieces.append((length, reader.take_bytes(packed_length)))
    if reader.left or sum(length for length, _ in pieces) != size:
        raise FrameError(f"the packed array of shape {shape} has more or fewer bytes than it says")
    array = np.empty(shape, number_format)
    content, start = array.reshape(-1).view(np.uint8).data, 0
    for length, chunk in pieces:
        _unpack_chunk(chunk, content[start : start + length])
        start += length
    return array


def _unpack_chunk(chunk: memoryview, target: memoryview) -> None:
    """Unpacks a chunk to exactly this place; its own head is asked first, since Blosc2 trusts it."""
    if len(chunk) < LEAST_CHUNK or blosc2.get_cbuffer_sizes(chunk)[:2] != (len(target), len(chunk)):
        raise FrameError("a chunk of the packed array has another length than the array says")
    try:
        blosc2.decompress2(chunk, dst=target)
    except (RuntimeError, ValueError):
        raise FrameError("a chunk of the packed array is damaged") from None


class _Reader:
    """Takes bytes from the front."""

    def __init__(self, content: bytes) -> None:
        self._content = memoryview(content)
        self._place = 0

    @property
    def left(self) -> int:
        return len(self._content) - self._place

    def take_bytes(self, count: int) -> memoryview:
        if count > self.left:
            raise FrameError("the packed array is cut off")
        self._place += count
        return self._content[self._place - count : self._place]

    def take(self, layout: struct.Struct) -> tuple[Any, ...]:
        return layout.unpack(self.take_bytes(layout.size))
