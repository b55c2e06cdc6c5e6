import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lesionclick.errors import CaseError, ModelError
from lesionclick.files import (
    describe_error,
    read_json,
    read_json_object,
    replacing,
    require_apart,
    require_writable,
    short_json,
)


def test_json_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"a": [1, null]}')
    assert read_json(path, CaseError) == read_json_object(path, CaseError) == {"a": [1, None]}
    path.write_text("[1]")
    assert read_json(path, CaseError) == [1]


UNREADABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "the file is missing"),
    "folder": (Path.mkdir, "is a folder, expected a file"),
    "pipe": (os.mkfifo, "is a pipe, a socket or a device, expected a file"),
    "endless": (lambda path: path.symlink_to("/dev/zero"), "is a pipe, a socket or a device, expected a file"),
    "large": (lambda path: path.open("wb").truncate((64 << 20) + 1), "has more than 64 MB, expected less"),
    "key twice": (
        lambda path: path.write_text('{"a": {"b": 1, "b": 2}}'),
        'not a JSON file: the key "b" is there twice',
    ),
    "cut": (lambda path: path.write_text('{"a": '), "not a JSON file: "),
    "no text": (lambda path: path.write_bytes(b"\xff\x00\xfe\x80"), "not a JSON file: "),
    "too deep": (lambda path: path.write_text("[" * 100_000), "not a JSON file: "),
    "a list": (lambda path: path.write_text("[1]"), "expected a JSON object, found [1]"),
}


@pytest.mark.parametrize(("spoil", "reason"), UNREADABLE.values(), ids=UNREADABLE)
def test_unreadable_json_is_one_sentence_of_the_kind_asked_for(
    spoil: Callable[[Path], object], reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.json"
    spoil(path)
    with pytest.raises(ModelError) as error:
        read_json_object(path, ModelError)
    assert str(error.value).startswith(f"{path}: {reason}")
    assert "\n" not in str(error.value)


def test_short_json_fits_a_sentence() -> None:
    assert short_json(None) == "null"
    assert short_json(["a", 1.5]) == '["a", 1.5]'
    assert len(short_json("x" * 100)) == 60


def test_errors_in_words() -> None:
    assert describe_error(KeyError("spacing")) == "lacks the entry 'spacing'"
    assert describe_error(OSError(28, "No space left on device", "/a/b")) == "No space left on device"
    assert describe_error(ValueError("too\n  small")) == "too small"
    assert describe_error(AssertionError()) == "AssertionError"


def test_replacing_leaves_the_old_file_and_nothing_else_where_it_fails(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    with replacing(path) as temporary:
        temporary.write_text("old")
        assert not path.exists()

    def write_half() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(CaseError, match=r"file\.txt: cannot be written: No space left on device"):
        write_half()
    assert list(path.parent.iterdir()) == [path]
    assert path.read_text() == "old"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    require_writable(tmp_path / "a" / "b" / "mask.mha")
    (tmp_path / "file").touch()
    with pytest.raises(CaseError, match="is not a writable folder"):
        require_writable(tmp_path / "file" / "mask.mha")
    with pytest.raises(CaseError, match=f"^{tmp_path}: is a folder, expected a file"):
        require_writable(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("report", "taken"),
    [
        ("mask", "the mask"),
        ("mask/x/y", "the mask"),
        (".", "the mask"),
        ("a/../in", "the case"),
        ("link/b", "the case"),
    ],
)
def test_outputs_lie_apart_from_each_other_and_from_what_is_read(report: str, taken: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "in")
    outputs = {"the mask": tmp_path / "mask", "the report": tmp_path / report}
    with pytest.raises(CaseError) as error:
        require_apart(outputs, {"the case": tmp_path / "in"})
    assert f"since {taken} has " in str(error.value)
    assert str(error.value).count("expected") == 1


def test_files_of_one_folder_lie_apart(tmp_path: Path) -> None:
    outputs = {"the mask": tmp_path / "mask", "the report": tmp_path / "mask.json"}
    require_apart(outputs, {"the case": tmp_path / "in", "the model": tmp_path / "in"})
