"""Series of a study: found in a folder, and the one chosen that is to be read."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedPETImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    LegacyConvertedEnhancedPETImageStorage,
    PositronEmissionTomographyImageStorage,
)

from lesionclick.errors import CaseError

MIN_IMAGES = 3
"""Images of a series from which on it may be a volume; topograms come as one or two."""

_IMAGE_CLASSES = {
    "CT": {CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage},
    "PT": {
        PositronEmissionTomographyImageStorage,
        EnhancedPETImageStorage,
        LegacyConvertedEnhancedPETImageStorage,
    },
}

_TOPOGRAM = re.compile(r"topogram|scout|locali[sz]er|surview|scanogra", re.IGNORECASE)


@dataclass(frozen=True)
class Series:
    """A series of a study, as its files' headers describe it.

    Attributes:
        uid: SeriesInstanceUID.
        modality: "CT", "PT" (PET), "SEG", ...
        description: SeriesDescription, empty where there is none.
        paths: its files, in order of their names.
        image_types: values of ImageType that some file has, "ORIGINAL", "LOCALIZER", ...
        corrections: values of CorrectedImage that all files have, "ATTN", "DECY", ...
        sop_classes: SOPClassUID of the files.
    """

    uid: str
    modality: str
    description: str
    paths: tuple[Path, ...]
    image_types: frozenset[str]
    corrections: frozenset[str]
    sop_classes: frozenset[str]


def find_series(study: Path) -> list[Series]:
    """The series of a study's folder and all its subfolders, by modality and description.

    Files that are not DICOM, or lack a modality or a series, are passed over.

    Raises:
        CaseError: the folder is missing.
    """
    if not study.is_dir():
        raise CaseError(f"{study}: the folder is missing, expected a DICOM study")
    fields = ["Modality", "SeriesInstanceUID", "SeriesDescription", "ImageType", "CorrectedImage", "SOPClassUID"]
    headers: dict[tuple[str, str, str], list[tuple[Path, Dataset]]] = defaultdict(list)
    for path in sorted(path for path in study.rglob("*") if path.is_file()):
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=fields)
        except InvalidDicomError:
            continue
        if header.get("SeriesInstanceUID") and header.get("Modality"):
            key = (header.Modality, str(header.get("SeriesDescription") or ""), str(header.SeriesInstanceUID))
            headers[key].append((path, header))
    return [
        Series(
            uid,
            modality,
            text,
            tuple(path for path, _ in files),
            frozenset.union(*(_values(header, "ImageType") for _, header in files)),
            frozenset.intersection(*(_values(header, "CorrectedImage") for _, header in files)),
            frozenset.union(*(_values(header, "SOPClassUID") for _, header in files)),
        )
        for (modality, text, uid), files in sorted(headers.items(), key=lambda item: item[0])
    ]


def _values(header: Dataset, keyword: str) -> frozenset[str]:
    value = header.get(keyword) or ()
    return frozenset([value] if isinstance(value, str) else map(str, value))


def choose_series(study: Path, found: Sequence[Series], modality: str, uid: str | None = None) -> Series:
    """The series with a UID, or the one of a modality that can be meant where none is given.

    Nothing but a volume of the body can be meant: no topogram, projection, or secondary capture such as a dose report,
    and no PET without correction for attenuation. Where several are left, those go that someone derived from
    another series, and of PET those without correction for decay.

    Args:
        study: the folder, for messages.
        found: what `find_series` gives.
        modality: "CT", "PT" or "SEG".
        uid: SeriesInstanceUID; whatever it names is taken.

    Raises:
        CaseError: there is no such series, or there are several; the message lists them.
    """
    candidates = [series for series in found if series.modality == modality]
    if not candidates:
        raise CaseError(f"{study}: holds no series of modality {modality}")
    if uid is not None:
        for series in candidates:
            if series.uid == uid:
                return series
        raise CaseError(f"{study}: holds no {modality} series {uid}, only {_list_series(candidates)}")
    chosen = [series for series in candidates if _why_unfit(series) is None]
    if not chosen:
        raise CaseError(
            f"{study}: holds no {modality} series to take unless it is named: {_list_series(candidates, reasons=True)}"
        )
    if modality == "PT":
        chosen = [series for series in chosen if "DECY" in series.corrections] or chosen
    chosen = [series for series in chosen if "SECONDARY" not in series.image_types] or chosen
    if len(chosen) > 1:
        raise CaseError(f"{study}: holds {len(chosen)} {modality} series, name one by its UID: {_list_series(chosen)}")
    return chosen[0]


def _why_unfit(series: Series) -> str | None:
    """Why a series cannot be meant where none is named; None where it can."""
    if series.modality not in _IMAGE_CLASSES:
        return None
    if not series.sop_classes <= _IMAGE_CLASSES[series.modality]:
        return "other objects than the scanner's images"
    if "LOCALIZER" in series.image_types or _TOPOGRAM.search(series.description):
        return "a topogram"
    if {"MIP", "PROJECTION IMAGE"} & series.image_types or re.search(r"\bMIP\b", series.description):
        return "a projection"
    if len(series.paths) < MIN_IMAGES:
        return "too few images"
    if series.modality == "PT" and "ATTN" not in series.corrections:
        return "not corrected for attenuation"
    return None


def _list_series(listed: Sequence[Series], reasons: bool = False) -> str:
    return "; ".join(
        f"{series.uid} ({series.description}, {len(series.paths)} files{f', {_why_unfit(series)}' if reasons else ''})"
        for series in listed
    )
