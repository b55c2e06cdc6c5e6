"""Series of a study: found in a folder, and the one chosen that is to be read."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError

from lesionclick.errors import CaseError


@dataclass(frozen=True)
class Series:
    """A series of a study, as its files' headers describe it.

    Attributes:
        uid: SeriesInstanceUID.
        modality: "CT", "PT" (PET), "SEG", ...
        description: SeriesDescription, empty where there is none.
        paths: its files, in order of their names.
    """

    uid: str
    modality: str
    description: str
    paths: tuple[Path, ...]


def find_series(study: Path) -> list[Series]:
    """The series of a study's folder and all its subfolders, by modality and description.

    Files that are not DICOM, or lack a modality or a series, are passed over.

    Raises:
        CaseError: the folder is missing.
    """
    if not study.is_dir():
        raise CaseError(f"{study}: the folder is missing, expected a DICOM study")
    fields = ["Modality", "SeriesInstanceUID", "SeriesDescription"]
    paths: dict[tuple[str, str, str], list[Path]] = defaultdict(list)
    for path in sorted(path for path in study.rglob("*") if path.is_file()):
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=fields)
        except InvalidDicomError:
            continue
        if header.get("SeriesInstanceUID") and header.get("Modality"):
            key = (header.Modality, str(header.get("SeriesDescription") or ""), str(header.SeriesInstanceUID))
            paths[key].append(path)
    return [Series(uid, modality, text, tuple(paths[modality, text, uid])) for modality, text, uid in sorted(paths)]


def choose_series(study: Path, found: Sequence[Series], modality: str, uid: str | None = None) -> Series:
    """The one series of a modality, or that with the UID where one is given.

    Args:
        study: the folder, for messages.
        found: what `find_series` gives.
        modality: "CT" or "PT".
        uid: SeriesInstanceUID, needed where the study has several series of the modality.

    Raises:
        CaseError: there is no such series, or there are several; the message lists them.
    """
    candidates = [series for series in found if series.modality == modality]
    chosen = [series for series in candidates if uid in (None, series.uid)]
    if len(chosen) == 1:
        return chosen[0]
    listed = "; ".join(f"{series.uid} ({series.description}, {len(series.paths)} files)" for series in candidates)
    if not candidates:
        raise CaseError(f"{study}: holds no series of modality {modality}")
    if not chosen:
        raise CaseError(f"{study}: holds no {modality} series {uid}, only {listed}")
    raise CaseError(f"{study}: holds {len(candidates)} {modality} series, name one by its UID: {listed}")
