import datetime
from typing import Any

import pytest

pytest.importorskip("pydicom")
pytest.importorskip("highdicom")

from helpers_dicom import DOSE, HALF_LIFE, WEIGHT, pet_headers

from lesionclick.dicom.suv import suv_factors
from lesionclick.dicom.suv_values import SuvRecord
from lesionclick.errors import CaseError


def seconds_of(**fields: Any) -> tuple[float, SuvRecord]:
    """Seconds that a dose decays until the scan, read off the factor of a PET with these fields."""
    factors, record = suv_factors(pet_headers(**fields))
    assert record.injection_time is not None
    assert record.scan_time is not None
    seconds = (record.scan_time - record.injection_time).total_seconds()
    expected = WEIGHT * 1000 / (DOSE * 0.5 ** (seconds / record.half_life_s)) if record.half_life_s else 0
    assert factors[0] == pytest.approx(expected, rel=1e-9)
    return seconds, record


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({}, 3600),
        ({"RadiopharmaceuticalStartDateTime": "20200301091500.000000"}, 4500),
        # past midnight, as a time and as a date and time
        ({"SeriesTime": "002000", "AcquisitionTime": "002000", "RadiopharmaceuticalStartTime": "233000"}, 3000),
        (
            {
                "SeriesTime": "002000",
                "AcquisitionTime": "002000",
                "RadiopharmaceuticalStartDateTime": "20200229233000",
            },
            3000,
        ),
        # the scan runs past midnight itself
        (
            {
                "SeriesTime": "235900",
                "AcquisitionDate": ["20200301", "20200302", "20200302"],
                "AcquisitionTime": ["235900", "000100", "000300"],
                "RadiopharmaceuticalStartTime": "230000",
            },
            3540,
        ),
        # reconstructed later: the earliest acquisition, or GE's own field
        ({"SeriesTime": "180000", "AcquisitionTime": ["103500", "103100", "103300"]}, 3660),
        ({"SeriesTime": "180000", "GEScanTime": "20200301103045.00"}, 3645),
        # an enhanced PET says what its decay is corrected to
        ({"DecayCorrectionDateTime": "20200301102000", "TimezoneOffsetFromUTC": "+0100"}, 3000),
        ({"DecayCorrectionDateTime": "20200301092000+0000", "TimezoneOffsetFromUTC": "+0100"}, 3000),
    ],
)
def test_time_from_injection_to_scan(fields: dict[str, Any], seconds: float) -> None:
    found, record = seconds_of(**fields)
    assert found == seconds
    assert record.warnings == ()


@pytest.mark.parametrize(
    "start", ["20200301073000+0000", "20200301093000+0200", "20200301023000-0500", "20200301180000.000+1030"]
)
def test_date_times_with_offsets_are_compared_as_instants(start: str) -> None:
    seconds, record = seconds_of(RadiopharmaceuticalStartDateTime=start, TimezoneOffsetFromUTC="+0200")
    assert seconds == 3600
    assert record.injection_time == datetime.datetime(2020, 3, 1, 9, 30)
    assert record.warnings == ()


def test_an_offset_that_crosses_midnight() -> None:
    seconds, _ = seconds_of(
        RadiopharmaceuticalStartDateTime="20200301043000+0000", TimezoneOffsetFromUTC="-0600",
        SeriesDate="20200229", AcquisitionDate="20200229", SeriesTime="233000", AcquisitionTime="233000",
    )  # fmt: skip
    assert seconds == 3600


def test_an_offset_without_the_file_s_own_goes_by_the_time_of_day() -> None:
    seconds, record = seconds_of(RadiopharmaceuticalStartDateTime="20200301073000+0000")
    assert seconds == 3600
    assert "TimezoneOffsetFromUTC (0008,0201) is missing: the site's clock is taken to have shown 09:30" in str(
        record.warnings
    )


@pytest.mark.parametrize("date", ["20200302", "20200229", "19930714", "20210301"])
def test_a_shifted_date_gives_way_to_the_time_of_day(date: str) -> None:
    seconds, record = seconds_of(RadiopharmaceuticalStartDateTime=f"{date}093000")
    assert seconds == 3600
    assert "which cannot be for a scan at 2020-03-01 10:30:00: its time of day is taken" in record.warnings[0]


def test_a_date_and_time_cut_to_its_day_gives_way_to_the_time() -> None:
    assert seconds_of(RadiopharmaceuticalStartDateTime="20200301")[0] == 3600


def test_files_without_dates_go_by_their_times() -> None:
    seconds, record = seconds_of(SeriesDate=None, AcquisitionDate=None)
    assert seconds == 3600
    assert record.warnings == ("the files have no dates, times count alone",)


def test_a_series_without_its_time_starts_with_the_earliest_acquisition() -> None:
    seconds, record = seconds_of(SeriesTime=None, AcquisitionTime=["103500", "103100", "103300"])
    assert seconds == 3660
    assert "SeriesTime (0008,0031) is missing" in record.warnings[0]


def test_a_long_lived_nuclide_without_a_date_is_doubted() -> None:
    _, record = seconds_of(RadionuclideHalfLife=282276)
    assert "has no date, the injection is taken as less than a day before the scan" in record.warnings[0]
    seconds, record = seconds_of(RadionuclideHalfLife=282276, RadiopharmaceuticalStartDateTime="20200226103000")
    assert (seconds, record.warnings) == (4 * 86400, ())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        # the same day, so it is the time that is wrong
        ({"RadiopharmaceuticalStartDateTime": "20200301120000"}, r"\(0018,1078\) is -5400 s before the scan's start"),
        ({"RadiopharmaceuticalStartDateTime": "19930714104000"}, r"expected between 0 and 10 half-lives of 6586 s"),
        ({"RadiopharmaceuticalStartTime": "104000"}, r"\(0018,1072\) is 85800 s before .*; --injection-time gives it"),
        ({"TimezoneOffsetFromUTC": "CET", "RadiopharmaceuticalStartDateTime": "20200301093000+0000"}, r"is 'CET'"),
        ({"AcquisitionTime": None}, r"AcquisitionTime \(0008,0032\) is missing; --scan-time gives it by hand"),
    ],
)
def test_times_that_cannot_be_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(CaseError, match=message):
        suv_factors(pet_headers(**fields))


def test_without_decay_correction_each_slice_goes_by_its_own_frame() -> None:
    fields: dict[str, Any] = {"DecayCorrection": "NONE", "CorrectedImage": ("ATTN",)}
    factors, record = suv_factors(pet_headers(**fields))
    undecayed = WEIGHT * 1000 / DOSE
    times = [3600, 3720, 3840]
    assert factors == pytest.approx([undecayed * 2 ** (seconds / HALF_LIFE) for seconds in times], rel=1e-9)
    assert record.decay_correction == "NONE"
    longer, _ = suv_factors(pet_headers(**fields, ActualFrameDuration=1_200_000))
    # over 20 minutes the mean of what decays is this share of the activity at the start
    decay = 0.6931471805599453 / HALF_LIFE
    share = (1 - 2.718281828459045 ** (-decay * 1200)) / (decay * 1200)
    assert longer == pytest.approx(factors / share, rel=1e-6)
