"""Options of the command line that give what a PET's DICOM files lack or have wrong, so that there is SUV."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lesionclick.dicom.suv_values import SuvOverrides


class DecayCorrection(StrEnum):
    """The moment that the scanner corrected decay to: the scan's start, the injection, or none."""

    start = "START"
    admin = "ADMIN"
    none = "NONE"


class PetUnits(StrEnum):
    """Units of a PET, by DICOM's names: Bq/ml, Philips' counts, or SUV."""

    bqml = "BQML"
    cnts = "CNTS"
    gml = "GML"


class Sex(StrEnum):
    """Of the patient, by DICOM's names; needed for uptake by lean body mass."""

    male = "M"
    female = "F"


_PANEL = "DICOM PET: values in place of the files'"

_TIME = "such as 09:30:15 or 2020-03-01T09:30+02:00"

WeightOption = Annotated[float | None, typer.Option(help="Body weight, kg.", rich_help_panel=_PANEL)]

DoseOption = Annotated[float | None, typer.Option(help="Injected activity, Bq.", rich_help_panel=_PANEL)]

InjectionTimeOption = Annotated[
    str | None, typer.Option(help=f"Time of the injection, {_TIME}.", rich_help_panel=_PANEL)
]

ScanTimeOption = Annotated[
    str | None, typer.Option(help=f"Time that decay is corrected to, {_TIME}.", rich_help_panel=_PANEL)
]

HalfLifeOption = Annotated[float | None, typer.Option(help="Of the radionuclide, s.", rich_help_panel=_PANEL)]

DecayCorrectionOption = Annotated[
    DecayCorrection | None, typer.Option(help="Moment that decay is corrected to.", rich_help_panel=_PANEL)
]

UnitsOption = Annotated[PetUnits | None, typer.Option(help="Units of the PET.", rich_help_panel=_PANEL)]

HeightOption = Annotated[float | None, typer.Option(help="Body height, m.", rich_help_panel=_PANEL)]

SexOption = Annotated[Sex | None, typer.Option(help="Of the patient.", rich_help_panel=_PANEL)]


def suv_overrides(
    weight: float | None,
    dose: float | None,
    injection_time: str | None,
    scan_time: str | None,
    half_life: float | None,
    decay_correction: DecayCorrection | None,
    units: PetUnits | None,
    height: float | None,
    sex: Sex | None,
) -> "SuvOverrides | None":
    """What the options above give; None where none of them is used.

    Raises:
        CaseError: a value cannot be.
    """
    values = (weight, dose, injection_time, scan_time, half_life, decay_correction, units, height, sex)
    if all(value is None for value in values):
        return None

    from lesionclick.dicom.suv_values import SuvOverrides, parse_given_time

    return SuvOverrides(
        weight_kg=weight,
        dose_bq=dose,
        injection_time=None if injection_time is None else parse_given_time(injection_time),
        scan_time=None if scan_time is None else parse_given_time(scan_time),
        half_life_s=half_life,
        decay_correction=decay_correction,
        units=units,
        height_m=height,
        sex=sex,
    )
