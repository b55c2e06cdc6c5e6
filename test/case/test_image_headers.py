"""The gate before native code: what is no image file at all, bounds, and what SimpleITK itself writes."""

import gzip
import os
import random
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from helpers_images import ARRAY, GRID, nifti, nrrd_header, read_in_process, write_metaimage

from lesionclick.case import memory
from lesionclick.case.geometry import Geometry
from lesionclick.case.headers import read_header
from lesionclick.case.images import image_from_array, read_geometry, read_image
from lesionclick.errors import CaseError

FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "pipe": (os.mkfifo, "is a pipe, a socket or a device, expected an image"),
    "folder": (Path.mkdir, "is a folder, expected an image"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "is a pipe, a socket or a device"),
    "dangling": (lambda path: path.symlink_to("nowhere"), "the file is missing"),
    "circle": (lambda path: path.symlink_to(path.name), "cannot be read: "),
    "pointer": (
        lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
        "is a pointer of Git LFS, expected the image itself (git lfs pull fetches it)",
    ),
}


@pytest.mark.parametrize(("make", "message"), FILES.values(), ids=FILES)
@pytest.mark.parametrize("ending", [".mha", ".nii.gz", ".nrrd"])
def test_what_is_no_plain_file_is_not_opened(
    make: Callable[[Path], object], message: str, ending: str, tmp_path: Path
) -> None:
    path = tmp_path / f"image{ending}"
    make(path)
    with pytest.raises(CaseError) as error:
        read_image(path)
    assert str(error.value).startswith(f"{path}: {message}")


@pytest.mark.parametrize(
    "name", ["image.tiff", "image.png", "image.vtk", "image.gipl", "image.mrc", "image", "image.dcm"]
)
def test_formats_without_a_place_in_the_world_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(CaseError, match="is in no format that says where voxels lie in the world, expected one of"):
        read_image(tmp_path / name)


@pytest.mark.parametrize("ending", [".mha", ".nii", ".nrrd"])
def test_the_name_alone_says_the_format(ending: str, tmp_path: Path) -> None:
    """ITK would look into a file and take the reader that fits: a picture, or a header that names other files."""
    for other in (".png", ".nrrd", ".nii", ".mha", ".tiff"):
        if other != ending:
            array = ARRAY[0] if other == ".png" else ARRAY
            sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / f"other{other}"))
            (tmp_path / f"other{other}").rename(tmp_path / f"image{ending}")
            with pytest.raises(CaseError, match="is not an image that can be read"):
                read_image(tmp_path / f"image{ending}")


def test_a_name_that_is_not_utf8_is_one_sentence(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/image\xff.mha"))
    write_metaimage(path)
    with pytest.raises(CaseError, match=r"image\\xff\.mha: the file's name is not UTF-8"):
        read_image(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_says_so(tmp_path: Path) -> None:
    path = tmp_path / "image.mha"
    write_metaimage(path)
    path.chmod(0)
    with pytest.raises(CaseError, match=r"image\.mha: cannot be read: Permission denied"):
        read_image(path)


def test_bounds_of_what_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "image.mha"
    for size, spacing, message in (
        ("300000 1 1", "1 1 1", "are 300 m long, expected at most 5 m along each axis"),
        ("400 400 326", "40 40 50", "are 16.3 m long"),
        ("1 1 1000000", "1 1 0.1", "are 100 m long"),
    ):
        packed = zlib.compress(bytes(int(np.prod([int(each) for each in size.split()]))), 1)
        write_metaimage(path, {"DimSize": size, "ElementSpacing": spacing, "CompressedData": "True"}, packed)
        with pytest.raises(CaseError, match=message):
            read_image(path)
    write_metaimage(path)
    monkeypatch.setattr("lesionclick.case.memory.available_memory", lambda: 500)
    with pytest.raises(CaseError, match=r"image\.mha: takes 0\.0 GB of memory to read, but 0\.0 GB are free"):
        read_image(path)


def test_more_voxels_than_memory_are_refused_before_they_are_read(tmp_path: Path) -> None:
    """A small file that stands for many terabytes: nothing of that size is asked for."""
    path = tmp_path / "image.mha"
    sizes = {"DimSize": "50000 50000 50000", "ElementSpacing": "0.1 0.1 0.1", "CompressedData": "True"}
    write_metaimage(path, {**sizes, "ElementType": "MET_DOUBLE"}, zlib.compress(bytes(1000)))
    with pytest.raises(CaseError, match=r"takes 1396983\.9 GB of memory to read, but .* GB are free"):
        read_image(path)


def test_memory_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("limit", "used", "statistics")
    for name, text in zip(names, ("1000000\n", "400000\n", "anon 7\ninactive_file 100000\n"), strict=True):
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(memory, "_CGROUPS", [tuple(tmp_path / name for name in names)])
    assert memory.available_memory() == 700_000
    (tmp_path / "limit").write_text("max\n")
    assert memory.available_memory() > 700_000


def test_a_direction_off_by_rounding_is_mended_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "image.mha"
    write_metaimage(path, {"TransformMatrix": "0.9996 0.0302 0 -0.0301 0.9995 0 0 0 1"})
    with caplog.at_level("INFO"):
        image = read_image(path)
    matrix = np.reshape(image.GetDirection(), (3, 3))
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(matrix[:2, 0], [0.9996, 0.0302], atol=5e-4)
    assert "image.mha: its direction is" in caplog.text
    assert read_geometry(path) == Geometry.of(image)
    caplog.clear()
    write_metaimage(path)
    assert Geometry.of(read_image(path)) == GRID
    assert not caplog.text


def turned() -> Geometry:
    angle = 0.3
    cosine, sine = np.cos(angle), np.sin(angle)
    return Geometry((4, 5, 6), (2.0, 2.5, 3.0), (-7.5, 20.25, 1e3), (cosine, -sine, 0, sine, cosine, 0, 0, 0, 1))


@pytest.mark.parametrize("number_format", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("ending", [".mha", ".mhd", ".nii", ".nii.gz", ".hdr", ".nrrd", ".nhdr"])
@pytest.mark.parametrize("compressed", [False, True])
def test_what_simpleitk_writes_is_read(
    number_format: type[np.number], ending: str, compressed: bool, tmp_path: Path
) -> None:
    path = tmp_path / f"an image{ending}"
    sitk.WriteImage(image_from_array(ARRAY.astype(number_format), turned()), str(path), compressed)
    image = read_image(path)
    assert sitk.GetArrayFromImage(image).dtype == number_format
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), ARRAY)
    theirs = Geometry.of(sitk.ReadImage(str(path)))
    assert Geometry.of(image).size == theirs.size
    assert Geometry.of(image).spacing == theirs.spacing
    np.testing.assert_allclose(Geometry.of(image).direction, turned().direction, atol=1e-6)
    np.testing.assert_allclose(Geometry.of(image).origin, turned().origin, rtol=1e-6)
    assert read_header(path).voxel_bytes == ARRAY.size * np.dtype(number_format).itemsize


@pytest.mark.parametrize("compressed", [False, True])
def test_the_order_of_bytes_is_the_headers(compressed: bool, tmp_path: Path) -> None:
    big = ARRAY.astype(">i2")
    packed = {"CompressedData": str(compressed)}
    voxels = zlib.compress(big.tobytes()) if compressed else big.tobytes()
    for key in ("BinaryDataByteOrderMSB", "ElementByteOrderMSB"):
        changes = {"ElementType": "MET_SHORT", "BinaryDataByteOrderMSB": None, **packed, key: "True"}
        write_metaimage(tmp_path / "image.mha", changes, voxels)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(read_image(tmp_path / "image.mha")), ARRAY)
    header = nrrd_header(type="short", endian="big", encoding="gzip" if compressed else "raw")
    (tmp_path / "image.nrrd").write_bytes(header + (gzip.compress(big.tobytes()) if compressed else big.tobytes()))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_image(tmp_path / "image.nrrd")), ARRAY)
    content = nifti(order=">", datatype=4, voxels=ARRAY)
    path = tmp_path / f"image.nii{'.gz' if compressed else ''}"
    path.write_bytes(gzip.compress(content) if compressed else content)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_image(path)), ARRAY)


def test_mutated_files_give_a_result_or_a_sentence(tmp_path: Path) -> None:
    """What attackers do: bytes of headers changed, doubled and left out at random, in a process that may die of it."""
    generator = random.Random(0)
    seeds = {}
    for ending, compressed in ((".mha", False), (".mha", True), (".nii", False), (".nii.gz", True), (".nrrd", True)):
        path = tmp_path / f"seed{ending}"
        sitk.WriteImage(image_from_array(ARRAY, turned()), str(path), compressed)
        seeds[ending, compressed] = path.read_bytes()
    paths = []
    for number in range(600):
        (ending, _), content = generator.choice(list(seeds.items()))
        mutated = bytearray(content)
        for _ in range(generator.randint(1, 4)):
            place = generator.randrange(min(len(mutated), 400))
            match generator.randrange(4):
                case 0:
                    mutated[place] = generator.randrange(256)
                case 1:
                    del mutated[place : place + generator.randint(1, 20)]
                case 2:
                    mutated[place:place] = mutated[place : place + generator.randint(1, 40)] * generator.randint(1, 30)
                case _:
                    mutated[place : place + 1] = generator.choice(
                        [b"9" * 12, b"-", b"%n", b"\n", b"nan", b"\xff" * 4, b" "]
                    )
        paths.append(tmp_path / f"{number}{ending}")
        paths[-1].write_bytes(mutated)
    for path, found in zip(paths, read_in_process(paths), strict=True):
        assert found.startswith(("read (", str(tmp_path))), path
        assert "\n" not in found
