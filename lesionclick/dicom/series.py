"""Series of a study: found in a folder whatever its files are called, and the one chosen that is to be read."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lesionclick.dicom.headers import IMAGE_CLASSES, ImageHeader, extent_of, read_image_header
from lesionclick.errors import CaseError
from lesionclick.log import logger

MIN_IMAGES = 3
"""Images of a series from which on it may be a volume; topograms come as one or two."""

TOO_FEW = "too few images"
"""Why a series with less is none."""

LARGER = 1.5
"""By how much longer the largest series has to be than any other to be meant: a late scan of one region is far shorter
than a whole body, while another reconstruction of the same scan is as long."""

LISTED = 3
"""Damaged files that a message names one by one; more are counted."""

SUV_UNITS = {"BQML", "CNTS", "GML"}
"""Units of a PET that SUV can be made of."""

_NAMES = {"CT": "CT", "PT": "PET", "SEG": "segmentation"}

_OPTIONS = {"CT": "--ct-series", "PT": "--pet-series", "SEG": "--seg-series"}
"""Of the commands that read studies, to name a series by."""

_TOPOGRAM = re.compile(r"topogram|scout|locali[sz]er|surview|scanogra", re.IGNORECASE)


@dataclass(frozen=True)
class Series:
    """A series of a study, as its files' headers describe it; as text, what tells it from others.

    Attributes:
        uid: SeriesInstanceUID.
        modality: "CT", "PT" (PET), "SEG", ...
        description: SeriesDescription that most of its files have, empty where there is none.
        paths: its files, in order of their names.
        image_types: values of ImageType that some file has, "ORIGINAL", "LOCALIZER", ...
        corrections: values of CorrectedImage that all files have, "ATTN", "DECY", ...; None where they do not say.
        sop_classes: SOPClassUID of the files.
        number: SeriesNumber, None where there is none.
        images: slices, those of multi-frame files counted one by one.
        extent: mm between the two ends of its slices' places.
        units: Units of the files, "BQML" for instance.
        series_types: values of SeriesType, "WHOLE BODY", "DYNAMIC", ...
        frames_of_reference: FrameOfReferenceUID of the files.
        damaged: a sentence for each file of the study that says it is DICOM and cannot be read; of a series that was
            chosen also for each that seems to be one of its slices and has another UID.
    """

    uid: str
    modality: str
    description: str
    paths: tuple[Path, ...]
    image_types: frozenset[str] = frozenset()
    corrections: frozenset[str] | None = None
    sop_classes: frozenset[str] = frozenset()
    number: int | None = None
    images: int = 0
    extent: float = 0.0
    units: frozenset[str] = frozenset()
    series_types: frozenset[str] = frozenset()
    frames_of_reference: frozenset[str] = frozenset()
    damaged: tuple[str, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        number = "no number" if self.number is None else f"number {self.number}"
        slices = "1 slice" if self.images == 1 else f"{self.images} slices"
        return f"{number}, {self.description!r}, {slices}, UID {self.uid}"


def find_series(study: Path) -> list[Series]:
    """The series of a study's folder and all its subfolders, by modality, description and UID.

    Files that are not DICOM are passed over, and copies of an image that was found before. Topograms within another
    series are told from it. Files that say they are DICOM and cannot be read are counted and named in a warning.

    Raises:
        CaseError: the folder is missing.
    """
    if not study.is_dir():
        raise CaseError(f"{study}: the folder is missing, expected a DICOM study")
    series: dict[tuple[str, str, bool], list[ImageHeader]] = defaultdict(list)
    damaged: list[str] = []
    seen: set[tuple[str, str, tuple[tuple[float, ...], ...]]] = set()
    copies = 0
    for path in sorted(path for path in study.rglob("*") if path.is_file()):
        try:
            header = read_image_header(path)
        except CaseError as error:
            damaged.append(str(error))
            continue
        if header is None:
            continue
        image = (header.series_uid, header.image_uid, header.positions)
        if header.image_uid and image in seen:
            copies += 1
            continue
        seen.add(image)
        series[header.modality, header.series_uid, "LOCALIZER" in header.image_types].append(header)
    if copies:
        logger.warning("%s: %d files are copies of images found before, and are left out", study, copies)
    if damaged:
        logger.warning("%s: %s", study, count_damaged(damaged))
    return sorted(
        (_describe(headers, damaged) for headers in series.values()),
        key=lambda one: (one.modality, one.description, one.uid, one.images),
    )


def count_damaged(damaged: Sequence[str]) -> str:
    """How many files are damaged, and the first of them with what is wrong."""
    more = f"; and {len(damaged) - LISTED} more" if len(damaged) > LISTED else ""
    count = "1 damaged DICOM file is" if len(damaged) == 1 else f"{len(damaged)} damaged DICOM files are"
    return f"{count} left out: {'; '.join(damaged[:LISTED])}{more}"


def _describe(headers: Sequence[ImageHeader], damaged: Sequence[str]) -> Series:
    known = [header.corrections for header in headers if header.corrections is not None]
    return Series(
        uid=headers[0].series_uid,
        modality=headers[0].modality,
        description=Counter(header.description for header in headers).most_common(1)[0][0],
        paths=tuple(header.path for header in headers),
        image_types=frozenset().union(*(header.image_types for header in headers)),
        corrections=frozenset.intersection(*known) if known else None,
        sop_classes=frozenset(header.sop_class for header in headers),
        number=headers[0].number,
        images=sum(header.frames for header in headers),
        extent=extent_of([place for header in headers for place in header.positions]),
        units=frozenset(header.units for header in headers if header.units),
        series_types=frozenset().union(*(header.series_types for header in headers)),
        frames_of_reference=frozenset(header.frame_of_reference for header in headers if header.frame_of_reference),
        damaged=tuple(damaged),
    )


def choose_series(
    study: Path,
    found: Sequence[Series],
    modality: str,
    name: str | None = None,
    frame_of_reference: str | None = None,
) -> Series:
    """The series with a UID or number, or the one of a modality that can be meant where none is given.

    Nothing but a volume of the body can be meant: no topogram, projection, or secondary capture such as a dose report,
    and no PET that is said to lack the correction for attenuation. Where several are left, one rule after the other
    leaves those out that are less likely meant, as long as any are left: those outside the frame of reference; of PET
    those that are not known to be corrected for attenuation, or not for decay, in units without SUV, or of a series in
    time; those that someone derived from another series; and all but the largest, if it is longer than each of the
    others by `LARGER`.

    Args:
        study: the folder, for messages.
        found: what `find_series` gives.
        modality: "CT", "PT" or "SEG".
        name: SeriesInstanceUID or SeriesNumber; whatever it names is taken.
        frame_of_reference: FrameOfReferenceUID of the PET, for the CT that was acquired with it; None for any.

    Raises:
        CaseError: there is no such series, or there are several; the message lists them and says how to choose.
    """
    candidates = [series for series in found if series.modality == modality]
    if not candidates:
        others = _list_series(found) if found else "no DICOM image at all"
        raise CaseError(
            f"{study}: holds no {_NAMES.get(modality, modality)} (no series of modality {modality}), only {others}"
        )
    if name is not None:
        return _with_lost_slices(_named(study, candidates, modality, name), candidates)
    fit = [series for series in candidates if _why_unfit(series) is None]
    if not fit:
        raise CaseError(
            f"{study}: holds no {modality} series to take unless it is named ({_OPTIONS[modality]}): "
            f"{_list_series(candidates, reasons=True)}"
        )
    left = _most_likely(fit, frame_of_reference)
    if len(left) > 1:
        raise CaseError(
            f"{study}: holds {len(left)} {modality} series, name one by UID or number ({_OPTIONS[modality]}): "
            f"{_list_series(left)}"
        )
    return _with_lost_slices(left[0], candidates)


def _with_lost_slices(chosen: Series, candidates: Sequence[Series]) -> Series:
    """The series with those images among the damaged ones that are like its own but for the UID of their series."""

    def kind_of(series: Series) -> tuple[object, ...]:
        return series.sop_classes, series.number, series.description, _why_unfit(series) in (None, TOO_FEW)

    lost = (
        f"{path}: is like the slices of series {chosen.uid} but for its UID {one.uid}"
        for one in candidates
        if one.uid != chosen.uid and one.images < MIN_IMAGES <= chosen.images and kind_of(one) == kind_of(chosen)
        for path in one.paths
    )
    return replace(chosen, damaged=(*chosen.damaged, *lost))


def _named(study: Path, candidates: Sequence[Series], modality: str, name: str) -> Series:
    name = name.strip()
    chosen = [one for one in candidates if name == one.uid or (name.isdigit() and one.number == int(name))]
    # one UID may stand for a series and a topogram in it
    chosen = [one for one in chosen if _why_unfit(one) is None] or chosen
    if not chosen:
        raise CaseError(f"{study}: holds no {modality} series {name}, only {_list_series(candidates)}")
    if len(chosen) > 1:
        raise CaseError(
            f"{study}: holds {len(chosen)} {modality} series {name}, name one by its UID: {_list_series(chosen)}"
        )
    return chosen[0]


def _most_likely(fit: list[Series], frame_of_reference: str | None) -> list[Series]:
    """The series that are left by `choose_series`' rules, at least one."""

    def prefer(left: list[Series], preferred: list[Series]) -> list[Series]:
        return preferred or left

    left = prefer(fit, [one for one in fit if frame_of_reference in one.frames_of_reference])
    if left[0].modality == "PT":
        for correction in ("ATTN", "DECY"):
            left = prefer(left, [one for one in left if correction in (one.corrections or ())])
        left = prefer(left, [one for one in left if one.units and one.units <= SUV_UNITS])
        left = prefer(left, [one for one in left if not one.series_types & {"DYNAMIC", "GATED"}])
    left = prefer(left, [one for one in left if "SECONDARY" not in one.image_types])
    largest = max(left, key=lambda one: one.extent)
    return prefer(
        left, [largest] if all(largest.extent > LARGER * one.extent for one in left if one is not largest) else []
    )


def _why_unfit(series: Series) -> str | None:
    """Why a series cannot be meant where none is named; None where it can."""
    if series.modality not in IMAGE_CLASSES:
        return None
    if not series.sop_classes <= IMAGE_CLASSES[series.modality]:
        return "other objects than the scanner's images"
    if "LOCALIZER" in series.image_types or _TOPOGRAM.search(series.description):
        return "a topogram"
    if {"MIP", "PROJECTION IMAGE"} & series.image_types or re.search(r"\bMIP\b", series.description):
        return "a projection"
    if series.images < MIN_IMAGES:
        return TOO_FEW
    if series.modality == "PT" and series.corrections is not None and "ATTN" not in series.corrections:
        return "not corrected for attenuation"
    return None


def _list_series(listed: Sequence[Series], reasons: bool = False) -> str:
    mixed = len({series.modality for series in listed}) > 1 or not reasons
    return "; ".join(
        f"{f'{series.modality} ' if mixed else ''}{series}{f', {_why_unfit(series)}' if reasons else ''}"
        for series in listed
    )
