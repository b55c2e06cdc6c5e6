"""Fields of a DICOM header: read with checks; each error names the file, the field and its tag.

Two datasets occur everywhere: `item`, which holds the field, and `header`, the dataset of the whole file, which knows
the file's name. They are the same (and `header` is left out) unless `item` is one of a sequence in the file.
"""

import datetime
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.valuerep import DA, DT, TM

from lesionclick.dicom.reading import damage_as_case_error
from lesionclick.errors import CaseError

MALFORMED = (AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError)
"""What pydicom and highdicom raise on files that break the standard or need a decoder that is not installed."""


def tag_of(keyword: str) -> str:
    """A field as messages name it: keyword and tag, "PatientWeight (0010,1030)" for instance."""
    return f"{keyword} {Tag(tag_for_keyword(keyword) or 0)}"


def place_of(item: Dataset, keyword: str, header: Dataset | None = None) -> str:
    """File and field as messages name them."""
    return f"{file_of(header or item)}: {tag_of(keyword)}"


def file_of(header: Dataset) -> str:
    """The name of the file that a dataset was read from, for messages."""
    return str(getattr(header, "filename", None) or "a DICOM dataset")


def optional_value(item: Dataset, keyword: str, header: Dataset | None = None) -> Any:
    """A field's value as pydicom gives it; None where it is missing or empty.

    Raises:
        CaseError: the field is damaged.
    """
    with damage_as_case_error(place_of(item, keyword, header)):
        value = item.get(keyword)
    if value is None or (hasattr(value, "__len__") and len(value) == 0):
        return None
    return value


def _value_of(item: Dataset, keyword: str, header: Dataset | None) -> Any:
    value = optional_value(item, keyword, header)
    if value is None:
        raise CaseError(f"{place_of(item, keyword, header)} is missing")
    return value


def text_of(item: Dataset, keyword: str, header: Dataset | None = None) -> str:
    r"""The text of a field; several values are joined by a backslash, as in the file.

    Raises:
        CaseError: the field is missing or empty.
    """
    return _as_text(_value_of(item, keyword, header))


def optional_text(item: Dataset, keyword: str, header: Dataset | None = None) -> str:
    """The text of a field as `text_of` gives it, without blanks around it; empty where it is missing."""
    value = optional_value(item, keyword, header)
    return "" if value is None else _as_text(value).strip(" \0")


def _as_text(value: Any) -> str:
    several = hasattr(value, "__iter__") and not isinstance(value, str)
    return "\\".join(map(str, value)) if several else str(value)


def shared_text(slices: Sequence[Dataset], keyword: str) -> str:
    """The text of a field that all slices have to share; empty where it is missing in all.

    Raises:
        CaseError: slices differ in it.
    """
    first = optional_text(slices[0], keyword)
    for item in slices:
        if optional_text(item, keyword) != first:
            raise CaseError(
                f"{place_of(item, keyword)} differs from that of {file_of(slices[0])} ({first or 'missing'})"
            )
    return first


def values_of(item: Dataset, keyword: str, header: Dataset | None = None) -> frozenset[str]:
    """The values of a field of texts, such as ImageType; empty where it is missing."""
    return frozenset(filter(None, (text.strip() for text in optional_text(item, keyword, header).split("\\"))))


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
        raise CaseError(f"{place_of(item, keyword, header)} is {value}, expected {length} number(s)")
    return numbers


def positive_number(item: Dataset, keyword: str, header: Dataset | None = None) -> float:
    """The one number of a field.

    Raises:
        CaseError: the field is missing or anything but one number above 0.
    """
    number = float(numbers_of(item, keyword, 1, header)[0])
    if number <= 0:
        raise CaseError(f"{place_of(item, keyword, header)} is {number:g}, expected more than 0")
    return number


def private_text(header: Dataset, group: int, creator: str, element: int) -> str:
    """The text of a vendor's private field, without blanks around it; empty where the file has none.

    Args:
        header: of the file.
        group: the odd group, 0x7053 for instance.
        creator: the vendor's name of its block of fields.
        element: the last byte of the field's number.
    """
    with damage_as_case_error(f"{file_of(header)}: ({group:04X},xx{element:02X})"):
        try:
            value = header.private_block(group, creator)[element].value
        except KeyError:
            return ""
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else _as_text("" if value is None else value)
    return str(text).strip("\0 ")


def date_of(item: Dataset, keyword: str, header: Dataset | None = None) -> datetime.date:
    """The day in a field (DA).

    Raises:
        CaseError: the field is missing or not a date.
    """
    text = text_of(item, keyword, header)
    found: datetime.date = _parse(DA, text, f"{place_of(item, keyword, header)} is {text!r}, not a date")
    return datetime.date(found.year, found.month, found.day)


def date_and_time(header: Dataset, event: str) -> datetime.datetime:
    """A moment that is stored as a date and a time: "Series" stands for SeriesDate and SeriesTime.

    Raises:
        CaseError: one of the two is missing or not what it should be.
    """
    return datetime.datetime.combine(date_of(header, f"{event}Date"), time_of(header, f"{event}Time"))


def time_of(item: Dataset, keyword: str, header: Dataset | None = None) -> datetime.time:
    """The time of day in a field (TM), to the microsecond.

    Raises:
        CaseError: the field is missing or not a time of day.
    """
    return parse_time(text_of(item, keyword, header), place_of(item, keyword, header))


def parse_time(text: str, place: str) -> datetime.time:
    """A DICOM time of day (TM), to the microsecond.

    Args:
        text: HHMM, with seconds and their fraction where there are any.
        place: file and field, for the message.

    Raises:
        CaseError: the text is not a time of day.
    """
    time = _parse(TM, text, f"{place} is {text!r}, not a time of day")
    return datetime.time(time.hour, time.minute, time.second, time.microsecond)


def moment_of(item: Dataset, keyword: str, header: Dataset | None = None) -> datetime.datetime:
    """The date and time in one field (DT); see `parse_moment`.

    Raises:
        CaseError: the field is missing or not a date and time.
    """
    return parse_moment(text_of(item, keyword, header), place_of(item, keyword, header))


def parse_moment(text: str, place: str) -> datetime.datetime:
    """A DICOM date and time (DT), given at least to the minute; it knows its offset from UTC where the text has one.

    Args:
        text: YYYYMMDDHHMM, with seconds, their fraction and an offset (+0200) where there are any.
        place: file and field, for the message.

    Raises:
        CaseError: the text is not a date and time.
    """
    text = text.strip(" \0")
    has_minutes = text[:12].isdigit() and len(text) >= 12
    moment = _parse(DT, text if has_minutes else "", f"{place} is {text!r}, not a date and time")
    return datetime.datetime.combine(moment.date(), moment.timetz())


def offset_from_utc(header: Dataset) -> datetime.timezone | None:
    """TimezoneOffsetFromUTC, which all dates and times of the file keep to; None where the file does not say.

    Raises:
        CaseError: the field is not an offset.
    """
    text = optional_text(header, "TimezoneOffsetFromUTC")
    if not text:
        return None
    message = f"{place_of(header, 'TimezoneOffsetFromUTC')} is {text!r}, expected an offset such as +0200"
    if len(text) != 5 or text[0] not in "+-":
        raise CaseError(message)
    moment = _parse(DT, f"20000101120000{text}", message)
    return datetime.timezone(moment.utcoffset())


def _parse(kind: Callable[[str], Any], text: str, message: str) -> Any:
    """A text as pydicom's `DA`, `TM` or `DT`, which give None for an empty one; CaseError where it is none."""
    try:
        found = kind(text.strip(" \0"))
    except ValueError:
        found = None
    if found is None:
        raise CaseError(message)
    return found
