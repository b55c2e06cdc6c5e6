import gzip
import os
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import image_from

from lesionclick.case.geometry import Geometry
from lesionclick.case.images import (
    AIR,
    array_from_image,
    image_from_array,
    read_geometry,
    read_image,
    read_label,
    read_mask,
    resample_ct,
    resample_label,
    write_image,
    write_mask,
    write_probabilities,
)
from lesionclick.errors import CaseError

SHAPE = (4, 5, 6)
VOXELS = np.random.default_rng(0).uniform(-900, 900, SHAPE).astype(np.float32)
GEOMETRY = Geometry((6, 5, 4), (2.0, 2.5, 3.0), (-7.0, 1 / 3, 1e4), (-1.0, 0, 0, 0, -1, 0, 0, 0, 1))


def cut(path: Path, keep: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])


def flip_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def store(array: np.ndarray, vectors: bool = False) -> Callable[[Path], None]:
    return lambda path: sitk.WriteImage(sitk.GetImageFromArray(array, isVector=vectors), str(path))


def with_voxel(value: float, number_format: type[np.floating] = np.float32) -> np.ndarray:
    voxels = VOXELS.astype(number_format)
    voxels[3, 4, 5] = value
    return voxels


@pytest.mark.parametrize("ending", [".mha", ".nii.gz"])
@pytest.mark.parametrize("number_format", [np.float32, np.int16, np.uint8, np.float64])
def test_written_image_is_read_back(number_format: type[np.number], ending: str, tmp_path: Path) -> None:
    path = tmp_path / "new" / f"image{ending}"
    written = np.abs(VOXELS / 4).astype(number_format)
    write_image(written, GEOMETRY, path)
    image = read_image(path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), written)
    assert sitk.GetArrayFromImage(image).dtype == number_format
    assert array_from_image(image).dtype == np.float32
    np.testing.assert_allclose(read_geometry(path).origin, GEOMETRY.origin, rtol=1e-7)
    assert read_geometry(path).size == Geometry.of(image).size == GEOMETRY.size
    assert list(path.parent.iterdir()) == [path]


def test_an_array_of_another_shape_than_its_grid_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="on a grid of shape"):
        image_from_array(VOXELS[1:], GEOMETRY)


BAD_IMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, "the file is missing, expected an image"),
    "not an image": (lambda path: path.write_text("hello"), "is not an image that can be read"),
    "empty": (lambda path: path.write_bytes(b""), "is not an image that can be read"),
    "cut in the header": (lambda path: cut(path, 0.01), "is not an image that can be read"),
    "truncated": (lambda path: cut(path, 0.8), "compressed bytes: it is truncated or damaged"),
    "short by a little": (lambda path: cut(path, 0.995), "compressed bytes: it is truncated"),
    "damaged": (flip_byte, "its compressed voxels are damaged"),
    "2D": (store(np.ones((4, 5), np.float32)), "is 2D (5 x 4)"),
    "4D": (store(np.ones((2, 3, 4, 5), np.float32)), "is 4D (5 x 4 x 3 x 2)"),
    "vectors": (store(np.ones((2, 3, 4, 5)), vectors=True), "with 5 component(s) a voxel"),
    "NaN": (store(with_voxel(np.nan)), "holds NaN or infinite values"),
    "infinity": (store(with_voxel(-np.inf)), "holds NaN or infinite values"),
    "beyond float32": (store(with_voxel(1e300, np.float64)), "holds NaN or infinite values"),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("spoil", "message"), BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_bad_image_is_one_sentence(spoil: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    path = tmp_path / "image.mha"
    write_image(VOXELS, GEOMETRY, path)
    spoil(path)
    with pytest.raises(CaseError) as error:
        read_image(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def write_nifti(path: Path, scale: float = 1.0) -> None:
    """A file of 1 MB, so that its header is compressed apart from most voxels."""
    image = sitk.GetImageFromArray(np.random.default_rng(0).integers(0, 200, (64, 64, 64)).astype(np.float32))
    sitk.WriteImage(image, str(path))
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[112:116] = struct.pack("<f", scale)  # scl_slope in the header of NIfTI-1
    path.write_bytes(gzip.compress(content, 1))


@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize("spoil", [flip_byte, lambda path: cut(path, 0.6), lambda path: cut(path, 0.99)])
def test_damaged_nifti_is_refused(spoil: Callable[[Path], object], scale: float, tmp_path: Path) -> None:
    path = tmp_path / "image.nii.gz"
    write_nifti(path, scale)
    assert array_from_image(read_image(path)).max() == 199 * scale
    spoil(path)
    with pytest.raises(CaseError, match=r"image\.nii\.gz: its compressed voxels are damaged"):
        read_image(path)


@pytest.mark.parametrize("name", ["missing", "not an image", "2D", "4D", "vectors"])
def test_geometry_is_read_from_a_3d_image_alone(name: str, tmp_path: Path) -> None:
    path = tmp_path / "image.mha"
    write_image(VOXELS, GEOMETRY, path)
    assert read_geometry(path) == GEOMETRY
    spoil, message = BAD_IMAGES[name]
    spoil(path)
    with pytest.raises(CaseError) as error:
        read_geometry(path)
    assert message in str(error.value)


def test_first_channel_of_a_4d_file(tmp_path: Path) -> None:
    path = tmp_path / "label.nii.gz"
    mask = (VOXELS > 0).astype(np.uint8)
    channels = [image_from_array(channel, GEOMETRY) for channel in (mask, mask * 7)]
    sitk.WriteImage(sitk.JoinSeries(channels), str(path))
    np.testing.assert_array_equal(array_from_image(read_image(path, allow_4d=True)), mask)
    grid = Geometry.of(read_image(path, allow_4d=True))
    np.testing.assert_array_equal(read_mask(path, grid, allow_4d=True), mask)
    with pytest.raises(CaseError, match="is 4D"):
        read_mask(path, grid)


def test_reading_a_damaged_image_leaves_stderr_in_place(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "image.mha"
    write_image(VOXELS, GEOMETRY, path)
    cut(path, 0.8)

    def read() -> None:
        with pytest.raises(CaseError):
            read_image(path)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.write(2, b"still here")
    assert capfd.readouterr().err == "still here"


def test_mask_is_uint8_compressed_and_on_its_grid_alone(tmp_path: Path) -> None:
    path = tmp_path / "mask.mha"
    write_mask(VOXELS > 0, GEOMETRY, path)
    assert b"CompressedData = True" in path.read_bytes()[:1000]
    found = read_mask(path, GEOMETRY)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, VOXELS > 0)
    with pytest.raises(
        CaseError, match=r"CT and mask are on different grids: origin is .* in the case and .*mask\.mha"
    ):
        read_mask(path, Geometry(GEOMETRY.size, GEOMETRY.spacing, (0.0,) * 3, GEOMETRY.direction))
    write_image(np.where(VOXELS > 0, 1, -2).astype(np.int8), GEOMETRY, path)
    with pytest.raises(CaseError, match=r"mask\.mha: holds voxels below 0, where nobody looked for lesions"):
        read_mask(path, GEOMETRY)
    write_image((VOXELS > 0) * np.uint8(2), GEOMETRY, path)
    with pytest.raises(CaseError, match=r"mask\.mha: holds values other than 0 and 1"):
        read_mask(path, GEOMETRY)
    with pytest.raises(CaseError, match=r"none\.mha: the mask is missing"):
        read_mask(tmp_path / "none.mha", GEOMETRY)


def test_label_holds_whole_numbers_up_to_its_largest(tmp_path: Path) -> None:
    path = tmp_path / "label.nii.gz"
    label = np.arange(120, dtype=np.float32).reshape(SHAPE) % 11
    write_image(label, GEOMETRY, path)
    assert read_label(path, 10).GetPixelID() == sitk.sitkUInt8
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_label(path, 10)), label)
    with pytest.raises(CaseError, match="holds the value 10, expected whole numbers from 0 to 9"):
        read_label(path, 9)
    for wrong, text in ((0.5, "0.5"), (-1, "-1")):
        label[1, 1, 1] = wrong
        write_image(label, GEOMETRY, path)
        with pytest.raises(CaseError, match=f"holds the value {text}, expected"):
            read_label(path, 10)


def test_probabilities_are_float16_named_foreground(tmp_path: Path) -> None:
    probability = np.linspace(0, 1, 24, dtype=np.float32).reshape(2, 3, 4)
    write_probabilities(probability, tmp_path / "new" / "p.npz")
    with np.load(tmp_path / "new" / "p.npz") as stored:
        assert list(stored) == ["foreground"]
        np.testing.assert_array_equal(stored["foreground"], probability.astype(np.float16))


def test_failed_write_keeps_the_old_file_and_leaves_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mask.mha"
    path.write_bytes(b"old")

    def fail(image: sitk.Image, name: str, **_: object) -> None:
        Path(name).write_bytes(b"half a ma")
        raise RuntimeError("Exception thrown:\nno space left")

    monkeypatch.setattr(sitk, "WriteImage", fail)
    with pytest.raises(CaseError, match=r"mask\.mha: cannot be written: no space left"):
        write_mask(np.zeros(SHAPE), GEOMETRY, path)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"old"


def test_resampling_to_another_grid() -> None:
    coarse = image_from(np.array([[[10, 20], [30, 40]]], np.int16), spacing=(2, 2, 2))
    reference = image_from(np.zeros((2, 3, 6), np.float32), spacing=(1, 1, 2))  # leaves the other one along x and z
    label = resample_label(sitk.Cast(coarse, sitk.sitkUInt8), reference)
    assert label.dtype == np.uint8
    np.testing.assert_array_equal(label[0, ::2][:, [0, 2, 4, 5]], [[10, 20, 0, 0], [30, 40, 0, 0]])
    assert not label[1].any()
    ct = array_from_image(resample_ct(coarse, reference))
    np.testing.assert_array_equal(ct[0, :, [0, 1, 2]].T, [[10, 15, 20], [20, 25, 30], [30, 35, 40]])
    assert (ct[0, :, 4:] == AIR).all()
    assert (ct[1] == AIR).all()
