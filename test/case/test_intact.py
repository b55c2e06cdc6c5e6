"""Compressed voxels that are damaged, cut short or too many."""

import gzip
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from helpers_images import NOISE, nifti, nrrd_header, write_metaimage

from lesionclick.case.images import read_image
from lesionclick.errors import CaseError


@pytest.mark.parametrize("spelling", ["CompressedData = True", "CompressedData=True", "CompressedData = true"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_flipped_bit_of_compressed_voxels_is_found(spelling: str, order: str, tmp_path: Path) -> None:
    path = tmp_path / "image.mha"
    fields: dict[str, str | None] = {"DimSize": "40 30 20", "ElementType": "MET_SHORT", "CompressedData": None}
    fields["BinaryDataByteOrderMSB"] = str(order == ">")

    def write(voxels: np.ndarray, share: float | None = None) -> None:
        packed = bytearray(zlib.compress(voxels.astype(f"{order}i2").tobytes()))
        if share is not None:
            packed[int(share * len(packed))] ^= 4
        write_metaimage(path, fields, bytes(packed), f"{spelling}\nElementDataFile=LOCAL\n")

    generator = np.random.default_rng(list(f"{spelling}{order}".encode()))
    for number in range(12):  # other voxels each time: what ITK cannot unpack it leaves as the memory was before
        write(generator.integers(0, 255, NOISE.shape).astype(np.int16), number / 12)
        with pytest.raises(CaseError, match=r"image\.mha: its (compressed voxels are damaged|voxels cannot be read)"):
            read_image(path)
    write(NOISE)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_image(path)), NOISE)


@pytest.mark.parametrize("ending", [".mha", ".nrrd", ".nii.gz"])
def test_the_reason_why_compressed_voxels_are_refused(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"image{ending}"

    def write(voxels: np.ndarray, after: bytes = b"", keep: int | None = None) -> None:
        if ending == ".mha":
            sizes = {"DimSize": "40 30 20", "ElementType": "MET_SHORT", "CompressedData": "True"}
            write_metaimage(path, dict(sizes), zlib.compress(voxels.tobytes())[:keep] + after)
        elif ending == ".nrrd":
            header = nrrd_header(type="short", sizes="40 30 20", encoding="gzip")
            path.write_bytes(header + gzip.compress(voxels.tobytes())[:keep] + after)
        else:
            content = nifti(("h", 46, 20), datatype=4, voxels=voxels)
            path.write_bytes(gzip.compress(content)[:keep] + after)

    write(NOISE)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_image(path)), NOISE)
    for arguments in (
        {"after": b"x"},
        {"keep": -1},
        {"keep": -200},
        {"voxels": NOISE[:-1]},
        {"voxels": NOISE[[0, *range(20)]]},
    ):
        write(**{"voxels": NOISE, **arguments})  # type: ignore[arg-type]
        with pytest.raises(CaseError) as error:
            read_image(path)
        text = str(error.value)
        assert text.startswith(f"{path}: its "), arguments
        assert len(text) > len(f"{path}: its compressed voxels are damaged, "), arguments
        assert "\n" not in text
