"""Cases of a cohort: what is to be segmented, found in a folder or named in a list; images are not looked at.

<folder>/<case>/...                                       a study each, in any form that `lesionclick segment` reads
<folder>/<case>.zip
<folder>/<patient>/<study>/...                            several studies of a patient: named <patient>_<study>
<folder>/[imagesTr or imagesTs/]<case>_0000.nii.gz ...    nnU-Net's layout; clicks in <folder>/clicks/<case>_clicks.json
<list>.csv                                                see `case_list`
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lesionclick.case.case import CT_FOLDER, Case
from lesionclick.case.dataset import CLICKS_ENDING, CLICKS_FOLDER, CT_SUFFIX, PET_SUFFIX
from lesionclick.case.headers import ENDINGS
from lesionclick.case.sockets import INPUTS_FILE
from lesionclick.case.sources import find_pairs
from lesionclick.dicom.study import Study, StudyChoices, open_files, open_study
from lesionclick.errors import CaseError
from lesionclick.files import describe_error

HEADERS = (".mhd", ".nhdr", ".hdr")
"""Endings of files whose voxels lie in another file of the same name."""

NNUNET_FOLDERS = ("imagesTr", "imagesTs")


@dataclass(frozen=True)
class CohortCase:
    """Where a case lies: a study, or the files of CT and PET.

    Attributes:
        name: of its folder of results.
        study: a folder or a zip; None where CT and PET are given.
        ct: HU.
        pet: SUV.
        clicks: None for those that lie beside the images of a study, or else none.
    """

    name: str
    study: Path | None = None
    ct: Path | None = None
    pet: Path | None = None
    clicks: Path | None = None

    def open(self, *, with_clicks: bool) -> Study:
        """Reads the case.

        Raises:
            CaseError: see `open_study` and `open_files`.
        """
        choices = StudyChoices(clicks=() if self.clicks is None else (self.clicks,), takes_clicks=with_clicks)
        if self.ct is not None and self.pet is not None:
            return open_files(self.ct, self.pet, choices)
        if self.study is None:
            raise ValueError("a case needs a study, or CT and PET")
        if (self.study / INPUTS_FILE).is_file() and self.clicks is None:
            case = Case.read(self.study)
            return Study(case, case.geometry, "Grand Challenge's layout")
        return open_study(self.study, choices)

    @property
    def named(self) -> tuple[Path, ...]:
        """The files and folders that the case names."""
        return tuple(path for path in (self.study, self.ct, self.pet, self.clicks) if path is not None)

    def files(self) -> list[Path]:
        """All files that decide what the case holds: those with an image's voxels beside its header, too.

        Raises:
            CaseError: a folder cannot be read.
        """
        found: set[Path] = set()
        try:
            for path in self.named:
                if path == self.study and path.is_dir():
                    found.update(file for file in path.rglob("*") if file.is_file())
                else:
                    found.add(path)
                    if path.suffix.lower() in HEADERS:
                        found.update(file for file in path.parent.iterdir() if file.stem == path.stem)
        except OSError as error:
            raise CaseError(f"{self.name}: cannot be read: {describe_error(error)}") from error
        return sorted(found)

    def stamp(self) -> str:
        """What changes with names, sizes and times of the case's files, without reading them; 64 hexadecimal digits.

        Raises:
            CaseError: a file is missing.
        """
        lines = []
        for path in self.files():
            try:
                status = path.stat()
            except OSError as error:
                raise CaseError(f"{path}: cannot be read: {describe_error(error)}") from error
            lines.append(f"{path} {status.st_size} {status.st_mtime_ns}")
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def digest(self) -> str:
        """What changes with any byte of the case's files or with their names, wherever they lie; likewise 64 digits.

        Raises:
            CaseError: a file is missing or cannot be read.
        """
        base = self.study if self.study is not None and self.study.is_dir() else None
        lines = []
        for path in self.files():
            name = path.name if base is None or not path.is_relative_to(base) else path.relative_to(base).as_posix()
            try:
                with path.open("rb") as file:
                    lines.append(f"{name} {hashlib.file_digest(file, 'sha256').hexdigest()}")
            except OSError as error:
                raise CaseError(f"{path}: cannot be read: {describe_error(error)}") from error
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def cases_in(folder: Path) -> list[CohortCase]:
    """The cases of a folder, in the order of their names; what cannot be told from a case is taken for one.

    Raises:
        CaseError: the folder is missing, cannot be read or is empty.
    """
    if not folder.is_dir():
        raise CaseError(f"{folder}: is missing, expected a folder of cases or a list of them (.csv)")
    for images in (folder, *(folder / name for name in NNUNET_FOLDERS)):
        found = _nnunet_cases(images, folder / CLICKS_FOLDER)
        if found:
            return found
    if (folder / CT_FOLDER).is_dir():
        return [CohortCase(folder.resolve().name, folder)]
    cases = [case for child in _children(folder) for case in _cases_of(child)]
    if not cases:
        raise CaseError(f"{folder}: holds no case, expected a folder or zip a case, or images in nnU-Net's layout")
    return cases


def _children(folder: Path) -> list[Path]:
    try:
        entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise CaseError(f"{folder}: cannot be read: {describe_error(error)}") from error
    return [path for path in entries if path.is_dir() or path.suffix.lower() == ".zip"]


def _nnunet_cases(images: Path, clicks: Path) -> list[CohortCase]:
    cases = []
    for ending in ENDINGS:
        for ct in images.glob(f"*{CT_SUFFIX}{ending}"):
            name = ct.name.removesuffix(f"{CT_SUFFIX}{ending}")
            file = clicks / f"{name}{CLICKS_ENDING}"
            pet = ct.with_name(f"{name}{PET_SUFFIX}{ending}")
            cases.append(CohortCase(name, ct=ct, pet=pet, clicks=file if file.is_file() else None))
    return sorted(cases, key=lambda case: case.name)


def _cases_of(child: Path) -> Iterable[CohortCase]:
    """The case of a folder or zip, or all where it is a folder of several studies."""
    name = child.stem if child.is_file() else child.name
    try:
        pairs = find_pairs(child) if child.is_dir() else []
    except CaseError:  # which is said again when the case is opened, and costs no other one
        pairs = []
    if len(pairs) < 2:
        return [CohortCase(name, child)]
    cases = []
    for pair in pairs:
        study = pair.ct.parent
        if study.relative_to(child).parts[-2:] == CT_FOLDER.parts:
            study = study.parents[1]
        parts = study.relative_to(child).parts
        cases.append(CohortCase("_".join((name, *parts)), study))
    return cases
