"""SHA-256 sums of a packed model folder's files."""

import hashlib
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lesionclick.errors import ModelError
from lesionclick.files import describe_error

SUMS = "SHA256SUMS"


def sha256_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {describe_error(error)}") from error


def verify_sums(folder: Path, used: Sequence[Path]) -> None:
    """Raises ModelError unless every file of the manifest is as it was, and every file in use is in the manifest."""
    manifest = folder / SUMS
    if not manifest.is_file():
        raise ModelError(f"{manifest}: is missing, a packed model folder holds it")
    sums = {}
    for line in manifest.read_text(errors="replace").splitlines():
        found = re.fullmatch(r"([0-9a-f]{64}) [ *](\S.*)", line)
        if not found or ".." in Path(found[2]).parts or Path(found[2]).is_absolute():
            raise ModelError(f"{manifest}: the line {line[:80]!r} is not a sha256 sum and a file of the folder")
        sums[folder / found[2]] = found[1]
    optional = folder / "prompt.json"
    for path in (*used, *([optional] if optional.exists() else [])):
        if path not in sums:
            raise ModelError(f"{path}: is not in {manifest}")
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for path, found_sum in zip(sums, threads.map(sha256_of, sums), strict=True):
            if found_sum != sums[path]:
                raise ModelError(f"{path}: is not the file that was packed, its sha256 sum differs from {manifest}")
