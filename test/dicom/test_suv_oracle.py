"""SUV side by side with the npm package @cornerstonejs/calculate-suv, which implements the same recipe of QIBA.

npm ci --prefix test/dicom/oracle
"""

import itertools
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydicom")
pytest.importorskip("highdicom")

from helpers_dicom import pet_headers
from pydicom.dataset import Dataset

from lesionclick.dicom.fields import optional_text, private_text
from lesionclick.dicom.suv import suv_factors
from lesionclick.errors import CaseError

ORACLE = Path(__file__).parent / "oracle"
HEADERS = Path(os.environ.get("LESIONCLICK_DICOM_STUDIES", "")) / "suv-headers"

needs_oracle = pytest.mark.skipif(
    shutil.which("node") is None or not (ORACLE / "node_modules").is_dir(),
    reason="needs node and the oracle: npm ci --prefix test/dicom/oracle",
)

TEXTS = ("Units", "DecayCorrection", "SeriesDate", "SeriesTime", "AcquisitionDate", "AcquisitionTime")
NUMBERS = ("PatientWeight", "RadionuclideTotalDose", "RadionuclideHalfLife")
TIMES = ("RadiopharmaceuticalStartTime", "RadiopharmaceuticalStartDateTime")

SIEMENS = {"RadiopharmaceuticalStartDateTime": "20200301093000.000000 ", "SeriesTime": "102958.250000"}
GE = {"RadiopharmaceuticalStartDateTime": "20200301093000.00 ", "GEScanTime": "20200301102957.00"}
PHILIPS = {"PhilipsSUV": "0.000551", "PhilipsActivity": "1.602563"}
LATER = {"SeriesTime": "164500", "SeriesDate": "20200302"}  # the series was reconstructed a day after the scan

VENDORS: dict[str, dict[str, Any]] = {"Siemens": SIEMENS, "GE": GE, "Philips": PHILIPS}
SERIES_TIMES = ("101500", "103000", "103000.000001", "113000")  # before, with and after the first slice's 10:30
NUCLIDES = {"F-18": 6586.2, "C-11": 1221.8, "Ga-68": 4062.6, "Zr-89": 282276.0}

AGREE: dict[str, dict[str, Any]] = {
    "Siemens BQML": SIEMENS,
    "Siemens BQML, an earlier start of the series": {**SIEMENS, "SeriesTime": "101500"},
    "Siemens BQML, reconstructed later": {**SIEMENS, **LATER},
    "Siemens BQML, a time without a date": {"SeriesTime": "102958.250000"},
    "Siemens BQML, injected before midnight": {
        "RadiopharmaceuticalStartDateTime": "20200229233000",
        "SeriesTime": "002000",
        "AcquisitionTime": ["002000", "002200", "002400"],
    },
    "Siemens GML": {**SIEMENS, "Units": "GML"},
    "GE BQML": GE,
    "GE BQML, reconstructed later": {**GE, **LATER},
    "GE GML, body weight": {**GE, "Units": "GML", "SUVType": "BW", "DecayCorrection": "ADMIN"},
    "Philips BQML": PHILIPS,
    "Philips BQML, reconstructed later": {**PHILIPS, "SeriesTime": "164500"},
    "Philips CNTS": {**PHILIPS, "Units": "CNTS"},
    "Philips CNTS, a factor of each slice": {"Units": "CNTS", "PhilipsSUV": ["0.0005", "0.0006", "0.0007"]},
    "Philips CNTS, counts to Bq/ml alone": {"Units": "CNTS", "PhilipsActivity": "1.602563"},
    "Philips CNTS, the factor for SUV is 0": {"Units": "CNTS", "PhilipsSUV": "0", "PhilipsActivity": "1.602563"},
    "Philips GML": {**PHILIPS, "Units": "GML"},
}
AGREE |= {
    f"{vendor} {units}, {nuclide}, the series from {time}": {
        **fields,
        "Units": units,
        "SeriesTime": time,
        "RadionuclideHalfLife": half_life,
        "ActualFrameDuration": 120000,
    }
    for (vendor, fields), units, (nuclide, half_life), time in itertools.product(
        VENDORS.items(), ("BQML", "CNTS", "GML"), NUCLIDES.items(), SERIES_TIMES
    )
    if units != "CNTS" or vendor == "Philips"
}

BOTH_REFUSE: dict[str, dict[str, Any]] = {
    "counts without Philips' factors": {**SIEMENS, "Units": "CNTS"},
    "a unit without SUV": {**GE, "Units": "PROPCNTS"},
    "not corrected for attenuation": {**SIEMENS, "CorrectedImage": ("NORM", "DECY")},
    "not corrected for decay though it says START": {**SIEMENS, "CorrectedImage": ("NORM", "ATTN")},
    "without a weight": {**PHILIPS, "PatientWeight": None},
    "without a dose": {**GE, "RadionuclideTotalDose": None},
    "without a half-life": {"RadionuclideHalfLife": None},
    "without an injection": {"RadiopharmaceuticalStartTime": None},
}

# name: headers, our factor (None: we refuse), the oracle's over ours (None: it refuses)
DIFFER: dict[str, tuple[dict[str, Any], float | None, float | None]] = {
    # It never looks at DecayCorrection, and decays the dose to the scan's start although the image is corrected to the
    # administration: with ADMIN (DICOM PS3.3, PET Series module) the dose has to be taken as it was.
    "ADMIN": ({**GE, "DecayCorrection": "ADMIN"}, 72.5e3 / 3.7e8, 2 ** (3600 / 6586.2)),
    # It wants DECY in CorrectedImage; an image without that correction has SUV by each frame's own time.
    "NONE": ({"DecayCorrection": "NONE", "CorrectedImage": ("ATTN",)}, 72.5e3 / 3.7e8 * 2 ** (3600 / 6586.2), None),
    # It takes a time without a date for the series' day, so that the injection comes after the scan.
    "a time before midnight": (
        {"SeriesTime": "002000", "AcquisitionTime": "002000", "RadiopharmaceuticalStartTime": "232000"},
        72.5e3 / 3.7e8 * 2 ** (3600 / 6586.2),
        None,
    ),
    # The same with a series that was reconstructed a day later: it takes the time for that day's.
    "a time without a date, reconstructed a day later": (LATER, 72.5e3 / 3.7e8 * 2 ** (3600 / 6586.2), None),
    # It drops offsets from UTC: +0000 is two hours off the site's clock here.
    "an offset from UTC": (
        {"RadiopharmaceuticalStartDateTime": "20200301073000+0000", "TimezoneOffsetFromUTC": "+0200"},
        72.5e3 / 3.7e8 * 2 ** (3600 / 6586.2),
        2 ** (7200 / 6586.2),
    ),
    # It believes dates that de-identification shifted, so that the scan is a day after the injection.
    "a shifted date": (
        {"RadiopharmaceuticalStartDateTime": "20200229093000"},
        72.5e3 / 3.7e8 * 2 ** (3600 / 6586.2),
        2 ** (86400 / 6586.2),
    ),
    # It asks for dose and times even where the scanner has made SUV itself.
    "GML without a dose": ({"Units": "GML", "RadionuclideTotalDose": None}, 1.0, None),
    "CNTS without a weight": ({"Units": "CNTS", "PhilipsSUV": "0.0005", "PatientWeight": None}, 0.0005, None),
    # It takes all GML as body weight; by James' formula 72.5 kg and 1.75 m of a man are 59.15 kg of lean body mass.
    "GML by lean body mass": (
        {"Units": "GML", "SUVType": "LBM", "PatientSize": 1.75, "PatientSex": "M"},
        72.5 / (1.1 * 72.5 - 120 * (72.5 / 175) ** 2),
        (1.1 * 72.5 - 120 * (72.5 / 175) ** 2) / 72.5,
    ),
    # It believes any weight, dose and time.
    "a weight in grams": ({"PatientWeight": 72500}, None, 1.0),
    "a dose in MBq": ({"RadionuclideTotalDose": 370}, None, 1.0),
    "a half-life in hours": ({"RadionuclideHalfLife": 1.83}, None, 1.0),
}


def ask_oracle(series: list[list[Dataset]]) -> list[list[float] | None]:
    """The factors of each series by the npm package; None where it refuses."""
    asked = json.dumps([[instance_of(item) for item in slices] for slices in series])
    command = ["node", str(ORACLE / "factors.js")]
    answers = json.loads(subprocess.run(command, input=asked, capture_output=True, check=True, text=True).stdout)
    return [answer.get("factors") for answer in answers]


def instance_of(item: Dataset) -> dict[str, Any]:
    """A header as the npm package wants it: naturalized, private fields under names of its own."""
    radiopharmaceutical = item.RadiopharmaceuticalInformationSequence[0]
    instance: dict[str, Any] = {"CorrectedImage": list(item.CorrectedImage)}
    for keyword in (*TEXTS, *TIMES, *NUMBERS):
        text = optional_text(radiopharmaceutical if keyword.startswith("Radio") else item, keyword)
        if text:
            instance[keyword] = float(text) if keyword in NUMBERS else text
    philips = {"SUVScaleFactor": 0x00, "ActivityConcentrationScaleFactor": 0x09}
    stored = {name: private_text(item, 0x7053, "Philips PET Private Group", number) for name, number in philips.items()}
    instance["PhilipsPETPrivateGroup"] = {name: float(text) for name, text in stored.items() if text}
    ge = private_text(item, 0x0009, "GEMS_PETD_01", 0x0D)
    return {**instance, "GEPrivatePostInjectionDateTime": ge} if ge else instance


def our_factors(slices: list[Dataset]) -> list[float] | None:
    try:
        return [float(factor) for factor in suv_factors(slices)[0]]
    except CaseError:
        return None


@needs_oracle
def test_vendors_units_and_corrections_agree() -> None:
    series = {name: pet_headers(**fields) for name, fields in AGREE.items()}
    theirs = ask_oracle(list(series.values()))
    for (name, slices), factors in zip(series.items(), theirs, strict=True):
        assert factors is not None, name
        assert our_factors(slices) == pytest.approx(factors, rel=1e-4), name


@needs_oracle
def test_what_has_no_suv_is_refused_by_both() -> None:
    series = {name: pet_headers(**fields) for name, fields in BOTH_REFUSE.items()}
    for (name, slices), factors in zip(series.items(), ask_oracle(list(series.values())), strict=True):
        assert factors is None, name
        assert our_factors(slices) is None, name


@needs_oracle
def test_differences_are_known_and_explained() -> None:
    series = {name: pet_headers(**fields) for name, (fields, _, _) in DIFFER.items()}
    theirs = ask_oracle(list(series.values()))
    for (name, slices), factors in zip(series.items(), theirs, strict=True):
        _, expected, ratio = DIFFER[name]
        ours = our_factors(slices)
        assert (ours is None) == (expected is None), name
        assert (factors is None) == (ratio is None), name
        if ours is not None and expected is not None:
            assert ours[0] == pytest.approx(expected, rel=1e-6), name
            if factors is not None and ratio is not None:
                assert factors[0] / ours[0] == pytest.approx(ratio, rel=1e-6), name


@needs_oracle
@pytest.mark.skipif(not HEADERS.is_dir(), reason="needs real headers, LESIONCLICK_DICOM_STUDIES/suv-headers")
def test_real_headers_agree() -> None:
    series = {path.name: from_json(json.loads(path.read_text())) for path in sorted(HEADERS.glob("*.json"))}
    assert len(series) >= 8
    for (name, slices), factors in zip(series.items(), ask_oracle(list(series.values())), strict=True):
        assert factors is not None, name
        assert our_factors(slices) == pytest.approx(factors, rel=1e-4), name


def from_json(instances: list[dict[str, Any]]) -> list[Dataset]:
    """Headers as the npm package has them, turned into DICOM."""
    fields: dict[str, Any] = {keyword: [instance[keyword] for instance in instances] for keyword in instances[0]}
    philips = fields.pop("PhilipsPETPrivateGroup")
    fields["PhilipsSUV"] = [group.get("SUVScaleFactor") for group in philips]
    fields["PhilipsActivity"] = [group.get("ActivityConcentrationScaleFactor") for group in philips]
    fields["CorrectedImage"] = tuple(instances[0]["CorrectedImage"])
    return pet_headers(len(instances), **fields)
