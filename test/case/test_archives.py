import stat
import zipfile
from pathlib import Path

import pytest

from lesionclick.case import archives
from lesionclick.case.archives import unpacked
from lesionclick.errors import CaseError


def write_zip(path: Path, **members: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name.replace("__", "/"), text)
    return path


def refusal_of(path: Path) -> str:
    with pytest.raises(CaseError) as refusal, unpacked(path):
        pass
    return str(refusal.value)


def test_a_folder_is_left_as_it_is(tmp_path: Path) -> None:
    with unpacked(tmp_path) as folder:
        assert folder == tmp_path


def test_a_zip_is_unpacked_for_the_block_alone(tmp_path: Path) -> None:
    with unpacked(write_zip(tmp_path / "study.zip", a__b="text", c="more")) as folder:
        assert folder.name == "study.zip"
        assert (folder / "a" / "b").read_text() == "text"
        assert (folder / "c").read_text() == "more"
    assert not folder.parent.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["study.zip"]


@pytest.mark.parametrize("name", ["../out", "a/../../out", "/out", "..\\out"])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "study.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, "text")
    assert "leads out of its folder" in refusal_of(path)
    assert not list(tmp_path.rglob("out"))


def test_a_link_is_unpacked_as_a_file(tmp_path: Path) -> None:
    entry = zipfile.ZipInfo("link")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "study.zip", "w") as archive:
        archive.writestr(entry, "/etc/hostname")
    with unpacked(tmp_path / "study.zip") as folder:
        assert not (folder / "link").is_symlink()


def test_bounds_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_zip(tmp_path / "study.zip", a="0" * 1000, b="1")
    monkeypatch.setattr(archives, "MAX_BYTES", 1000)
    assert "unpacks to 0.0 GB, 0 GB are allowed" in refusal_of(path)
    monkeypatch.setattr(archives, "MAX_MEMBERS", 1)
    assert refusal_of(path) == f"{path}: holds 2 files, expected at most 1"


def test_what_is_no_zip_is_one_sentence(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("no zip")
    assert refusal_of(text).startswith(f"{text}: is neither a folder nor a zip")
    assert refusal_of(tmp_path / "nowhere").startswith(f"{tmp_path / 'nowhere'}: is missing")
    path = write_zip(tmp_path / "study.zip", a="text" * 1000)
    damaged = bytearray(path.read_bytes())
    damaged[40] ^= 0xFF
    path.write_bytes(damaged)
    assert refusal_of(path).startswith(f"{path}: the zip cannot be unpacked: ")


def test_errors_about_a_file_in_it_name_the_zip(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "study.zip", a="text")
    with pytest.raises(CaseError) as refusal, unpacked(path) as folder:
        raise CaseError(f"{folder / 'a'}: is wrong")
    assert str(refusal.value) == f"{path}/a: is wrong"
