"""A DICOM study with a CT series, a PET series and segmentations (TCGA-LUAD, NSCLC Radiogenomics) -> a case of ours.

Everything ends up on the PET's grid: the CT (HU) resampled linearly, the DICOM SEG by nearest neighbour. PET in Bq/ml
becomes body-weight SUV from the headers, as the Quantitative Imaging Biomarkers Alliance's vendor-neutral recipe for
SUV has it (FDG-PET/CT profile): SUV = activity concentration * body weight / dose, the dose decayed from its
administration to the time that the scanner corrected its image to.
"""

import datetime
import fnmatch
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.tag import Tag
from pydicom.valuerep import DA, DT, TM

from lesionclick.errors import CaseError
from lesionclick_training.images import AIR, resample_ct, resample_label
from lesionclick_training.nnunet_layout import adding_cases, stack_label, write_case
from lesionclick_training.organs import read_organs

POSITION_TOLERANCE = 0.1
"""mm by which a slice may lie off its even place; positions are often stored with one decimal."""
COSINE_TOLERANCE = 1e-3
MAX_HALF_LIVES = 10
"""From injection to scan; more than this is a wrong time or date, not a scan."""
MIN_DOSE = 1e6
"""Bq; headers that give MBq in place of Bq stay below it."""
GE_CREATOR, GE_SCAN_TIME = "GEMS_PETD_01", 0x0D
"""GE's private element (0009,xx0d): date and time of the scan's start."""

MALFORMED = (AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError)
"""What pydicom and highdicom raise on files that break the standard or need a decoder that is not installed."""


@dataclass(frozen=True)
class Series:
    """A series of a study: its files in no order."""

    uid: str
    modality: str
    description: str
    paths: tuple[Path, ...]


def convert_dicom(
    study: Path,
    dataset: Path,
    name: str | None = None,
    ct_series: str | None = None,
    pet_series: str | None = None,
    segments: Sequence[str] = (),
    without_lesions: bool = False,
    organs: Path | None = None,
) -> str:
    """Adds one study to a dataset, which is made where it is missing.

    Args:
        study: the folder, searched through all its subfolders; files that are not DICOM are passed over.
        dataset: the folder DatasetXXX_Name.
        name: of the case; by default that of the study's folder.
        ct_series: SeriesInstanceUID of the CT, needed where the study has several.
        pet_series: that of the PET, likewise.
        segments: labels of the segments that are lesions, * and ? allowed; needed where there are several segments.
        without_lesions: says that the study is free of lesions; needed where it has no segmentation.
        organs: an organ label as `organs.write_organs` writes it, on any grid (that of the CT, say).

    Returns:
        The case's name.

    Raises:
        CaseError: the study is incomplete, ambiguous or contradicts itself, or the dataset has such a case; nothing is
            added then.
    """
    name = study.resolve().name if name is None else name
    if not name or Path(name).name != name:
        raise CaseError(f"{name!r} cannot name a case, expected a plain name without folders")
    found = find_series(study)
    pet_slices = load_slices(_choose(study, found, "PT", pet_series))
    ct_slices = load_slices(_choose(study, found, "CT", ct_series))
    pet = read_suv(pet_slices)
    frame_of_reference = _text(pet_slices[0], "FrameOfReferenceUID")
    _require_frame_of_reference(ct_slices[0], frame_of_reference)
    ct = resample_ct(read_ct(ct_slices), pet)
    segmentations = [path for series in found if series.modality == "SEG" for path in series.paths]
    if without_lesions and segmentations:
        raise CaseError(f"{segmentations[0]}: a segmentation in a study that was said to be without lesions")
    if without_lesions:
        lesion = np.zeros(pet.GetSize()[::-1], dtype=np.uint8)
    else:
        spacings = {_text(slices[0], "SeriesInstanceUID"): slice_spacing(slices) for slices in (ct_slices, pet_slices)}
        chosen = choose_segments(study, segmentations, segments)
        lesion = read_lesions(chosen, pet, frame_of_reference, spacings)
    organ = None if organs is None else read_organs(organs, pet)
    with adding_cases(dataset) as staged:
        write_case(staged, name, ct, pet, stack_label(lesion, organ))
    return name


def find_series(study: Path) -> list[Series]:
    """The series of a study's folder and all its subfolders, by modality and description.

    Raises:
        CaseError: the folder is missing.
    """
    if not study.is_dir():
        raise CaseError(f"{study}: the folder is missing, expected a DICOM study")
    fields = ["Modality", "SeriesInstanceUID", "SeriesDescription"]
    files: dict[tuple[str, str, str], list[Path]] = defaultdict(list)
    for path in sorted(path for path in study.rglob("*") if path.is_file()):
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=fields)
        except InvalidDicomError:
            continue
        if header.get("SeriesInstanceUID") and header.get("Modality"):
            key = (header.Modality, str(header.get("SeriesDescription") or ""), str(header.SeriesInstanceUID))
            files[key].append(path)
    return [Series(uid, modality, text, tuple(files[modality, text, uid])) for modality, text, uid in sorted(files)]


def _choose(study: Path, found: Sequence[Series], modality: str, uid: str | None) -> Series:
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


def load_slices(series: Series) -> list[Dataset]:
    """The slices of a CT or PET series in order of their positions along the slices' normal.

    Raises:
        CaseError: a slice lacks a field of the geometry or differs in it from the others, there are fewer than two, or
            they are not evenly stacked along their normal.
    """
    slices: list[Dataset] = [pydicom.dcmread(path) for path in series.paths]
    for item in slices:
        if int(item.get("NumberOfFrames") or 1) != 1:
            raise CaseError(f"{item.filename}: is multi-frame, expected one slice a file")
    first = slices[0]
    for keyword, length in (("Rows", 1), ("Columns", 1), ("PixelSpacing", 2), ("ImageOrientationPatient", 6)):
        expected = _numbers(first, keyword, length)
        for item in slices:
            if np.abs(_numbers(item, keyword, length) - expected).max() > COSINE_TOLERANCE:
                raise CaseError(f"{item.filename}: {_tag(keyword)} differs from that of {first.filename}")
    if len(slices) < 2:
        raise CaseError(f"{first.filename}: is the only slice of its series, expected several")
    normal = _axes(first)[2]
    slices.sort(key=lambda item: float(_position(item) @ normal))
    _require_even_stack(slices, normal)
    return slices


def _require_even_stack(slices: Sequence[Dataset], normal: np.ndarray) -> None:
    start = _position(slices[0])
    step = slice_spacing(slices)
    if step < POSITION_TOLERANCE:
        raise CaseError(f"{slices[0].filename}: all slices of its series have the same {_tag('ImagePositionPatient')}")
    for index, item in enumerate(slices):
        off = float(np.linalg.norm(_position(item) - (start + index * step * normal)))
        if off > POSITION_TOLERANCE:
            raise CaseError(
                f"{item.filename}: lies {off:.2f} mm off its place in a stack of {len(slices)} slices {step:.4g} mm "
                "apart, expected slices evenly stacked along their normal (one may be missing or there twice)"
            )


def slice_spacing(slices: Sequence[Dataset]) -> float:
    """Distance from slice to slice in mm, of slices in order."""
    distance = (_position(slices[-1]) - _position(slices[0])) @ _axes(slices[0])[2]
    return float(distance) / (len(slices) - 1)


def _position(item: Dataset) -> np.ndarray:
    return _numbers(item, "ImagePositionPatient", 3)


def _axes(item: Dataset) -> np.ndarray:
    """Unit vectors along the columns' index (x), the rows' index (y) and the normal (z), one a row."""
    orientation = _numbers(item, "ImageOrientationPatient", 6)
    along_row, along_column = orientation[:3], orientation[3:]
    unit = np.abs(np.linalg.norm(orientation.reshape(2, 3), axis=1) - 1).max() <= COSINE_TOLERANCE
    if not unit or abs(along_row @ along_column) > COSINE_TOLERANCE:
        raise CaseError(f"{item.filename}: {_tag('ImageOrientationPatient')} is not two perpendicular unit vectors")
    along_row = along_row / np.linalg.norm(along_row)
    along_column = along_column - (along_column @ along_row) * along_row
    along_column /= np.linalg.norm(along_column)
    return np.stack([along_row, along_column, np.cross(along_row, along_column)])


def read_ct(slices: Sequence[Dataset]) -> sitk.Image:
    """A CT series in HU, float32; what lies below air (padding outside the field of view) is raised to air.

    Raises:
        CaseError: pixels or their rescaling cannot be read.
    """
    return _image(np.maximum(_rescaled(slices), np.float32(AIR)), slices)


def read_suv(slices: Sequence[Dataset]) -> sitk.Image:
    """A PET series in body-weight SUV (g/ml), float32.

    Raises:
        CaseError: the series is not in Bq/ml or not corrected for decay and attenuation, or a field is missing or
            implausible.
    """
    for item in slices:
        if _text(item, "Units") != "BQML":
            raise CaseError(f"{item.filename}: {_tag('Units')} is {item.Units}, expected BQML (Bq/ml)")
    return _image(_rescaled(slices) * np.float32(suv_factor(slices)), slices)


def suv_factor(slices: Sequence[Dataset]) -> float:
    """What Bq/ml are multiplied with to give body-weight SUV (g/ml): weight in g / dose in Bq at the reference time.

    The reference time of the image's decay correction is the scan's start (DecayCorrection START) or the administration
    itself (ADMIN; the dose is then not decayed).

    Raises:
        CaseError: a field that this needs is missing or implausible.
    """
    header = slices[0]
    corrections = _text(header, "CorrectedImage").split("\\")
    for correction in ("ATTN", "DECY"):
        if correction not in corrections:
            raise CaseError(f"{header.filename}: {_tag('CorrectedImage')} lacks {correction}, so there is no SUV")
    drug = _item(header, "RadiopharmaceuticalInformationSequence")
    weight = _positive(header, "PatientWeight", header)
    dose = _positive(drug, "RadionuclideTotalDose", header)
    if dose < MIN_DOSE:
        raise CaseError(f"{header.filename}: {_tag('RadionuclideTotalDose')} is {dose:g}, expected becquerels")
    method = _text(header, "DecayCorrection")
    if method == "START":
        half_life = _positive(drug, "RadionuclideHalfLife", header)
        dose *= 0.5 ** (_seconds_to_scan(slices, drug, half_life) / half_life)
    elif method != "ADMIN":
        raise CaseError(f"{header.filename}: {_tag('DecayCorrection')} is {method}, expected START or ADMIN")
    return weight * 1000 / dose


def _seconds_to_scan(slices: Sequence[Dataset], drug: Dataset, half_life: float) -> float:
    """From the injection to the scan's start."""
    header = slices[0]
    scan = _scan_start(slices)
    if drug.get("RadiopharmaceuticalStartDateTime"):
        injection = _moment(drug, "RadiopharmaceuticalStartDateTime", header)
        source = "RadiopharmaceuticalStartDateTime"
    else:
        source = "RadiopharmaceuticalStartTime"
        injection = datetime.datetime.combine(scan.date(), _time(drug, source, header))
        if injection > scan:  # the time has no date: past midnight it was the day before
            injection -= datetime.timedelta(days=1)
    seconds = (scan - injection).total_seconds()
    if not 0 <= seconds <= MAX_HALF_LIVES * half_life:
        raise CaseError(
            f"{header.filename}: {_tag(source)} is {seconds:.0f} s before the scan's start ({scan}), expected between "
            f"0 and {MAX_HALF_LIVES} half-lives of {half_life:.0f} s"
        )
    return seconds


def _scan_start(slices: Sequence[Dataset]) -> datetime.datetime:
    """When the scan began: the moment that DecayCorrection START refers to.

    The series' own time unless some slice was acquired before it: it is then that of a later reconstruction, and GE's
    private scan time or, for the others, the earliest acquisition counts.
    """
    header = slices[0]
    series = _date_and_time(header, "Series")
    earliest = min(_date_and_time(item, "Acquisition") for item in slices)
    if series <= earliest:
        return series
    try:
        stored = header.private_block(0x0009, GE_CREATOR)[GE_SCAN_TIME].value
    except KeyError:
        return earliest
    text = stored.decode("ascii", "replace").strip("\0 ") if isinstance(stored, bytes) else str(stored)
    return _parse_moment(text, f"{header.filename}: GE's private scan time (0009,xx0d)")


def _date_and_time(item: Dataset, kind: str) -> datetime.datetime:
    text = _text(item, f"{kind}Date")
    try:
        date = DA(text)
    except ValueError:
        date = None
    if date is None:
        raise CaseError(f"{item.filename}: {_tag(f'{kind}Date')} is {text!r}, not a date")
    return datetime.datetime.combine(date, _time(item, f"{kind}Time", item))


def _time(item: Dataset, keyword: str, header: Dataset) -> datetime.time:
    text = _text(item, keyword, header)
    try:
        time = TM(text)
    except ValueError:
        time = None
    if time is None:
        raise CaseError(f"{header.filename}: {_tag(keyword)} is {text!r}, not a time of day")
    return datetime.time(time.hour, time.minute, time.second, time.microsecond)


def _moment(item: Dataset, keyword: str, header: Dataset) -> datetime.datetime:
    return _parse_moment(_text(item, keyword, header), f"{header.filename}: {_tag(keyword)}")


def _parse_moment(text: str, where: str) -> datetime.datetime:
    """A DICOM date and time, at least to the minute; an offset from UTC is that of the site's clock, as elsewhere."""
    try:
        moment = DT(text) if text[:12].isdigit() and len(text) >= 12 else None
    except ValueError:
        moment = None
    if moment is None:
        raise CaseError(f"{where} is {text!r}, not a date and time")
    return datetime.datetime.combine(moment.date(), moment.time())


def _rescaled(slices: Sequence[Dataset]) -> np.ndarray:
    """Pixels times slope plus intercept, each slice by its own; float32 of shape (z, y, x)."""
    planes = []
    for item in slices:
        slope, intercept = (_numbers(item, keyword, 1)[0] for keyword in ("RescaleSlope", "RescaleIntercept"))
        try:
            pixels = item.pixel_array
        except MALFORMED as error:
            raise CaseError(f"{item.filename}: its pixels cannot be read: {error}") from error
        planes.append((pixels * slope + intercept).astype(np.float32))
    return np.stack(planes)


def _image(array_zyx: np.ndarray, slices: Sequence[Dataset]) -> sitk.Image:
    image = sitk.GetImageFromArray(array_zyx)
    between_rows, between_columns = _numbers(slices[0], "PixelSpacing", 2)
    image.SetSpacing((between_columns, between_rows, slice_spacing(slices)))
    image.SetOrigin(_position(slices[0]).tolist())
    image.SetDirection(_axes(slices[0]).T.ravel().tolist())
    return image


def choose_segments(study: Path, paths: Sequence[Path], patterns: Sequence[str]) -> dict[Path, list[int]]:
    """Which segments of which DICOM SEG files are lesions: those whose label fits a pattern, or the only one there is.

    Raises:
        CaseError: there is no segmentation, a pattern fits none, or there are several segments and no pattern.
    """
    labels = {(path, number): label for path in paths for number, label in _segment_labels(path).items()}
    listed = ", ".join(sorted(set(labels.values())))
    if not labels:
        raise CaseError(f"{study}: holds no DICOM SEG; a study that is free of lesions has to be said to be so")
    if not patterns and len(labels) > 1:
        raise CaseError(f"{study}: holds {len(labels)} segments ({listed}), name those that are lesions")
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(label, pattern) for label in labels.values()):
            raise CaseError(f"{study}: no segment is called {pattern!r}, there are {listed}")
    chosen: dict[Path, list[int]] = defaultdict(list)
    for (path, number), label in labels.items():
        if not patterns or any(fnmatch.fnmatchcase(label, pattern) for pattern in patterns):
            chosen[path].append(number)
    return chosen


def _segment_labels(path: Path) -> dict[int, str]:
    header = pydicom.dcmread(path, stop_before_pixels=True)
    try:
        return {int(segment.SegmentNumber): str(segment.SegmentLabel) for segment in header.SegmentSequence}
    except MALFORMED as error:
        raise CaseError(f"{path}: is not a DICOM SEG that can be read: {error}") from error


def read_lesions(
    segments: dict[Path, list[int]], pet: sitk.Image, frame_of_reference: str, spacings: dict[str, float]
) -> np.ndarray:
    """Segments of DICOM SEG files, united, on the PET's grid (nearest neighbour).

    Args:
        segments: file -> numbers of its segments.
        pet: the image whose grid it is.
        frame_of_reference: the PET's FrameOfReferenceUID, which a segmentation has to share.
        spacings: SeriesInstanceUID -> distance between slices in mm, of the series that a segmentation may refer to.

    Returns:
        uint8 of shape (z, y, x), 0 and 1.

    Raises:
        CaseError: a file is not a segmentation of this study, has no even grid, or leaves nothing on the PET's grid.
    """
    lesion = np.zeros(pet.GetSize()[::-1], dtype=np.uint8)
    for path, numbers in segments.items():
        stored = pydicom.dcmread(path)
        _require_frame_of_reference(stored, frame_of_reference)
        _require_slice_spacing(stored, spacings)
        part = resample_label(_read_segments(stored, numbers), pet)
        if not part.any():
            raise CaseError(f"{path}: its chosen segments leave no voxel on the PET's grid")
        lesion |= part
    return lesion


def _require_slice_spacing(stored: Dataset, spacings: dict[str, float]) -> None:
    """Fills in the distance between a segmentation's slices where it is not stored.

    Empty frames are mostly left out, so it cannot be told from the frames' positions.
    """
    measures = _item(_item(stored, "SharedFunctionalGroupsSequence"), "PixelMeasuresSequence", stored)
    if measures.get("SpacingBetweenSlices"):
        return
    referenced = [str(item.get("SeriesInstanceUID")) for item in stored.get("ReferencedSeriesSequence", [])]
    known = [spacings[uid] for uid in referenced if uid in spacings]
    if len(known) != 1:
        raise CaseError(
            f"{stored.filename}: {_tag('SpacingBetweenSlices')} is missing and it does not refer to the CT or the PET "
            "series that is converted"
        )
    measures.SpacingBetweenSlices = known[0]


def _read_segments(stored: Dataset, numbers: Sequence[int]) -> sitk.Image:
    """The union of segments on their own grid, uint8; fractional ones count from one half on."""
    try:
        segmentation = highdicom.seg.Segmentation.from_dataset(stored, copy=False)
        volume = segmentation.get_volume(segment_numbers=numbers)
    except MALFORMED as error:
        raise CaseError(f"{stored.filename}: is not a DICOM SEG with an even grid: {error}") from error
    image = sitk.GetImageFromArray((volume.array >= 0.5).any(axis=-1).astype(np.uint8))
    # highdicom's axes are slices, rows, columns; SimpleITK's are columns, rows, slices
    image.SetSpacing([float(value) for value in volume.spacing[::-1]])
    image.SetOrigin([float(value) for value in volume.position])
    image.SetDirection(volume.direction[:, ::-1].ravel().tolist())
    return image


def _require_frame_of_reference(item: Dataset, expected: str) -> None:
    found = _text(item, "FrameOfReferenceUID")
    if found != expected:
        raise CaseError(
            f"{item.filename}: {_tag('FrameOfReferenceUID')} is {found}, not the PET's {expected}: the two were not "
            "acquired together"
        )


def _tag(keyword: str) -> str:
    """A field as messages name it, keyword and tag."""
    return f"{keyword} {Tag(tag_for_keyword(keyword) or 0)}"


def _value(item: Dataset, keyword: str, header: Dataset | None = None) -> Any:
    """A field that has to be there; `header` is the file's dataset where `item` is one of a sequence in it."""
    value = item.get(keyword)
    if value is None or (hasattr(value, "__len__") and len(value) == 0):
        raise CaseError(f"{(header or item).filename}: {_tag(keyword)} is missing")
    return value


def _text(item: Dataset, keyword: str, header: Dataset | None = None) -> str:
    value = _value(item, keyword, header)
    return value if isinstance(value, str) else "\\".join(map(str, value))


def _item(item: Dataset, keyword: str, header: Dataset | None = None) -> Dataset:
    return _value(item, keyword, header)[0]


def _numbers(item: Dataset, keyword: str, length: int, header: Dataset | None = None) -> np.ndarray:
    """A field of that many numbers, float64."""
    value = _value(item, keyword, header)
    try:
        numbers = np.atleast_1d(np.array(value, dtype=np.float64))
    except (TypeError, ValueError):
        numbers = np.empty(0)
    if numbers.shape != (length,) or not np.isfinite(numbers).all():
        raise CaseError(f"{(header or item).filename}: {_tag(keyword)} is {value}, expected {length} number(s)")
    return numbers


def _positive(item: Dataset, keyword: str, header: Dataset) -> float:
    number = float(_numbers(item, keyword, 1, header)[0])
    if number <= 0:
        raise CaseError(f"{header.filename}: {_tag(keyword)} is {number:g}, expected more than 0")
    return number
