"""Folder of results: its settings, and of each case the scores, the masks and the clicks.

settings.json                          what must be the same to go on
scores/<case>.csv                      a case's scores, a line for each step; the case is complete where this file is
masks/<case>/<clicks or round>-<step>  .mha, the mask of a step, and .json, the clicks it was predicted with

Several processes, on several machines, may write into one folder at a time without waiting for each other: each file is
written whole or not at all, no file holds two cases, and a case that two processes evaluate gets the same files twice.
All else in the folder is made from these files, by `lesionclick.evaluation.report`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lesionclick.case.clicks import Click, read_clicks, write_clicks
from lesionclick.case.geometry import Geometry
from lesionclick.case.images import read_mask, write_mask
from lesionclick.errors import CaseError
from lesionclick.evaluation.table import CaseScore, Table
from lesionclick.files import read_json_object, write_json
from lesionclick.simulation.readers import StepName

SETTINGS_FILE = Path("settings.json")

SCORES_FOLDER = Path("scores")

MASKS_FOLDER = Path("masks")


@dataclass(frozen=True)
class Results:
    """An open folder of results; see `open_results`.

    Attributes:
        folder: where they lie.
        settings: what must be the same to go on.
        step_name: what a step counts.
        steps: at which each case is evaluated, ascending.
    """

    folder: Path
    settings: Mapping[str, Any]
    step_name: StepName
    steps: tuple[int, ...]

    def has_case(self, name: str) -> bool:
        """Whether a case is complete."""
        return self._case_path(name).exists()

    def write_step(
        self, name: str, step: int, mask_zyx: np.ndarray, clicks: Sequence[Click], geometry: Geometry
    ) -> None:
        """Writes the mask of a case at a step, 0 and 1, and all clicks that it was predicted with.

        Raises:
            CaseError: a file cannot be written.
        """
        mask = self._mask_path(name, step)
        write_mask(mask_zyx, geometry, mask)
        write_clicks(clicks, mask.with_suffix(".json"))

    def read_last_step(self, name: str, geometry: Geometry) -> tuple[np.ndarray, tuple[Click, ...]]:
        """The mask of a case at the last step, uint8 on the case's grid, and the clicks that it was predicted with.

        Raises:
            CaseError: a file is missing, damaged or of another case.
        """
        mask = self._mask_path(name, self.steps[-1])
        return read_mask(mask, geometry), read_clicks(mask.with_suffix(".json"), geometry.shape_zyx)

    def write_case(self, scores: Sequence[CaseScore]) -> None:
        """Writes the scores of a case at all steps, which completes it.

        Raises:
            CaseError: the file cannot be written, or the folder's settings were changed meanwhile.
        """
        self._require_settings()  # two processes may have begun the folder at the same moment, with other settings
        Table(self.step_name, tuple(scores)).write(self._case_path(scores[0].case))

    def read_table(self, names: Iterable[str]) -> Table:
        """The scores of those of the named cases that are complete, in the order of the names.

        Raises:
            CaseError: a case's file is damaged or does not belong here.
        """
        rows: list[CaseScore] = []
        for name in names:
            path = self._case_path(name)
            if not path.exists():
                continue
            table = Table.read(path)
            if (table.step_name, table.steps, table.cases) != (self.step_name, self.steps, (name,)):
                raise CaseError(f"{path}: holds another case or other steps than it should")
            rows += table.rows
        return Table(self.step_name, tuple(rows))

    def _case_path(self, name: str) -> Path:
        return self.folder / SCORES_FOLDER / f"{name}.csv"

    def _mask_path(self, name: str, step: int) -> Path:
        return self.folder / MASKS_FOLDER / name / f"{self.step_name}-{step:02d}.mha"

    def _require_settings(self) -> None:
        path = self.folder / SETTINGS_FILE
        stored = read_json_object(path, CaseError)
        for name, value in self.settings.items():
            if stored.get(name) != value:
                raise CaseError(
                    f"{path}: the evaluation there was begun with another '{name}', expected the same settings or "
                    "another folder"
                )


def open_results(folder: Path, settings: Mapping[str, Any], step_name: StepName, steps: tuple[int, ...]) -> Results:
    """Makes a folder of results, or opens one that was begun with the same settings.

    Args:
        folder: new or existing.
        settings: all that decides what the folder holds, as it comes back from JSON.
        step_name: what a step counts.
        steps: at which each case is evaluated, ascending.

    Raises:
        CaseError: the folder was begun with other settings, or cannot be read or written.
    """
    results = Results(folder, settings, step_name, steps)
    path = folder / SETTINGS_FILE
    if not path.exists():
        if (folder / SCORES_FOLDER).exists():
            raise CaseError(f"{path}: the file is missing beside {SCORES_FOLDER}/, expected both or neither")
        write_json(settings, path)
    results._require_settings()
    return results
