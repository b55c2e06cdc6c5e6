"""Frames: as the real client packs and unpacks them, and what is refused."""

import struct
from contextlib import suppress

import blosc2
import numpy as np
import pytest
from nnInteractive.inference.remote.serialization import pack_array, unpack_array

from lesionclick.server.nninteractive_frames import FrameError, pack, unpack
from lesionclick.server.problems import TooLargeError

ROOMY = 1 << 20


def arrays() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [
        generator.normal(size=(2, 3, 4)).astype(np.float32),
        generator.normal(size=(1, 5, 6, 7)).astype(np.float16),
        generator.integers(-1000, 3000, (1, 9, 8, 7)).astype(np.int16),
        generator.integers(0, 2, (5, 6, 7)).astype(np.uint8),
        generator.integers(0, 2, (5, 6, 7)).astype(bool),
        np.zeros((5, 6, 7), np.uint8),  # no multiple of 8 bytes
        np.zeros((3, 3, 3), np.float64),
    ]


@pytest.mark.parametrize("array", arrays(), ids=lambda array: f"{array.dtype}-{array.shape}")
def test_the_real_client_reads_what_is_packed_and_the_other_way_round(array: np.ndarray) -> None:
    for again in (unpack_array(pack(array)), unpack(pack_array(array), ROOMY), unpack(pack(array), ROOMY)):
        assert again.dtype == array.dtype
        np.testing.assert_array_equal(again, array)


def test_views_and_big_endian_arrays_are_packed_as_they_look() -> None:
    array = np.arange(24, dtype=">i2").reshape(2, 3, 4)
    np.testing.assert_array_equal(unpack_array(pack(array.transpose(2, 0, 1)[::-1])), array.transpose(2, 0, 1)[::-1])


def test_lz4_is_read() -> None:
    array = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    np.testing.assert_array_equal(unpack(pack_array(array, codec=blosc2.Codec.LZ4), ROOMY), array)


def test_an_array_over_the_limit_is_refused_before_memory_is_taken() -> None:
    frame = pack(np.zeros((64, 64, 64), np.float32))
    with pytest.raises(TooLargeError, match="1048576 bytes, expected at most 1048575"):
        unpack(frame, 1048575)
    huge = struct.pack("<4s4B5s3qI", b"NNIA", 1, 1, 3, 5, b"uint8", 1 << 40, 1 << 40, 1 << 40, 0)
    with pytest.raises(TooLargeError, match="expected at most"):
        unpack(huge, ROOMY)


def test_a_chunk_that_would_unpack_to_more_than_its_place_is_refused() -> None:
    bomb = blosc2.compress2(np.zeros(1 << 20, np.uint8), typesize=1)
    frame = struct.pack("<4s4B5s1qI2Q", b"NNIA", 1, 1, 1, 5, b"uint8", 100, 1, 100, len(bomb)) + bomb
    with pytest.raises(FrameError, match="another length"):
        unpack(frame, ROOMY)


@pytest.mark.parametrize("cut", [0, 3, 8, 12, 30, 60, -1])
def test_a_frame_that_is_cut_off_is_refused(cut: int) -> None:
    frame = pack(np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32))
    with pytest.raises(FrameError):
        unpack(frame[:cut], ROOMY)


def test_what_is_no_frame_is_refused() -> None:
    frame = pack(np.random.default_rng(0).normal(size=(2, 3, 4)))
    for at, value in ((0, 0), (4, 2), (5, 9), (6, 0), (8, 255)):
        with pytest.raises(FrameError):
            unpack(frame[:at] + bytes([value]) + frame[at + 1 :], ROOMY)
    with pytest.raises(FrameError):
        unpack(frame + b"more", ROOMY)
    for name in (b"object", b"<U8", b"V4", b"complex64", b"nonsense"):
        head = struct.pack(f"<4s4B{len(name)}s1qI", b"NNIA", 1, 1, 1, len(name), name, 4, 0)
        with pytest.raises(FrameError):
            unpack(head, ROOMY)


def test_random_damage_never_raises_anything_else() -> None:
    frame = bytearray(pack(np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)))
    generator = np.random.default_rng(1)
    for _ in range(300):
        damaged = bytearray(frame)
        for at in generator.integers(0, len(frame), 3):
            damaged[at] = generator.integers(256)
        with suppress(FrameError, TooLargeError):
            assert unpack(bytes(damaged), ROOMY).nbytes <= ROOMY
