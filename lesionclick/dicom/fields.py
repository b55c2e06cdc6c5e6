"""Fields of a DICOM header: read with checks; each error names the file, the field and its tag.

Two datasets occur everywhere: `item`, which holds the field, and `header`, the dataset of the whole file, which knows
the file's name. They are the same (and `header` is left out) unless `item` is one of a sequence in the file.
"""

import datetime
from collections.abc import Callable
from typing import Any

import numpy as np
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.valuerep import DA, DT, TM

from lesionclick.errors import CaseError

MALFORMED = (AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError)
"""What pydicom and highdicom raise on files that break the standard or need a decoder that is not installed."""


def tag_of(keyword: str) -> str:
    """A field as messages name it: keyword and tag, "PatientWeight (0010,1030)" for instance."""
    return f"{keyword} {Tag(tag_for_keyword(keyword) or 0)}"


def _value_of(item: Dataset, keyword: str, header: Dataset | None) -> Any:
    value = item.get(keyword)
    if value is None or (hasattr(value, "__len__") and len(value) == 0):
        raise CaseError(f"{(header or item).filename}: {tag_of(keyword)} is missing")
    return value


def text_of(item: Dataset, keyword: str, header: Dataset | None = None) -> str:
    r"""The text of a field; several values are joined by a backslash, as in the file.

    Raises:
        CaseError: the field is missing or empty.
    """
    value = _value_of(item, keyword, header)
    return value if isinstance(value, str) else "\\".join(map(str, value))


def sequence_item(item: Dataset, keyword: str, header: Dataset | None = None) -> Dataset:
    """The first item of a sequence.

    Raises:
        CaseError: the sequence is missing or empty.
    """
    first: Dataset = _value_of(item, keyword, header)[0]
    return first


def numbers_of(item: Dataset, keyword: str, length: int, header: Dataset | None = None) -> np.ndarray:
    """The numbers of a field, float64 of shape (length,).

    Raises:
        CaseError: the field is missing, has another length, or holds anything but finite numbers.
    """
    value = _value_of(item, keyword, header)
    try:
        numbers = np.atleast_1d(np.array(value, dtype=np.float64))
    except (TypeError, ValueError):
        numbers = np.empty(0)
    if numbers.shape != (length,) or not np.isfinite(numbers).all():
        raise CaseError(f"{(header or item).filename}: {tag_of(keyword)} is {value}, expected {length} number(s)")
    return numbers


def positive_number(item: Dataset, keyword: str, header: Dataset | None = None) -> float:
    """The one number of a field.

    Raises:
        CaseError: the field is missing or anything but one number above 0.
    """
    number = float(numbers_of(item, keyword, 1, header)[0])
    if number <= 0:
        raise CaseError(f"{(header or item).filename}: {tag_of(keyword)} is {number:g}, expected more than 0")
    return number


def date_and_time(header: Dataset, event: str) -> datetime.datetime:
    """A moment that is stored as a date and a time: "Series" stands for SeriesDate and SeriesTime.

    Raises:
        CaseError: one of the two is missing or not what it should be.
    """
    text = text_of(header, f"{event}Date")
    date = _parse(DA, text, f"{header.filename}: {tag_of(f'{event}Date')} is {text!r}, not a date")
    return datetime.datetime.combine(date, time_of(header, f"{event}Time"))


def time_of(item: Dataset, keyword: str, header: Dataset | None = None) -> datetime.time:
    """The time of day in a field (TM), to the microsecond.

    Raises:
        CaseError: the field is missing or not a time of day.
    """
    text = text_of(item, keyword, header)
    time = _parse(TM, text, f"{(header or item).filename}: {tag_of(keyword)} is {text!r}, not a time of day")
    return datetime.time(time.hour, time.minute, time.second, time.microsecond)


def moment_of(item: Dataset, keyword: str, header: Dataset | None = None) -> datetime.datetime:
    """The date and time in one field (DT); see `parse_moment`.

    Raises:
        CaseError: the field is missing or not a date and time.
    """
    return parse_moment(text_of(item, keyword, header), f"{(header or item).filename}: {tag_of(keyword)}")


def parse_moment(text: str, place: str) -> datetime.datetime:
    """A DICOM date and time (DT), given at least to the minute, on the site's clock; an offset from UTC is dropped.

    Args:
        text: YYYYMMDDHHMM, with seconds and their fraction where there are any.
        place: file and field, for the message.

    Raises:
        CaseError: the text is not a date and time.
    """
    has_minutes = text[:12].isdigit() and len(text) >= 12
    moment = _parse(DT, text if has_minutes else "", f"{place} is {text!r}, not a date and time")
    return datetime.datetime.combine(moment.date(), moment.time())


def _parse(kind: Callable[[str], Any], text: str, message: str) -> Any:
    """A text as pydicom's `DA`, `TM` or `DT`, which give None for an empty one; CaseError where it is none."""
    try:
        found = kind(text)
    except ValueError:
        found = None
    if found is None:
        raise CaseError(message)
    return found
