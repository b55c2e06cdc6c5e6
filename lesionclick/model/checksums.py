"""Checksums of a packed model folder: the SHA-256 sum of every file, in the format of the program sha256sum."""

import hashlib
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lesionclick.errors import ModelError
from lesionclick.files import describe_error
from lesionclick.model.files import CHECKSUMS_FILE, PROMPT_FILE


def sha256_of(path: Path) -> str:
    """The SHA-256 sum of a file, 64 hexadecimal digits; ModelError where it cannot be read."""
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


def verify_checksums(folder: Path, used: Sequence[Path]) -> None:
    """Compares a packed folder with its SHA256SUMS.

    Args:
        folder: the model folder.
        used: files that must be among those of SHA256SUMS; prompt.json, where there is one, must be too.

    Raises:
        ModelError: a file is missing, is not in SHA256SUMS or is not as it was.
    """
    manifest = folder / CHECKSUMS_FILE
    if not manifest.is_file():
        raise ModelError(f"{manifest}: is missing, a packed model folder holds it")
    sums = {}
    for line in manifest.read_text(errors="replace").splitlines():
        found = re.fullmatch(r"([0-9a-f]{64}) [ *](\S.*)", line)
        if not found or ".." in Path(found[2]).parts or Path(found[2]).is_absolute():
            raise ModelError(f"{manifest}: the line {line[:80]!r} is not a sha256 sum and a file of the folder")
        sums[folder / found[2]] = found[1]
    prompt = folder / PROMPT_FILE
    for path in (*used, *([prompt] if prompt.exists() else [])):
        if path not in sums:
            raise ModelError(f"{path}: is not in {manifest}")
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for path, found_sum in zip(sums, threads.map(sha256_of, sums), strict=True):
            if found_sum != sums[path]:
                raise ModelError(f"{path}: is not the file that was packed, its sha256 sum differs from {manifest}")
