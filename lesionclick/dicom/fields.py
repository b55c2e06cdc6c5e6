"""Fields of a DICOM header, with errors that name file and attribute."""

import datetime
from typing import Any

import numpy as np
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.valuerep import DA, DT, TM

from lesionclick.errors import CaseError

MALFORMED = (AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError)
"""What pydicom and highdicom raise on files that break the standard or need a decoder that is not installed."""


def date_and_time(item: Dataset, kind: str) -> datetime.datetime:
    text = text_of(item, f"{kind}Date")
    try:
        date = DA(text)
    except ValueError:
        date = None
    if date is None:
        raise CaseError(f"{item.filename}: {tag_of(f'{kind}Date')} is {text!r}, not a date")
    return datetime.datetime.combine(date, time_of(item, f"{kind}Time", item))


def time_of(item: Dataset, keyword: str, header: Dataset) -> datetime.time:
    text = text_of(item, keyword, header)
    try:
        time = TM(text)
    except ValueError:
        time = None
    if time is None:
        raise CaseError(f"{header.filename}: {tag_of(keyword)} is {text!r}, not a time of day")
    return datetime.time(time.hour, time.minute, time.second, time.microsecond)


def moment_of(item: Dataset, keyword: str, header: Dataset) -> datetime.datetime:
    return parse_moment(text_of(item, keyword, header), f"{header.filename}: {tag_of(keyword)}")


def parse_moment(text: str, where: str) -> datetime.datetime:
    """A DICOM date and time, at least to the minute; an offset from UTC is that of the site's clock, as elsewhere."""
    try:
        moment = DT(text) if text[:12].isdigit() and len(text) >= 12 else None
    except ValueError:
        moment = None
    if moment is None:
        raise CaseError(f"{where} is {text!r}, not a date and time")
    return datetime.datetime.combine(moment.date(), moment.time())


def tag_of(keyword: str) -> str:
    """A field as messages name it, keyword and tag."""
    return f"{keyword} {Tag(tag_for_keyword(keyword) or 0)}"


def _value(item: Dataset, keyword: str, header: Dataset | None = None) -> Any:
    """A field that has to be there; `header` is the file's dataset where `item` is one of a sequence in it."""
    value = item.get(keyword)
    if value is None or (hasattr(value, "__len__") and len(value) == 0):
        raise CaseError(f"{(header or item).filename}: {tag_of(keyword)} is missing")
    return value


def text_of(item: Dataset, keyword: str, header: Dataset | None = None) -> str:
    value = _value(item, keyword, header)
    return value if isinstance(value, str) else "\\".join(map(str, value))


def sequence_item(item: Dataset, keyword: str, header: Dataset | None = None) -> Dataset:
    return _value(item, keyword, header)[0]


def numbers_of(item: Dataset, keyword: str, length: int, header: Dataset | None = None) -> np.ndarray:
    """A field of that many numbers, float64."""
    value = _value(item, keyword, header)
    try:
        numbers = np.atleast_1d(np.array(value, dtype=np.float64))
    except (TypeError, ValueError):
        numbers = np.empty(0)
    if numbers.shape != (length,) or not np.isfinite(numbers).all():
        raise CaseError(f"{(header or item).filename}: {tag_of(keyword)} is {value}, expected {length} number(s)")
    return numbers


def positive_number(item: Dataset, keyword: str, header: Dataset) -> float:
    number = float(numbers_of(item, keyword, 1, header)[0])
    if number <= 0:
        raise CaseError(f"{header.filename}: {tag_of(keyword)} is {number:g}, expected more than 0")
    return number
