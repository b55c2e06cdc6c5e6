import datetime
import json
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pydicom")
pytest.importorskip("highdicom")

from helpers_dicom import DOSE, HALF_LIFE, WEIGHT, pet_headers
from pydicom.dataset import Dataset

from lesionclick.dicom.suv import suv_factors
from lesionclick.dicom.suv_values import SuvOverrides, parse_given_time
from lesionclick.errors import CaseError

FACTOR = WEIGHT * 1000 / DOSE * 2 ** (3600 / HALF_LIFE)


@pytest.mark.parametrize(
    ("missing", "given", "ratio"),
    [
        ({"PatientWeight": None}, SuvOverrides(weight_kg=80), 80 / WEIGHT),
        ({"PatientWeight": 71000}, SuvOverrides(weight_kg=71), 71 / WEIGHT),
        ({"RadionuclideTotalDose": None}, SuvOverrides(dose_bq=2e8), DOSE / 2e8),
        ({"RadionuclideHalfLife": None}, SuvOverrides(half_life_s=HALF_LIFE), 1),
        ({"RadiopharmaceuticalStartTime": None}, SuvOverrides(injection_time=datetime.time(9, 30)), 1),
        (
            {"RadiopharmaceuticalStartTime": "104000"},
            SuvOverrides(injection_time=datetime.datetime(2020, 3, 1, 9, 0)),
            2 ** (1800 / HALF_LIFE),
        ),
        (
            {"TimezoneOffsetFromUTC": "+0200"},
            SuvOverrides(injection_time=datetime.datetime(2020, 3, 1, 7, 0, tzinfo=datetime.UTC)),
            2 ** (1800 / HALF_LIFE),
        ),
        ({"AcquisitionTime": None}, SuvOverrides(scan_time=datetime.time(10, 30)), 1),
        ({"DecayCorrection": None}, SuvOverrides(decay_correction="ADMIN"), 2 ** (-3600 / HALF_LIFE)),
        ({"Units": None}, SuvOverrides(units="BQML"), 1),
    ],
)
def test_what_is_missing_or_impossible_can_be_given(missing: dict[str, Any], given: SuvOverrides, ratio: float) -> None:
    slices = pet_headers(**missing)
    factors, record = suv_factors(slices, given)
    assert factors == pytest.approx(FACTOR * ratio, rel=1e-9)
    assert record.given == given.given()
    assert len(record.given) == 1
    json.dumps(record.for_json())


def test_everything_about_the_dose_can_be_given() -> None:
    slices = pet_headers()
    for item in slices:
        del item.RadiopharmaceuticalInformationSequence
    given = SuvOverrides(dose_bq=DOSE, half_life_s=HALF_LIFE, injection_time=datetime.time(9, 30))
    factors, record = suv_factors(slices, given)
    assert factors == pytest.approx(FACTOR, rel=1e-9)
    assert record.for_json()["injection_time"] == "2020-03-01T09:30:00"
    assert record.for_json()["given"] == {
        "dose_bq": DOSE,
        "half_life_s": HALF_LIFE,
        "injection_time": "09:30:00",
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"weight_kg": 71000}, r"the given weight is 71000, expected 1 to 400 kg"),
        ({"weight_kg": float("nan")}, r"the given weight is nan"),
        ({"dose_bq": 370}, r"the given dose is 370, expected 1e\+06 to 1e\+10 Bq"),
        ({"half_life_s": 1.83}, r"the given half-life is 1\.83, expected 60 to 1e\+06 s"),
        ({"height_m": 175}, r"the given height is 175, expected 0\.3 to 2\.6 m"),
        ({"decay_correction": "start"}, r"the given decay correction is 'start', expected one of START, ADMIN, NONE"),
    ],
)
def test_what_is_given_has_to_be_possible(values: dict[str, Any], message: str) -> None:
    with pytest.raises(CaseError, match=message):
        SuvOverrides(**values)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("09:30", datetime.time(9, 30)),
        ("09:30:15", datetime.time(9, 30, 15)),
        ("0930", datetime.time(9, 30)),
        ("093015", datetime.time(9, 30, 15)),
        ("2020-03-01T09:30", datetime.datetime(2020, 3, 1, 9, 30)),
        ("2020-03-01 09:30:15", datetime.datetime(2020, 3, 1, 9, 30, 15)),
        ("20200301093000", datetime.datetime(2020, 3, 1, 9, 30)),
        ("202003010930", datetime.datetime(2020, 3, 1, 9, 30)),
        ("2020-03-01T07:30Z", datetime.datetime(2020, 3, 1, 7, 30, tzinfo=datetime.UTC)),
        ("20200301073000+0000", datetime.datetime(2020, 3, 1, 7, 30, tzinfo=datetime.UTC)),
    ],
)
def test_times_are_given_as_iso_8601_or_dicom_have_them(text: str, expected: datetime.datetime | datetime.time) -> None:
    assert parse_given_time(text) == expected


@pytest.mark.parametrize("text", ["", "half past nine", "25:00", "2020-03-01", "20200301", "9.5"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(CaseError, match=r"is not a time, expected one such as 09:30, 09:30:15 or 2020-03-01T09:30\+02"):
        parse_given_time(text)


def test_an_unusual_dose_is_doubted() -> None:
    _, record = suv_factors(pet_headers(RadionuclideTotalDose=3.9e9))
    assert record.warnings == ("slice0.dcm: a dose of 3900 MBq for 72.5 kg is unusual (53.8 MBq/kg)",)


def test_several_doses_are_refused() -> None:
    slices = pet_headers()
    second = Dataset()
    second.RadionuclideTotalDose = 1e8
    slices[0].RadiopharmaceuticalInformationSequence.append(second)
    with pytest.raises(CaseError, match=r"holds 2 doses \(100000000\.0, 370000000\.0\), expected one; --dose gives it"):
        suv_factors(slices)


def with_nuclide(meaning: str, **fields: Any) -> list[Dataset]:
    slices = pet_headers(**fields)
    for item in slices:
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "C-111A1", "SRT", meaning
        item.RadiopharmaceuticalInformationSequence[0].RadionuclideCodeSequence = [code]
    return slices


@pytest.mark.parametrize("meaning", ["^18^Fluorine", "18F", "F-18", "Fluorine F^18^", "F18"])
def test_the_nuclide_tells_the_half_life(meaning: str) -> None:
    factors, record = suv_factors(with_nuclide(meaning, RadionuclideHalfLife=None))
    assert factors == pytest.approx(FACTOR, rel=1e-9)
    assert "RadionuclideHalfLife (0018,1075) is missing, taken as 6586.2 s for F-18" in record.warnings[0]
    assert np.array_equal(suv_factors(with_nuclide(meaning))[0], suv_factors(pet_headers())[0])
    with pytest.raises(CaseError, match=r"is 109\.77, expected about 6586\.2 s for F-18; --half-life"):
        suv_factors(with_nuclide(meaning, RadionuclideHalfLife=109.77))


def philips(units: str = "CNTS", **fields: Any) -> list[Dataset]:
    return pet_headers(Units=units, PhilipsSUV="0.0005", PhilipsActivity="1.25", **fields)


def test_counts_become_suv_by_the_scanner_s_factor_and_are_compared_with_the_dose() -> None:
    factors, record = suv_factors(philips())
    assert factors == pytest.approx(0.0005)
    assert f"SUV by Philips' factor (7053,xx00) is {0.0005 / (1.25 * FACTOR):.2f} times that" in record.warnings[0]
    assert suv_factors(pet_headers(Units="CNTS", PhilipsSUV="0.0005"))[1].warnings == ()


def test_what_is_given_by_hand_counts_for_counts_too() -> None:
    factors, record = suv_factors(philips(PatientWeight=0), SuvOverrides(weight_kg=WEIGHT))
    assert factors == pytest.approx(1.25 * FACTOR, rel=1e-9)
    assert record.given == {"weight_kg": WEIGHT}
    _, record = suv_factors(pet_headers(Units="GML"), SuvOverrides(weight_kg=80))
    assert record.warnings == ("slice0.dcm: the scanner made SUV itself, weight_kg given by hand have no part in it",)


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "many"])
@pytest.mark.filterwarnings("ignore:Invalid value for VR:UserWarning")
def test_philips_factors_that_are_none_are_refused(text: str) -> None:
    slices = pet_headers(Units="CNTS")
    for item in slices:
        item.private_block(0x7053, "Philips PET Private Group", create=True).add_new(0x00, "LO", text)
    with pytest.raises(CaseError, match=rf"Philips' factor \(7053,xx00\) is '{text}', expected a number"):
        suv_factors(slices)


# James 1976 and Janmahasatian et al. 2005 for 72.5 kg and 1.75 m, worked out by hand, kg
@pytest.mark.parametrize(
    ("kind", "sex", "lean"),
    [
        ("LBM", "M", 59.1541),
        ("LBM", "F", 52.1734),
        ("LBMJAMES128", "M", 57.7810),
        ("LBMJAMES128", "F", 52.1734),
        ("LBMJANMA", "M", 56.9870),
        ("LBMJANMA", "F", 46.1706),
    ],
)
def test_uptake_by_lean_body_mass_is_brought_to_body_weight(kind: str, sex: str, lean: float) -> None:
    slices = pet_headers(Units="GML", SUVType=kind, PatientSize=1.75, PatientSex=sex)
    factors, record = suv_factors(slices)
    assert factors == pytest.approx(WEIGHT / lean, rel=1e-5)
    assert record.suv_type == kind
    assert "is brought to body weight (72.5 kg)" in record.warnings[0]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"SUVType": "BSA"}, r"SUVType \(0054,1006\) is BSA, expected BW \(body weight\) or LBM"),
        ({"SUVType": "IBW"}, r"SUVType \(0054,1006\) is IBW, expected BW"),
        ({"SUVType": "LBM"}, r"PatientSize \(0010,1020\) is missing; --height gives it by hand"),
        ({"SUVType": "LBM", "PatientSize": 175}, r"PatientSize \(0010,1020\) is 175, expected 0\.3 to 2\.6 m"),
        ({"SUVType": "LBM", "PatientSize": 1.75, "PatientSex": "O"}, r"PatientSex .* is O, expected M or F .*--sex"),
        ({"SUVType": ["BW", "LBM", "BW"]}, r"SUVType \(0054,1006\) differs from that of slice0\.dcm \(BW\)"),
    ],
)
def test_uptake_of_another_kind_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(CaseError, match=message):
        suv_factors(pet_headers(Units="GML", **fields))


def test_a_pet_that_does_not_say_what_it_is_corrected_for_is_doubted() -> None:
    slices = pet_headers()
    for item in slices:
        del item.CorrectedImage
    factors, record = suv_factors(slices)
    assert factors == pytest.approx(FACTOR, rel=1e-9)
    assert "is missing, the PET is taken as corrected for attenuation" in record.warnings[0]
