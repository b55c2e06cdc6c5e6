"""Files: written whole or not at all, and JSON read with one clear sentence where it is broken."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lesionclick.errors import CaseError, ModelError


def require_writable(path: Path) -> None:
    """Raises CaseError where a file could not be written at `path`; makes nothing."""
    ancestor = path.parent
    while not ancestor.exists():
        ancestor = ancestor.parent
    if path.is_dir() or not ancestor.is_dir() or not os.access(ancestor, os.W_OK | os.X_OK):
        raise CaseError(f"{path}: cannot be written, {ancestor} is not a writable folder")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` that becomes `path` if all goes well and vanishes otherwise.

    Raises:
        CaseError: on any OSError inside or in making the folder or the final name.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise CaseError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def short_json(value: Any) -> str:
    """A JSON value as it stood in the file, cut to a length that fits a sentence; null also for a missing key."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def read_json_object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: not a JSON file: {error}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path}: expected a JSON object")
    return content
