import copy
import logging
import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("pydicom")
pytest.importorskip("highdicom")

import pydicom
from helpers_dicom import SyntheticStudy
from pydicom.uid import JPEGLosslessSV1

from lesionclick.dicom.reading import looks_like_dicom
from lesionclick.dicom.series import choose_series, find_series
from lesionclick.dicom.study import open_study
from lesionclick.dicom.suv import read_suv
from lesionclick.errors import CaseError


@pytest.fixture
def study() -> SyntheticStudy:
    return SyntheticStudy()


def pet_of(folder: Path) -> np.ndarray:
    suv_zyx: np.ndarray = sitk.GetArrayFromImage(read_suv(choose_series(folder, find_series(folder), "PT")).image)
    return suv_zyx


def test_files_without_a_preamble_are_read(study: SyntheticStudy, tmp_path: Path) -> None:
    folder = study.write(tmp_path / "study")
    expected = pet_of(folder)
    for index, path in enumerate(sorted((folder / "PT").iterdir())):
        dataset = pydicom.dcmread(path)
        if index % 2:
            path.write_bytes(path.read_bytes()[132:])  # begins with the file's meta information
        else:
            plain = copy.deepcopy(dataset)
            del plain.file_meta
            plain.preamble = None
            pydicom.dcmwrite(path, plain, implicit_vr=True, little_endian=True, enforce_file_format=False)
        assert b"DICM" not in path.read_bytes()[:200]
        assert looks_like_dicom(path)
    assert np.array_equal(pet_of(folder), expected)


def test_other_files_are_no_dicom(tmp_path: Path) -> None:
    for name, content in (
        ("a", b""),
        ("b.txt", b"text"),
        ("c", b"\x08\x00\x00\x00\xff\xff\xff\x7f" * 99),
        ("d", b"PK"),
    ):
        (tmp_path / name).write_bytes(content)
        assert not looks_like_dicom(tmp_path / name)
    assert find_series(tmp_path) == []


def test_jpeg_lossless_is_decoded(study: SyntheticStudy, tmp_path: Path) -> None:
    gdcm = pytest.importorskip("gdcm")
    folder = study.write(tmp_path / "study")
    expected = pet_of(folder)
    for path in (folder / "PT").iterdir():
        reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
        reader.SetFileName(str(path))
        assert reader.Read()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        writer.SetFileName(str(path))
        assert writer.Write()
        assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == JPEGLosslessSV1
    assert np.array_equal(pet_of(folder), expected)


def test_damaged_files_are_counted_and_named(
    study: SyntheticStudy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = study.write(tmp_path / "study")
    middle = next(path for path in (folder / "PT").iterdir() if pydicom.dcmread(path).InstanceNumber == 3)
    middle.write_bytes(middle.read_bytes()[:400])  # ends within the header
    (folder / "empty.dcm").write_bytes(b"")
    with caplog.at_level(logging.WARNING, "lesionclick"):
        found = find_series(folder)
    assert len(caplog.messages) == 1
    assert f"{folder}: 2 damaged DICOM files are left out: {middle}: " in caplog.text
    assert f"{folder / 'empty.dcm'}: " in caplog.text
    # and again where they are missed
    with pytest.raises(
        CaseError, match=rf"may be missing or there twice\); 2 damaged DICOM files are left out: {middle}"
    ):
        read_suv(choose_series(folder, found, "PT"))


def end_of_pet(folder: Path) -> Path:
    """The PET's last slice, whose absence leaves an even stack."""
    return next(path for path in (folder / "PT").iterdir() if pydicom.dcmread(path).InstanceNumber == 5)


def test_a_file_that_ends_within_its_series_uid_is_damaged(study: SyntheticStudy, tmp_path: Path) -> None:
    folder = study.write(tmp_path / "study")
    last, uid = end_of_pet(folder), study.pet[0].SeriesInstanceUID
    content = last.read_bytes()
    last.write_bytes(content[: content.index(uid.encode()) + 20])
    assert choose_series(folder, find_series(folder), "PT").damaged == (f"{last}: Rows (0028,0010) is missing",)


def test_a_slice_with_another_series_uid_is_named(study: SyntheticStudy, tmp_path: Path) -> None:
    folder = study.write(tmp_path / "study")
    assert not open_study(folder).warnings
    last, uid = end_of_pet(folder), study.pet[0].SeriesInstanceUID
    last.write_bytes(last.read_bytes().replace(uid.encode(), uid[:-1].encode() + b"x"))
    assert open_study(folder).warnings == (
        f"1 damaged DICOM file is left out: {last}: is like the slices of series {uid} but for its UID {uid[:-1]}x",
    )


def test_damage_anywhere_in_the_study_is_among_its_warnings(study: SyntheticStudy, tmp_path: Path) -> None:
    folder = study.write(tmp_path / "study")
    (folder / "own folder").mkdir()
    last = end_of_pet(folder)
    last = last.rename(folder / "own folder" / last.name)
    last.write_bytes(last.read_bytes()[:400])
    assert open_study(folder).warnings == (
        f"1 damaged DICOM file is left out: {last}: Modality (0008,0060) is missing",
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named(study: SyntheticStudy, tmp_path: Path) -> None:
    folder = study.write(tmp_path / "study")
    path = sorted((folder / "PT").iterdir())[0]
    path.chmod(0)
    series = choose_series(folder, find_series(folder), "PT")
    assert series.damaged == (f"{path}: cannot be read: Permission denied",)


def test_a_copy_of_a_file_is_no_second_slice(
    study: SyntheticStudy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = study.write(tmp_path / "study")
    expected = pet_of(folder)
    for path in list((folder / "PT").iterdir())[:2]:
        (folder / f"copy of {path.name}").write_bytes(path.read_bytes())
    with caplog.at_level(logging.WARNING, "lesionclick"):
        assert np.array_equal(pet_of(folder), expected)
    assert caplog.messages == [f"{folder}: 2 files are copies of images found before, and are left out"]


def test_every_damage_ends_in_a_sentence_or_in_an_image(study: SyntheticStudy, tmp_path: Path) -> None:
    folder = study.write(tmp_path / "study")
    path = sorted((folder / "PT").iterdir())[2]
    content = path.read_bytes()
    random = np.random.default_rng(5)
    header = len(content) - 6 * 8 * 2  # the pixels come last
    damages = [content[:length] for length in random.integers(0, header, 25)]
    for place in random.integers(132, header, 60):
        changed = bytearray(content)
        changed[place] ^= 1 << int(random.integers(8))
        damages.append(bytes(changed))
    ends = {"sentence": 0, "image": 0}
    for damaged in damages:
        path.write_bytes(damaged)
        try:
            assert pet_of(path.parent).shape[1:] == (6, 8)
            ends["image"] += 1
        except CaseError:
            ends["sentence"] += 1
    assert ends["sentence"] > 25
