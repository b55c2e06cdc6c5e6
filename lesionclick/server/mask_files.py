"""Masks on disk: the final one of each session, so that a server that starts again shows it at once."""

import shutil
from pathlib import Path

import numpy as np

from lesionclick.case.geometry import Geometry
from lesionclick.case.images import read_mask, write_mask
from lesionclick.errors import CaseError


class MaskFiles:
    """A folder a session, and a file a revision in it; the store says which one counts."""

    def __init__(self, folder: Path) -> None:
        """Masks below a folder, which need not exist."""
        self._folder = folder

    def write(self, session_id: str, revision: int, mask_zyx: np.ndarray, geometry: Geometry) -> None:
        """Writes the mask of a revision; see `write_mask` for errors."""
        write_mask(mask_zyx, geometry, self._path(session_id, revision))

    def drop_others(self, session_id: str, revision: int) -> None:
        """Removes the masks of all other revisions."""
        kept = self._path(session_id, revision)
        for path in kept.parent.glob("*.mha"):
            if path != kept:
                path.unlink(missing_ok=True)

    def read(self, session_id: str, revision: int, geometry: Geometry) -> np.ndarray | None:
        """The mask of a revision; None where there is none, or it is damaged."""
        try:
            return read_mask(self._path(session_id, revision), geometry)
        except CaseError:
            return None

    def remove(self, session_id: str) -> None:
        """Removes all masks of a session."""
        shutil.rmtree(self._folder / session_id, ignore_errors=True)

    def _path(self, session_id: str, revision: int) -> Path:
        return self._folder / session_id / f"mask-{revision}.mha"
