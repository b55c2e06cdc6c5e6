"""Room on the disk of the data folder: clicks must always find some, so other things leave a rest."""

import shutil
from pathlib import Path

from lesionclick.server.problems import NoRoomError

MIN_FREE_BYTES = 1 << 30
"""Stay free on the disk."""


def require_room(folder: Path, size: int) -> None:
    """Asks whether so many bytes can be written into a folder.

    Raises:
        NoRoomError: too little would stay free.
    """
    free = shutil.disk_usage(folder).free
    if free < MIN_FREE_BYTES + size:
        raise NoRoomError(
            f"the disk of the server has {free >> 20} MB left, expected {MIN_FREE_BYTES + size >> 20} MB at least"
        )
