import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import body, image_from, write_case

from lesionclick.case.case import Case, mask_path
from lesionclick.case.clicks import Click
from lesionclick.case.geometry import Geometry
from lesionclick.case.images import read_image, read_mask, write_mask
from lesionclick.errors import CaseError

# a patient's axes rarely are the scanner's: rotated about all three axes, and once flipped
ROTATED = tuple(sitk.Euler3DTransform((0, 0, 0), 0.1, -0.2, 0.3).GetMatrix())
GEOMETRIES = {
    "plain": ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1)),
    "flipped, far off": ((3.4, 3.4, 4.5), (390.25, 312.5, -10024.75), (-1, 0, 0, 0, -1, 0, 0, 0, 1)),
    "upside down": ((2.0364201068878174, 2.0364201068878174, 3), (-406.9, -1 / 3, 1e4), (1, 0, 0, 0, 1, 0, 0, 0, -1)),
    "rotated": ((0.9765625, 1.2, 7.77), (-12.3456789, 0.1, 0.7), ROTATED),
}


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_reads_arrays_geometry_and_clicks(case_folder: Path) -> None:
    case = Case.read(case_folder)
    ct, pet = body()
    np.testing.assert_array_equal(case.ct_zyx, ct)
    np.testing.assert_array_equal(case.pet_zyx, pet)
    assert case.name == "case"
    assert case.geometry.size == (22, 20, 18)
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
def test_written_case_is_read_back_exactly(geometry: tuple[tuple[float, ...], ...], tmp_path: Path) -> None:
    ct, pet = body((5, 6, 7))
    clicks = (Click(1, 2, 3, "tumor"), Click(6, 5, 4, "background"))
    case = Case("a.b c", ct, pet, Geometry.of(image_from(ct, *geometry)), clicks)
    lesion = pet > 10
    case.write(tmp_path / "new", lesion_zyx=lesion)
    assert files_below(tmp_path / "new") == [
        "images/ct/a.b c.mha",
        "images/pet/a.b c.mha",
        "lesion-clicks.json",
        "truth.mha",
    ]
    found = Case.read(tmp_path / "new")
    assert (found.name, found.geometry, found.clicks) == (case.name, case.geometry, clicks)
    np.testing.assert_array_equal(found.ct_zyx, ct)
    np.testing.assert_array_equal(found.pet_zyx, pet)
    np.testing.assert_array_equal(read_mask(tmp_path / "new/truth.mha", case.geometry), lesion)
    assert b"CompressedData = True" in (tmp_path / "new/images/ct/a.b c.mha").read_bytes()[:1000]


def test_written_case_without_truth_and_with_whole_hounsfield_units(case_folder: Path, tmp_path: Path) -> None:
    case = Case.read(case_folder)
    out = tmp_path / "out"
    case.write(out, ct_type=np.int16)
    assert not (out / "truth.mha").exists()
    assert read_image(out / "images/ct/case.mha").GetPixelID() == sitk.sitkInt16
    assert read_image(out / "images/pet/case.mha").GetPixelID() == sitk.sitkFloat32
    np.testing.assert_array_equal(Case.read(out).ct_zyx, np.round(case.ct_zyx))
    dataclasses.replace(case, clicks=()).write(out)  # over the files of before
    assert Case.read(out).clicks == ()
    np.testing.assert_array_equal(Case.read(out).ct_zyx, case.ct_zyx)
    assert len(files_below(out)) == 3


def test_a_case_that_cannot_be_written_is_one_sentence(case_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CaseError, match=r"file/images/ct/case\.mha: cannot be written: Not a directory"):
        Case.read(case_folder).write(tmp_path / "file")


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


def _make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def _write_zeros(path: Path) -> None:
    sitk.WriteImage(image_from(np.zeros((18, 20, 22), np.float32)), str(path))


BAD_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "none": (Path.unlink, "holds 0 files, expected exactly one .mha image"),
    "two": (lambda path: path.with_name("b.mha").touch(), "holds 2 files (b.mha, case.mha), expected exactly one"),
    "a folder": (_make_folder, "is not a file"),
    "truncated": (_truncate, "compressed bytes: it is truncated or damaged"),
    "all zeros": (_write_zeros, "every voxel is 0"),
}


@pytest.mark.parametrize("modality", ["ct", "pet"])
@pytest.mark.parametrize(("spoil", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_image_is_one_sentence_and_leaves_no_output(
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


def test_pet_on_another_grid_is_refused_with_both_files(tmp_path: Path) -> None:
    ct, pet = body()
    folder = write_case(tmp_path, image_from(ct), image_from(pet, origin=(0, 0.01, 0)))
    ct_path, pet_path = folder / "images/ct/case.mha", folder / "images/pet/case.mha"
    with pytest.raises(CaseError) as error:
        Case.read(folder)
    assert str(error.value) == (
        f"CT and PET are on different grids: origin is (0, 0, 0) in {ct_path} and (0, 0.01, 0) in {pet_path}"
    )


def test_missing_folders_and_clicks_are_named(tmp_path: Path, case_folder: Path) -> None:
    with pytest.raises(CaseError, match=r"images/ct: the folder is missing"):
        Case.read(tmp_path / "nowhere")
    (case_folder / "lesion-clicks.json").unlink()
    with pytest.raises(CaseError, match=r"lesion-clicks\.json: the clicks file is missing"):
        Case.read(case_folder)
