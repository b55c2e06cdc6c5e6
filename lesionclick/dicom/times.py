"""Times of a PET: when the dose was injected, and the moment that the image's decay is corrected to.

All moments are on the site's clock and without an offset from UTC: one that has an offset is brought there by the
file's TimezoneOffsetFromUTC.
"""

import datetime
import math
from collections.abc import Sequence

from pydicom.dataset import Dataset

from lesionclick.dicom.fields import (
    date_of,
    moment_of,
    offset_from_utc,
    optional_value,
    parse_moment,
    place_of,
    positive_number,
    private_text,
    time_of,
)
from lesionclick.errors import CaseError

MAX_HALF_LIVES = 10
"""From injection to scan; more than this is a wrong time or date, not a scan."""

LONG_HALF_LIFE = 6 * 3600.0
"""s, from which on a scan may follow a day or more after the injection, so that times without a date do not tell."""

ONE_DAY = datetime.timedelta(days=1)

GE_CREATOR, GE_SCAN_TIME = "GEMS_PETD_01", 0x0D
"""GE's private element (0009,xx0d): date and time of the scan's start."""

NO_DATE = datetime.date(2000, 1, 1)
"""Stands for the day of a file without dates: only the difference of its times counts."""

Given = datetime.datetime | datetime.time
"""What a person gives for a time."""


def scan_start(slices: Sequence[Dataset], given: Given | None, warnings: list[str]) -> datetime.datetime:
    """When the scan began: the moment that DecayCorrection START refers to.

    By QIBA's recipe that is SeriesDate and SeriesTime, unless some slice was acquired before: they are then those of a
    later reconstruction, and GE's private scan time or, for other vendors, the earliest AcquisitionDate and
    AcquisitionTime count. An enhanced PET names the moment in DecayCorrectionDateTime.

    Args:
        slices: the datasets of the series.
        given: the moment, or its time of day, in place of all that.
        warnings: what is taken with doubt is added.

    Raises:
        CaseError: a field that this needs is missing or not a time.
    """
    header = slices[0]
    if isinstance(given, datetime.datetime):
        return on_site_clock(given, header)
    if given is not None:
        return datetime.datetime.combine(_date(header, ("Acquisition", "Series"), []), given)
    if optional_value(header, "DecayCorrectionDateTime") is not None:
        return on_site_clock(moment_of(header, "DecayCorrectionDateTime"), header)
    earliest = min(acquisition_start(item, warnings) for item in slices)
    if optional_value(header, "SeriesTime") is None:
        warnings.append(
            f"{place_of(header, 'SeriesTime')} is missing, the scan's start is taken as the earliest acquisition"
        )
        return earliest
    series = datetime.datetime.combine(
        _date(header, ("Series", "Acquisition"), warnings), time_of(header, "SeriesTime")
    )
    if series <= earliest:
        return series
    text = private_text(header, 0x0009, GE_CREATOR, GE_SCAN_TIME)
    if not text:
        return earliest
    place = f"{place_of(header, 'SeriesTime').partition(': ')[0]}: GE's private scan time (0009,xx0d)"
    return on_site_clock(parse_moment(text, place), header)


def acquisition_start(item: Dataset, warnings: list[str]) -> datetime.datetime:
    """When a slice's acquisition began: AcquisitionDate (SeriesDate where it is missing) and AcquisitionTime.

    Raises:
        CaseError: AcquisitionTime is missing or not a time.
    """
    return datetime.datetime.combine(_date(item, ("Acquisition", "Series"), warnings), time_of(item, "AcquisitionTime"))


def _date(item: Dataset, events: Sequence[str], warnings: list[str]) -> datetime.date:
    """The first date that the file has, and some day where de-identification left none."""
    for event in (*events, "Study", "Content"):
        if optional_value(item, f"{event}Date") is not None:
            return date_of(item, f"{event}Date")
    text = "the files have no dates, times count alone"
    if text not in warnings:
        warnings.append(text)
    return NO_DATE


def mean_activity_time(item: Dataset, half_life: float, warnings: list[str]) -> datetime.datetime:
    """When the activity was the slice's mean one, for an image that is not corrected for decay.

    The mean over a frame of T s of what decays with the constant k is the activity after ln(kT / (1 - exp(-kT))) / k
    (QIBA's profile gives it for the back computation of a scan's start); T is ActualFrameDuration, ms.
    """
    start = acquisition_start(item, warnings)
    if optional_value(item, "ActualFrameDuration") is None:
        return start
    decay = math.log(2) / half_life
    share = decay * positive_number(item, "ActualFrameDuration") / 1000
    return start + datetime.timedelta(seconds=math.log(share / -math.expm1(-share)) / decay)


def injection_start(
    header: Dataset,
    radiopharmaceutical: Dataset,
    scan: datetime.datetime,
    half_life: float,
    given: Given | None,
    warnings: list[str],
) -> datetime.datetime:
    """When the dose was injected.

    That is RadiopharmaceuticalStartDateTime, if it can be true: at most `MAX_HALF_LIVES` before the scan. Where only
    its date is to blame, as when de-identification shifted or cut dates, its time of day counts, with a warning. Files
    without it have RadiopharmaceuticalStartTime; a time without a date is the last such time before the scan.

    Args:
        header: of the first slice.
        radiopharmaceutical: the item that holds the fields.
        scan: the moment that the image is corrected to, on the site's clock.
        half_life: of the radionuclide, s.
        given: the moment, or its time of day, in place of the fields.
        warnings: what is taken with doubt is added.

    Raises:
        CaseError: there is no such time, or it lies after the scan or too long before.
    """
    place = place_of(radiopharmaceutical, "RadiopharmaceuticalStartTime", header)
    if given is not None:
        place = "the given injection time"
        dated = on_site_clock(given, header) if isinstance(given, datetime.datetime) else None
        return _require_between(dated or last_before(scan, given), scan, half_life, place)  # type: ignore[arg-type]
    moment = _dated_injection(header, radiopharmaceutical, warnings)
    if moment is None:
        if half_life > LONG_HALF_LIFE:
            warnings.append(f"{place} has no date, the injection is taken as less than a day before the scan")
        return _require_between(
            last_before(scan, time_of(radiopharmaceutical, "RadiopharmaceuticalStartTime", header)),
            scan,
            half_life,
            place,
        )
    place = place_of(radiopharmaceutical, "RadiopharmaceuticalStartDateTime", header)
    if moment.date() != scan.date() and not _can_be(moment, scan, half_life):
        same_day = last_before(scan, moment.time())
        if _can_be(same_day, scan, half_life):
            warnings.append(
                f"{place} is {moment}, which cannot be for a scan at {scan}: its time of day is taken, {same_day}"
            )
            return same_day
    return _require_between(moment, scan, half_life, place)


def _dated_injection(header: Dataset, radiopharmaceutical: Dataset, warnings: list[str]) -> datetime.datetime | None:
    """RadiopharmaceuticalStartDateTime; None where the time without a date has to do."""
    keyword = "RadiopharmaceuticalStartDateTime"
    if optional_value(radiopharmaceutical, keyword, header) is None:
        return None
    has_time = optional_value(radiopharmaceutical, "RadiopharmaceuticalStartTime", header) is not None
    try:
        moment = moment_of(radiopharmaceutical, keyword, header)
    except CaseError:
        if has_time:
            return None
        raise
    if moment.tzinfo is not None and offset_from_utc(header) is None:
        place = place_of(radiopharmaceutical, keyword, header)
        time = time_of(radiopharmaceutical, "RadiopharmaceuticalStartTime", header) if has_time else moment.time()
        warnings.append(
            f"{place} has an offset from UTC and TimezoneOffsetFromUTC (0008,0201) is missing: the site's clock is "
            f"taken to have shown {time}"
        )
        return datetime.datetime.combine(moment.date(), time)
    return on_site_clock(moment, header)


def last_before(scan: datetime.datetime, time: datetime.time) -> datetime.datetime:
    """The last moment not after the scan at which the clock showed a time: past midnight it was the day before."""
    moment = datetime.datetime.combine(scan.date(), time)
    return moment if moment <= scan else moment - ONE_DAY


def on_site_clock(moment: datetime.datetime, header: Dataset) -> datetime.datetime:
    """A moment without its offset from UTC: by the clock of the file's TimezoneOffsetFromUTC, if both have one."""
    offset = None if moment.tzinfo is None else offset_from_utc(header)
    return (moment if offset is None else moment.astimezone(offset)).replace(tzinfo=None)


def _can_be(injection: datetime.datetime, scan: datetime.datetime, half_life: float) -> bool:
    return 0 <= (scan - injection).total_seconds() <= MAX_HALF_LIVES * half_life


def _require_between(
    injection: datetime.datetime, scan: datetime.datetime, half_life: float, place: str
) -> datetime.datetime:
    """The injection, if it can be true."""
    if not _can_be(injection, scan, half_life):
        raise CaseError(
            f"{place} is {(scan - injection).total_seconds():.0f} s before the scan's start ({scan}), expected between "
            f"0 and {MAX_HALF_LIVES} half-lives of {half_life:.0f} s"
        )
    return injection
