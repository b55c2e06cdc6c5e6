"""Points that readers have drawn, in files: what a replay gives to a model, iteration by iteration.

<folder>/<case>.json                        all scribbles of a case, one after the other, in either format of
                                            `case.clicks.read_clicks`: a scribble is a run of points of one label in
                                            one axial slice
<folder>/<case>/iter_<k>_scribbles.json     as autoPET V's test loop keeps them: what was given at iteration k from 1
                                            on, with or without the points of the iterations before
"""

import hashlib
import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lesionclick.case.clicks import Click, read_clicks
from lesionclick.errors import CaseError
from lesionclick.files import describe_error

ANY_SHAPE = (sys.maxsize,) * 3  # for a first look at a file, before the image is read


@dataclass(frozen=True)
class PointsFolder:
    """A folder of points, at least one scribble for each case of a dataset.

    Attributes:
        folder: the folder.
        sha256: of all files, to tell whether two folders hold the same.
    """

    folder: Path
    sha256: str

    @classmethod
    def find(cls, folder: Path, names: Sequence[str]) -> "PointsFolder":
        """Looks at the files of the named cases; whether the points lie in the images is told by `read`.

        Raises:
            CaseError: the folder is missing, a case has no file or one that is damaged.
        """
        if not folder.is_dir():
            raise CaseError(f"{folder}: the folder is missing, expected one with points for each case")
        digest = hashlib.sha256()
        found = cls(folder, "")
        for name in names:
            found.read(name, ANY_SHAPE)
            for path in found._paths(name):
                digest.update(f"{path.relative_to(folder)}\0".encode())
                try:
                    digest.update(hashlib.sha256(path.read_bytes()).digest())
                except OSError as error:
                    raise CaseError(f"{path}: cannot be read: {describe_error(error)}") from error
        return cls(folder, digest.hexdigest())

    def read(self, name: str, shape_zyx: Sequence[int]) -> list[tuple[Click, ...]]:
        """The scribbles of a case, the first one first.

        Args:
            name: the case's.
            shape_zyx: the image's, to tell whether points lie in it.

        Raises:
            CaseError: there is no file, or one that is damaged or has a point outside of the image.
        """
        paths = self._paths(name)
        if not paths[0].exists():
            raise CaseError(
                f"{self.folder}: holds no points of the case {name}, expected {name}.json or "
                f"{name}/iter_1_scribbles.json and so on"
            )
        if paths[0] == self._single_path(name):
            clicks = read_clicks(paths[0], shape_zyx)
            return [tuple(run) for _, run in itertools.groupby(clicks, key=lambda click: (click.label, click.z))]
        return [read_clicks(path, shape_zyx) for path in paths]

    def _single_path(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def _paths(self, name: str) -> list[Path]:
        """The case's file, or those of its iterations, of which the first may be missing."""
        single = self._single_path(name)
        if single.exists():
            return [single]
        paths = (self.folder / name / f"iter_{number}_scribbles.json" for number in itertools.count(1))
        first = next(paths)
        return [first, *itertools.takewhile(Path.exists, paths)]
