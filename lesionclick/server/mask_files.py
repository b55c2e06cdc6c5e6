"""Masks on disk: the last final one of each session, for a server that starts again, and those to start from."""

import shutil
from collections.abc import Container, Mapping
from pathlib import Path

import numpy as np

from lesionclick.case.geometry import Geometry
from lesionclick.case.images import read_mask, write_mask
from lesionclick.errors import CaseError


class MaskFiles:
    """A folder a session, and in it a file a revision and one a starting mask; the store says which ones count."""

    def __init__(self, folder: Path) -> None:
        """Masks below a folder, which need not exist."""
        self._folder = folder

    def write(self, session_id: str, revision: int, mask_zyx: np.ndarray, geometry: Geometry) -> None:
        """Writes the mask of a revision; see `write_mask` for errors."""
        write_mask(mask_zyx, geometry, self._path(session_id, revision))

    def drop_others(self, session_id: str, revision: int) -> None:
        """Removes the masks of all other revisions."""
        kept = self._path(session_id, revision)
        for path in kept.parent.glob("mask-*.mha"):
            if path != kept:
                path.unlink(missing_ok=True)

    def read(self, session_id: str, revision: int, geometry: Geometry) -> np.ndarray | None:
        """The mask of a revision; None where there is none, or it is damaged."""
        try:
            return read_mask(self._path(session_id, revision), geometry)
        except CaseError:
            return None

    def write_start(self, session_id: str, name: str, mask_zyx: np.ndarray, geometry: Geometry) -> None:
        """Writes a mask to start from; see `write_mask` for errors."""
        write_mask(mask_zyx, geometry, self._start_path(session_id, name))

    def read_start(self, session_id: str, name: str, geometry: Geometry) -> np.ndarray:
        """A mask to start from; CaseError where it is missing or damaged."""
        return read_mask(self._start_path(session_id, name), geometry)

    def remove(self, session_id: str) -> None:
        """Removes all masks of a session."""
        shutil.rmtree(self._folder / session_id, ignore_errors=True)

    def drop_all_but(self, sessions: Mapping[str, Container[str]]) -> None:
        """Removes what killed servers and changes that cannot be redone any more have left.

        Args:
            sessions: all that there are, with the names of the masks to start from in the history of each.
        """
        for folder in self._folder.glob("*/"):
            if folder.name not in sessions:
                self.remove(folder.name)
                continue
            for path in folder.glob("start-*.mha"):
                if path.stem.removeprefix("start-") not in sessions[folder.name]:
                    path.unlink(missing_ok=True)

    def _path(self, session_id: str, revision: int) -> Path:
        return self._folder / session_id / f"mask-{revision}.mha"

    def _start_path(self, session_id: str, name: str) -> Path:
        return self._folder / session_id / f"start-{name}.mha"
