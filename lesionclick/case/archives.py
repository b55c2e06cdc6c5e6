"""Archives: a zip unpacked for as long as it is read, within bounds and never outside its own folder."""

import contextlib
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from lesionclick.errors import CaseError
from lesionclick.files import describe_error

MAX_MEMBERS = 100_000

MAX_BYTES = 16 << 30
"""Unpacked; a whole-body study of 1000 CT and 1000 PET slices has about 1 GB."""


@contextlib.contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """The folder itself, or a temporary folder with what a zip holds, which has the zip's name and ends with the block.

    Members are plain files there, links too; a zip within the zip stays packed. The text of a CaseError that the block
    raises names the zip in place of that folder.

    Raises:
        CaseError: there is neither a folder nor a zip, the zip is damaged, encrypted or too large, or a name in it
            leads out of its folder.
    """
    if path.is_dir():
        yield path
        return
    require_zip(path)
    with tempfile.TemporaryDirectory(prefix="lesionclick-") as temporary:
        folder = Path(temporary) / path.name
        try:
            folder.mkdir()
            _unpack(path, folder)
        except (OSError, EOFError, ValueError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
            raise CaseError(f"{path}: the zip cannot be unpacked: {describe_error(error)}") from error
        try:
            yield folder
        except CaseError as error:
            raise CaseError(str(error).replace(str(folder), str(path))) from error


def require_zip(path: Path) -> None:
    """Refuses what is no zip.

    Raises:
        CaseError: it is missing or something else.
    """
    if not path.is_file():
        raise CaseError(f"{path}: is missing, expected the folder or zip of a study")
    if not zipfile.is_zipfile(path):
        raise CaseError(f"{path}: is neither a folder nor a zip, expected the study's folder (or give --ct and --pet)")


def _unpack(path: Path, folder: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        if len(members) > MAX_MEMBERS:
            raise CaseError(f"{path}: holds {len(members)} files, expected at most {MAX_MEMBERS}")
        size = sum(member.file_size for member in members)  # no more is read of a member than its entry says
        room = shutil.disk_usage(folder).free
        if size > min(MAX_BYTES, room):
            bound = f"{MAX_BYTES >> 30} GB are allowed and {room / 2**30:.1f} GB free in {folder.parent.parent}"
            raise CaseError(f"{path}: unpacks to {size / 2**30:.1f} GB, {bound}")
        for member in members:
            name = PurePosixPath(member.filename.replace("\\", "/"))
            if name.is_absolute() or ".." in name.parts:
                raise CaseError(f"{path}: the name {member.filename!r} in it leads out of its folder")
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, target.open("xb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
