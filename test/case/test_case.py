import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import body, image_from, write_case

from lesionclick.case.case import Case, mask_path
from lesionclick.case.clicks import Click
from lesionclick.case.geometry import Geometry
from lesionclick.case.images import write_mask, write_probabilities
from lesionclick.errors import CaseError

# a patient's axes rarely are the scanner's: rotated about all three axes, and once flipped
ROTATED = tuple(sitk.Euler3DTransform((0, 0, 0), 0.1, -0.2, 0.3).GetMatrix())
GEOMETRIES = {
    "plain": ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1)),
    "flipped, far off": ((3.4, 3.4, 4.5), (390.25, 312.5, -10024.75), (-1, 0, 0, 0, -1, 0, 0, 0, 1)),
    "upside down": ((2.0364201068878174, 2.0364201068878174, 3), (-406.9, -1 / 3, 1e4), (1, 0, 0, 0, 1, 0, 0, 0, -1)),
    "rotated": ((0.9765625, 1.2, 7.77), (-12.3456789, 0.1, 0.7), ROTATED),
}


def test_reads_arrays_geometry_and_clicks(case_folder: Path) -> None:
    case = Case.read(case_folder)
    ct, pet = body()
    np.testing.assert_array_equal(case.ct_zyx, ct)
    np.testing.assert_array_equal(case.pet_zyx, pet)
    assert case.name == "case"
    assert case.geometry.size == (22, 20, 18)
    assert case.geometry.shape_zyx == (18, 20, 22)
    assert case.geometry.spacing_zyx == (3.0, 2.0364201, 2.0364201)
    assert case.clicks == (Click(3, 4, 5, "tumor"), Click(10, 11, 12, "background"))


def test_integer_ct_becomes_float32(case_folder: Path) -> None:
    ct, _ = body()
    sitk.WriteImage(image_from(ct.astype(np.int16)), str(case_folder / "images/ct/case.mha"))
    read = Case.read(case_folder).ct_zyx
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, ct.astype(np.int16))


def test_names_may_differ_and_hidden_files_do_not_count(tmp_path: Path) -> None:
    ct, pet = body()
    folder = write_case(tmp_path, image_from(ct), image_from(pet), name="a.b c")
    (folder / "images/pet/a.b c.mha").rename(folder / "images/pet/other.mha")
    (folder / "images/pet/.DS_Store").touch()
    assert Case.read(folder).name == "a.b c"


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
def test_mask_has_exactly_the_geometry_of_the_ct(geometry: tuple[tuple[float, ...], ...], tmp_path: Path) -> None:
    ct, pet = body((5, 6, 7))
    folder = write_case(tmp_path / "input", image_from(ct, *geometry), image_from(pet, *geometry))
    case = Case.read(folder)
    mask = np.zeros(case.geometry.shape_zyx, dtype=np.uint8)
    mask[4, 0, 3] = 1
    path = mask_path(case, tmp_path / "output")
    write_mask(mask, case.geometry, path)
    assert path == tmp_path / "output/images/tumor-lesion-segmentation/case.mha"
    written = sitk.ReadImage(str(path))
    assert Geometry.of(written) == Geometry.of(sitk.ReadImage(str(folder / "images/ct/case.mha")))
    assert written.GetPixelID() == sitk.sitkUInt8
    np.testing.assert_array_equal(sitk.GetArrayFromImage(written), mask)
    assert b"CompressedData = True" in path.read_bytes()[:1000]


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
    geometry = Geometry((2, 2, 2), (1.0,) * 3, (0.0,) * 3, (1.0, 0, 0, 0, 1, 0, 0, 0, 1))
    with pytest.raises(CaseError, match=r"mask\.mha: cannot be written: no space left"):
        write_mask(np.zeros((2, 2, 2)), geometry, path)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"old"


def _cut(path: Path, keep: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])


def _make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _flip_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def _replace(array: np.ndarray) -> Callable[[Path], None]:
    return lambda path: sitk.WriteImage(sitk.GetImageFromArray(array, isVector=False), str(path))


def _with_voxel(value: float) -> np.ndarray:
    ct, _ = body()
    ct[3, 4, 5] = value
    return ct


BAD_IMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "none": (Path.unlink, "holds 0 files, expected exactly one .mha image"),
    "two": (lambda path: path.with_name("b.mha").touch(), "holds 2 files (b.mha, case.mha), expected exactly one"),
    "a folder": (_make_folder, "is not a file"),
    "not an image": (lambda path: path.write_text("hello"), "is not an image that can be read"),
    "empty": (lambda path: path.write_bytes(b""), "is not an image that can be read"),
    "cut in the header": (lambda path: _cut(path, 0.001), "is not an image that can be read"),
    "truncated": (lambda path: _cut(path, 0.6), "its voxels cannot be read, the file is truncated or damaged"),
    "short by a little": (lambda path: _cut(path, 0.999), "its voxels cannot be read"),
    "damaged": (_flip_byte, "its compressed voxels are damaged"),
    "2D": (_replace(np.ones((4, 5), np.float32)), "is 2D (5 x 4)"),
    "4D": (_replace(np.ones((2, 3, 4, 5), np.float32)), "is 4D (5 x 4 x 3 x 2)"),
    "vectors": (
        lambda path: sitk.WriteImage(sitk.GetImageFromArray(np.ones((2, 3, 4, 5)), isVector=True), str(path)),
        "with 5 component(s) a voxel",
    ),
    "NaN": (_replace(_with_voxel(np.nan)), "holds NaN or infinite values"),
    "infinity": (_replace(_with_voxel(-np.inf)), "holds NaN or infinite values"),
    "beyond float32": (_replace(_with_voxel(0).astype(np.float64) * 1e300), "holds NaN or infinite values"),
    "all zeros": (_replace(np.zeros((18, 20, 22), np.float32)), "every voxel is 0"),
}


@pytest.mark.parametrize("modality", ["ct", "pet"])
@pytest.mark.parametrize(("spoil", "message"), BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_bad_image_is_one_sentence(
    spoil: Callable[[Path], object],
    message: str,
    modality: str,
    case_folder: Path,
    model_folder: Path,
    tmp_path: Path,
    refused: Callable[..., str],
) -> None:
    path = case_folder / "images" / modality / "case.mha"
    spoil(path)
    output = tmp_path / "output"
    sentence = refused("predict", "--input", case_folder, "--output", output, "--model", model_folder)
    assert sentence.startswith((f"{path}: ", f"{path.parent}: "))
    assert message in sentence
    assert not output.exists()


OTHER_GRIDS = {
    "size": (body((18, 20, 23))[1], {}, "size is (22, 20, 18) in {ct} and (23, 20, 18) in {pet}"),
    "spacing": (
        body()[1],
        {"spacing": (2.0364201, 2.0364201, 3.002)},
        "spacing is (2.03642, 2.03642, 3) in {ct} and (2.03642, 2.03642, 3.002) in {pet}",
    ),
    "origin": (body()[1], {"origin": (0, 0.01, 0)}, "origin is (0, 0, 0) in {ct} and (0, 0.01, 0) in {pet}"),
    "direction": (
        body()[1],
        {"direction": (-1, 0, 0, 0, -1, 0, 0, 0, 1)},
        "direction is (1, 0, 0, 0, 1, 0, 0, 0, 1) in {ct} and (-1, 0, 0, 0, -1, 0, 0, 0, 1) in {pet}",
    ),
}


@pytest.mark.parametrize(("pet", "placed", "message"), OTHER_GRIDS.values(), ids=OTHER_GRIDS)
def test_pet_on_another_grid_is_refused(
    pet: np.ndarray, placed: dict[str, tuple[float, ...]], message: str, tmp_path: Path
) -> None:
    folder = write_case(tmp_path, image_from(body()[0]), image_from(pet, **placed))
    paths = {"ct": folder / "images/ct/case.mha", "pet": folder / "images/pet/case.mha"}
    with pytest.raises(CaseError) as error:
        Case.read(folder)
    assert str(error.value) == f"CT and PET are on different grids: {message.format(**paths)}"


def test_grids_equal_but_for_rounding_are_fine(tmp_path: Path) -> None:
    ct, pet = body()
    folder = write_case(tmp_path, image_from(ct), image_from(pet, origin=(0, 0.0005, 0)))
    assert Case.read(folder).geometry.origin == (0, 0, 0)


def test_missing_folders_and_clicks_are_named(tmp_path: Path, case_folder: Path) -> None:
    with pytest.raises(CaseError, match=r"images/ct: the folder is missing"):
        Case.read(tmp_path / "nowhere")
    (case_folder / "lesion-clicks.json").unlink()
    with pytest.raises(CaseError, match=r"lesion-clicks\.json: the clicks file is missing"):
        Case.read(case_folder)


def test_reading_a_damaged_image_leaves_stderr_in_place(case_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _cut(case_folder / "images/ct/case.mha", 0.6)
    with pytest.raises(CaseError):
        Case.read(case_folder)
    os.write(2, b"still here")
    assert capfd.readouterr().err == "still here"
