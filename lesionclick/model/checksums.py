"""Checksums of a packed model folder: the SHA-256 sum of every file, in the format of the program sha256sum."""

import hashlib
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lesionclick.errors import ModelError
from lesionclick.files import describe_error, read_bounded, require_regular
from lesionclick.model.files import CHECKSUMS_FILE

MAX_FILES = 10_000

MAX_BYTES = 1 << 20
"""Of SHA256SUMS: a line has about a hundred, a model folder some twenty files."""


def sha256_of(path: Path) -> str:
    """The SHA-256 sum of a file, 64 hexadecimal digits; ModelError where it is no plain file or cannot be read."""
    require_regular(path, ModelError)
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {describe_error(error)}") from error


def write_checksums(folder: Path) -> None:
    """Writes SHA256SUMS over all files of a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{sha256_of(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
    (folder / CHECKSUMS_FILE).write_text("".join(lines))


def verify_checksums(folder: Path) -> None:
    """Compares a packed folder with its SHA256SUMS, which names every file in it, hidden ones aside, and nothing else.

    Raises:
        ModelError: a file is missing, is not in SHA256SUMS, is there twice or is not as it was.
    """
    manifest = folder / CHECKSUMS_FILE
    if not os.path.lexists(manifest):
        raise ModelError(f"{manifest}: is missing, a packed model folder holds it")
    sums: dict[Path, str] = {}
    for line in read_bounded(manifest, MAX_BYTES, ModelError).decode(errors="replace").splitlines():
        found = re.fullmatch(r"([0-9a-f]{64}) [ *](\S.*)", line)
        if not found or ".." in Path(found[2]).parts or Path(found[2]).is_absolute() or "\0" in line:
            raise ModelError(f"{manifest}: the line {line[:80]!r} is not a sha256 sum and a file of the folder")
        if folder / found[2] in sums:
            raise ModelError(f"{manifest}: names {found[2]} twice, expected each file once")
        sums[folder / found[2]] = found[1]
    for path in _files_in(folder):
        if path not in sums and path != manifest:
            raise ModelError(f"{path}: is not in {manifest}, expected nothing else in a packed model folder")
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for path, found_sum in zip(sums, threads.map(sha256_of, sums), strict=True):
            if found_sum != sums[path]:
                raise ModelError(f"{path}: is not the file that was packed, its sha256 sum differs from {manifest}")


def _files_in(folder: Path) -> Iterator[Path]:
    """All of a folder and its subfolders that is no folder; what is hidden by its name is left out."""
    found = 0

    def fail(error: OSError) -> None:
        raise ModelError(f"{error.filename}: cannot be read: {describe_error(error)}") from error

    for place, folders, names in os.walk(folder, onerror=fail, followlinks=True):
        found += len(folders) + len(names)
        if found > MAX_FILES:  # links may lead in a circle
            raise ModelError(f"{folder}: holds more than {MAX_FILES} files and folders, expected a model folder")
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, name) for name in sorted(names) if not name.startswith("."))
