"""Nuclides of PET and their half-lives, to complete or to doubt what a header says."""

import re

from pydicom.dataset import Dataset

from lesionclick.dicom.fields import optional_text, optional_value, place_of, positive_number
from lesionclick.dicom.suv_values import HALF_LIFE_RANGE, require_range
from lesionclick.errors import CaseError

HALF_LIVES = {
    ("C", "Carbon", 11): 1221.8,
    ("N", "Nitrogen", 13): 597.9,
    ("O", "Oxygen", 15): 122.24,
    ("F", "Fluorine", 18): 6586.2,
    ("Sc", "Scandium", 44): 14292.0,
    ("Cu", "Copper", 62): 580.2,
    ("Cu", "Copper", 64): 45723.0,
    ("Ga", "Gallium", 68): 4062.6,
    ("Rb", "Rubidium", 82): 75.45,
    ("Y", "Yttrium", 86): 53064.0,
    ("Zr", "Zirconium", 89): 282276.0,
    ("Y", "Yttrium", 90): 230580.0,
    ("I", "Iodine", 124): 360806.0,
}
"""Symbol, name and mass number -> s, as the Decay Data Evaluation Project and the National Nuclear Data Center have
them; the nuclides are those of DICOM's context group 4020 that scans of the body are made with."""

TOLERANCE = 0.05
"""Share by which a header's half-life may differ from the nuclide's; vendors' tables differ by less than 1 %."""


def half_life_of(radiopharmaceutical: Dataset, header: Dataset, warnings: list[str]) -> float:
    """RadionuclideHalfLife (s), or that of the nuclide that the header names where it is missing, with a warning.

    Raises:
        CaseError: it is missing and no nuclide is named, or it is not that of the nuclide: in minutes, for instance.
    """
    nuclide = nuclide_of(radiopharmaceutical, header)
    place = place_of(radiopharmaceutical, "RadionuclideHalfLife", header)
    if optional_value(radiopharmaceutical, "RadionuclideHalfLife", header) is None and nuclide:
        warnings.append(f"{place} is missing, taken as {nuclide[1]:g} s for {nuclide[0]}")
        return nuclide[1]
    stored = positive_number(radiopharmaceutical, "RadionuclideHalfLife", header)
    if nuclide and abs(stored / nuclide[1] - 1) > TOLERANCE:
        raise CaseError(f"{place} is {stored:g}, expected about {nuclide[1]:g} s for {nuclide[0]}")
    return require_range(stored, HALF_LIFE_RANGE, "s", place)


def nuclide_of(radiopharmaceutical: Dataset, header: Dataset) -> tuple[str, float] | None:
    """Name ("F-18") and half-life (s) of the nuclide in RadionuclideCodeSequence, whatever way its name is written.

    None where there is no such code, or the name is of none in `HALF_LIVES`.
    """
    codes = optional_value(radiopharmaceutical, "RadionuclideCodeSequence", header)
    meaning = optional_text(codes[0], "CodeMeaning", header) if codes else ""
    words = {word.lower() for word in re.findall(r"[A-Za-z]+", meaning)}
    masses = {int(number) for number in re.findall(r"\d{1,3}", meaning)}
    for (symbol, name, mass), half_life in HALF_LIVES.items():
        if mass in masses and words & {symbol.lower(), name.lower()}:
            return f"{symbol}-{mass}", half_life
    return None
