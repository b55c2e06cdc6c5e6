"""Files: written whole or not at all, and JSON read with one clear sentence where it cannot be read."""

import contextlib
import itertools
import json
import os
import secrets
import signal
import stat
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lesionclick.errors import CaseError, LesionClickError

MAX_JSON_BYTES = 64 << 20
"""Of a JSON file; plans and lists of clicks have some kilobytes, all series of a large study a few megabytes."""

_temporaries: set[Path] = set()  # of what this process is writing now


def require_writable(path: Path) -> None:
    """Raises CaseError where a file could not be written at `path`; makes nothing."""
    ancestor = path.parent
    while not os.access(ancestor, os.F_OK):  # missing, or in a folder that cannot be entered
        ancestor = ancestor.parent
    if not ancestor.is_dir() or not os.access(ancestor, os.W_OK | os.X_OK):
        raise CaseError(f"{path}: cannot be written, {ancestor} is not a writable folder")
    if path.is_dir():
        raise CaseError(f"{path}: is a folder, expected a file or nothing there")


def require_apart(outputs: Mapping[str, Path], inputs: Mapping[str, Path]) -> None:
    """Raises CaseError where an output is, holds or lies in another output or an input; looks at paths alone.

    Args:
        outputs: files or folders that are to be written, each under its name in a sentence.
        inputs: likewise those that are read.
    """
    pairs = [*itertools.combinations(outputs.items(), 2), *itertools.product(inputs.items(), outputs.items())]
    for (other, taken), (name, path) in pairs:
        if is_inside(path, taken) or is_inside(taken, path):
            raise CaseError(f"{path}: is no place for {name}, since {other} has {taken}; expected one apart from it")


def is_inside(path: Path, folder: Path) -> bool:
    """Whether a path is a folder's, or of something in it, existing or not; links are followed."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` that becomes `path` if all goes well and vanishes otherwise.

    Raises:
        CaseError: on any OSError inside or in making the folder or the final name.
    """
    # no other process has the name, on whatever machine; endings such as .nii.gz stay, which name a format
    temporary = path.with_name(f".{secrets.token_hex(8)}.{path.name}")
    _temporaries.add(temporary)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise CaseError(f"{path}: cannot be written: {describe_error(error)}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        _temporaries.discard(temporary)


def remove_temporaries() -> None:
    """Removes what any thread of this process has half written, for a process that ends at once."""
    for temporary in list(_temporaries):
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def ending_on_signals() -> Iterator[None]:
    """Lets SIGTERM and SIGHUP end the block as an exception does, so that what is half written is removed.

    Raises:
        SystemExit: such a signal came; the exit code is 128 and its number, as a shell has it.
    """

    process = os.getpid()

    def end(number: int, _: object) -> None:
        if os.getpid() == process:
            sys.exit(128 + number)
        signal.signal(number, signal.SIG_DFL)  # a worker that was forked has nothing to clear away, and ends at once
        os.kill(os.getpid(), number)

    ends = (signal.SIGTERM, signal.SIGHUP) if threading.current_thread() is threading.main_thread() else ()
    former = {number: signal.signal(number, end) for number in ends if signal.getsignal(number) is not signal.SIG_IGN}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler or signal.SIG_DFL)


def require_regular(path: Path, error: type[LesionClickError], what: str = "") -> None:
    """Raises `error` where nothing is at a path, or anything but a plain file, or one that cannot be looked at.

    Pipes and devices would be waited for, or read without an end.

    Args:
        path: links are followed.
        error: its sentence names the path.
        what: is expected there; empty for any file, where the name says it.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise error(f"{path}: the file is missing{f', expected {what}' if what else ''}") from None
    except (OSError, ValueError) as reason:  # ValueError: a name with a null byte
        raise error(f"{path}: cannot be read: {describe_error(reason)}") from reason
    if not stat.S_ISREG(mode):
        found = "a folder" if stat.S_ISDIR(mode) else "a pipe, a socket or a device"
        raise error(f"{path}: is {found}, expected {what or 'a file'}")


def require_no_lfs_pointer(path: Path, error: type[LesionClickError], what: str) -> None:
    """Raises `error` where a file is what Git LFS leaves in place of one that it has not fetched.

    Args:
        path: a file.
        error: its sentence names the path.
        what: is expected there.

    Raises:
        OSError: the file cannot be read.
    """
    start = b"version https://git-lfs."
    with path.open("rb") as file:
        if file.read(len(start)) == start:
            raise error(f"{path}: is a pointer of Git LFS, expected {what}")


def read_bounded(path: Path, limit: int, error: type[LesionClickError]) -> bytes:
    """The bytes of a plain file; raises `error` where it is none, cannot be read or has more than `limit` bytes."""
    require_regular(path, error)
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as reason:
        raise error(f"{path}: cannot be read: {describe_error(reason)}") from reason
    if len(content) > limit:
        raise error(f"{path}: has more than {limit >> 20} MB, expected less")
    return content


def read_json(path: Path, error: type[LesionClickError]) -> Any:
    """The content of a JSON file.

    Args:
        path: the file.
        error: what to raise where it is missing, cannot be read, is not JSON or says an object's key twice; its
            sentence names the file.
    """
    content = read_bounded(path, MAX_JSON_BYTES, error)
    try:
        return json.loads(content, object_pairs_hook=_each_key_once)
    except (ValueError, RecursionError) as reason:
        raise error(f"{path}: not a JSON file: {describe_error(reason)}") from reason


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        raise ValueError(f"the key {short_json(max(counts, key=counts.__getitem__))} is there twice")
    return content


def read_json_object(path: Path, error: type[LesionClickError]) -> dict[str, Any]:
    """The content of a JSON file that must hold an object; raises `error` as `read_json` does."""
    content = read_json(path, error)
    if not isinstance(content, dict):
        raise error(f"{path}: expected a JSON object, found {short_json(content)}")
    return content


def write_json(content: Any, path: Path) -> None:
    """Writes JSON for people and programs; a reader sees all of the file or nothing.

    Raises:
        CaseError: the file cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def short_json(value: Any) -> str:
    """A JSON value as it stood in the file, cut to a length that fits a sentence; null also for a missing key."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def describe_error(error: Exception) -> str:
    """What went wrong, in a few words that end a sentence: for errors that look-ups and the system raise."""
    if isinstance(error, KeyError):
        return f"lacks the entry {error}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
