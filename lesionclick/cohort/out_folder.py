"""Folder of a cohort's results: one cohort at a time writes into it, and a case's folder appears whole or not at all.

OUT/<case>/            what `manifest` names
OUT/cases.csv lesions.csv failed.csv       see `tables`
OUT/.cohort-lock       says who writes; empty of meaning once nobody holds it
OUT/.unfinished/       what is being written; removed by whoever comes next
"""

import contextlib
import datetime
import errno
import fcntl
import json
import logging
import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from lesionclick.cohort.manifest import MANIFEST_FILE
from lesionclick.errors import CaseError
from lesionclick.files import describe_error, read_json_object, require_writable

logger = logging.getLogger(__name__)

LOCK_FILE = ".cohort-lock"

UNFINISHED = ".unfinished"


@contextlib.contextmanager
def locked(out: Path) -> Iterator[str]:
    """Makes the folder and keeps other cohorts out of it for as long as the block runs, even if it is killed.

    Yields:
        A token by which workers know that they see this folder and no other one, see `require_same_folder`.

    Raises:
        CaseError: another cohort is at work in it, or it cannot be written.
    """
    require_writable(out.absolute() / LOCK_FILE)
    path = out / LOCK_FILE
    try:
        out.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise CaseError(f"{out}: cannot be written: {describe_error(error)}") from error
    with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CaseError(
                f"{out}: another cohort is at work in it ({_holder(path)}), expected another folder or its end"
            ) from None
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
                raise CaseError(f"{path}: cannot be locked: {describe_error(error)}") from error
            logger.warning("%s: its file system has no locks, so that nothing keeps another cohort out of it", out)
        token = secrets.token_hex(8)
        started = datetime.datetime.now().isoformat(timespec="seconds")
        try:
            file.truncate()
            json.dump({"token": token, "host": socket.gethostname(), "process": os.getpid(), "started": started}, file)
            file.flush()
            os.fsync(file.fileno())
            shutil.rmtree(out / UNFINISHED, ignore_errors=True)
            (out / UNFINISHED).mkdir(exist_ok=True)
        except OSError as error:
            raise CaseError(f"{out}: cannot be written: {describe_error(error)}") from error
        try:
            yield token
        finally:
            shutil.rmtree(out / UNFINISHED, ignore_errors=True)


def _holder(path: Path) -> str:
    try:
        content = read_json_object(path, CaseError)
    except CaseError:
        return "which has only begun"
    return f"process {content.get('process')} on {content.get('host')} since {content.get('started')}"


def require_same_folder(out: Path, token: str) -> None:
    """Raises CaseError where this machine does not see the folder that the cohort was started in."""
    try:
        found = read_json_object(out / LOCK_FILE, CaseError).get("token")
    except CaseError:
        found = None
    if found != token:
        raise CaseError(f"{out}: is not the folder that the cohort was started in, expected shared storage at one path")


def require_replaceable(folder: Path) -> None:
    """Raises CaseError where there is something at a case's folder that is no result of a cohort."""
    if folder.is_dir() and not (folder / MANIFEST_FILE).is_file() and any(folder.iterdir()):
        raise CaseError(f"{folder}: holds something else than a case of a cohort, which is not replaced")
    if folder.exists() and not folder.is_dir():
        raise CaseError(f"{folder}: is a file, expected the folder of a case or nothing there")


@contextlib.contextmanager
def case_folder(out: Path, name: str) -> Iterator[Path]:
    """Yields a folder to write a case's results to, which becomes OUT/<name>, in place of a former one at the end.

    Raises:
        CaseError: it cannot be written.
    """
    scratch = out / UNFINISHED / f"{name}.{secrets.token_hex(8)}"
    target = out / name
    try:
        new = scratch / "new"
        new.mkdir(parents=True)
        yield new
        require_replaceable(target)
        for attempt in range(3):  # a worker that was given up may still finish the same case at the same moment
            with contextlib.suppress(FileNotFoundError):
                target.rename(scratch / f"former-{attempt}")
            try:
                new.rename(target)
                break
            except OSError as error:
                if attempt == 2 or error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
    except OSError as error:
        raise CaseError(f"{target}: cannot be written: {describe_error(error)}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
