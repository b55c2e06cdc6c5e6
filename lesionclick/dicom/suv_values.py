"""Values that SUV is made of: those that a person gives in place of the file's, and a record of those that were used.

A command offers what `SuvOverrides` has as options: `--weight` (kg), `--dose` (Bq), `--injection-time` (a text for
`parse_given_time`), `--half-life` (s), `--scan-time` (likewise), `--decay-correction`, `--units`, `--height` (m) and
`--sex`; `read_suv` takes the object, and its result says in `SuvRecord` what was used and what of it was given.
"""

import dataclasses
import datetime
from dataclasses import dataclass
from typing import Any

from lesionclick.dicom.fields import parse_moment, parse_time
from lesionclick.errors import CaseError

WEIGHT_RANGE = (1.0, 400.0)
"""kg; grams are far above, metric tons far below."""

DOSE_RANGE = (1e6, 1e10)
"""Bq; MBq and mCi are far below, a value that was multiplied twice far above; rubidium-82 is given with 2e9."""

USUAL_DOSE = (0.2e6, 50e6)
"""Bq a kg of body weight, outside of which a warning says so: total-body scanners need 0.4e6, rubidium-82 30e6."""

HALF_LIFE_RANGE = (60.0, 1e6)
"""s; from rubidium-82 (76 s) to iodine-124 (4.2 days)."""

HEIGHT_RANGE = (0.3, 2.6)
"""m; centimeters are far above."""

DECAY_CORRECTIONS = ("START", "ADMIN", "NONE")

UNITS = ("BQML", "CNTS", "GML")


@dataclass(frozen=True)
class SuvOverrides:
    """What is to be taken in place of what a PET's files say, or where they say nothing; None for what they say.

    Attributes:
        weight_kg: body weight, kg.
        dose_bq: injected activity at the time of the injection, Bq.
        injection_time: on the site's clock, or with an offset from UTC; a time of day stands for the last such time
            before the scan.
        half_life_s: of the radionuclide, s.
        scan_time: the time that the image's decay is corrected to, likewise; the scan's start, normally.
        decay_correction: START, ADMIN or NONE, as in DecayCorrection (0054,1102).
        units: BQML, CNTS or GML, as in Units (0054,1001).
        height_m: body height, m; needed for uptake by lean body mass alone.
        sex: M or F, likewise.
    """

    weight_kg: float | None = None
    dose_bq: float | None = None
    injection_time: datetime.datetime | datetime.time | None = None
    half_life_s: float | None = None
    scan_time: datetime.datetime | datetime.time | None = None
    decay_correction: str | None = None
    units: str | None = None
    height_m: float | None = None
    sex: str | None = None

    def __post_init__(self) -> None:
        """Raises CaseError where a value cannot be."""
        for name, number, limits, unit in (
            ("weight", self.weight_kg, WEIGHT_RANGE, "kg"),
            ("dose", self.dose_bq, DOSE_RANGE, "Bq"),
            ("half-life", self.half_life_s, HALF_LIFE_RANGE, "s"),
            ("height", self.height_m, HEIGHT_RANGE, "m"),
        ):
            if number is not None:
                require_range(number, limits, unit, f"the given {name}")
        for name, text, allowed in (
            ("decay correction", self.decay_correction, DECAY_CORRECTIONS),
            ("unit", self.units, UNITS),
            ("sex", self.sex, ("M", "F")),
        ):
            if text is not None and text not in allowed:
                raise CaseError(f"the given {name} is {text!r}, expected one of {', '.join(allowed)}")

    def given(self) -> dict[str, Any]:
        """The values that are given, by their names here, ready for JSON: times as ISO 8601 has them."""
        values = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        return {name: _for_json(value) for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class SuvRecord:
    """How a PET became SUV: every value that was used, None for those that were not needed.

    Attributes:
        units: Units of the files, "BQML" for instance.
        suv_type: SUVType of the files, empty where there is none.
        decay_correction: DecayCorrection.
        weight_kg: body weight, kg.
        dose_bq: injected activity, Bq.
        half_life_s: of the radionuclide, s.
        injection_time: on the site's clock.
        scan_time: the time that the image's decay is corrected to; the earliest frame where it is not corrected.
        factors: smallest and largest factor that a slice's values (after RescaleSlope) were multiplied with.
        given: values that a person gave (`SuvOverrides.given`).
        warnings: sentences about values that were taken with doubt.
    """

    units: str
    suv_type: str = ""
    decay_correction: str | None = None
    weight_kg: float | None = None
    dose_bq: float | None = None
    half_life_s: float | None = None
    injection_time: datetime.datetime | None = None
    scan_time: datetime.datetime | None = None
    factors: tuple[float, float] = (1.0, 1.0)
    given: dict[str, Any] = dataclasses.field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def for_json(self) -> dict[str, Any]:
        """All values by their names here, ready for JSON."""
        return {item.name: _for_json(getattr(self, item.name)) for item in dataclasses.fields(self)}


def _for_json(value: Any) -> Any:
    if isinstance(value, datetime.datetime | datetime.time):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value


def require_range(number: float, limits: tuple[float, float], unit: str, place: str) -> float:
    """The number, if it lies within limits.

    Raises:
        CaseError: it does not; the sentence names `place`.
    """
    if not limits[0] <= number <= limits[1]:
        raise CaseError(f"{place} is {number:g}, expected {limits[0]:g} to {limits[1]:g} {unit}")
    return number


def parse_given_time(text: str) -> datetime.datetime | datetime.time:
    """A time or a date and time that a person gives.

    Args:
        text: 09:30, 09:30:15, 2020-03-01T09:30 with seconds and an offset (+02:00) where there are any, or as DICOM
            has them, 093000 and 20200301093000+0200.

    Raises:
        CaseError: the text is none of these.
    """
    text = text.strip()
    message = f"{text!r} is not a time, expected one such as 09:30, 09:30:15 or 2020-03-01T09:30+02:00"
    try:
        if text.isdigit() and len(text) in (4, 6):
            return parse_time(text, "")
        if text[:12].isdigit():
            return parse_moment(text, "")
        if "-" in text[:10]:
            if ":" not in text:
                raise CaseError(message)
            return datetime.datetime.fromisoformat(text)
        return datetime.time.fromisoformat(text)
    except (CaseError, ValueError) as error:
        raise CaseError(message) from error
