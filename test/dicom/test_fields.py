import datetime

import pytest

pytest.importorskip("pydicom")

from pydicom.dataset import Dataset

from lesionclick.dicom.fields import (
    date_and_time,
    moment_of,
    numbers_of,
    offset_from_utc,
    positive_number,
    private_text,
    sequence_item,
    tag_of,
    text_of,
    time_of,
)
from lesionclick.errors import CaseError


@pytest.fixture
def header() -> Dataset:
    header = Dataset()
    header.filename = "slice.dcm"
    header.CorrectedImage = ["ATTN", "DECY"]
    header.PatientWeight = 72.5
    header.PixelSpacing = [3, 4]
    header.SeriesDate, header.SeriesTime = "20200301", "103000.5"
    radiopharmaceutical = Dataset()
    radiopharmaceutical.RadionuclideTotalDose = 3.7e8
    radiopharmaceutical.RadiopharmaceuticalStartTime = "0930"
    radiopharmaceutical.RadiopharmaceuticalStartDateTime = "20200301093000.25+0200"
    header.RadiopharmaceuticalInformationSequence = [radiopharmaceutical]
    return header


def test_a_field_is_named_with_its_tag() -> None:
    assert tag_of("PatientWeight") == "PatientWeight (0010,1030)"


def test_fields_are_read(header: Dataset) -> None:
    assert text_of(header, "CorrectedImage") == "ATTN\\DECY"
    assert text_of(header, "SeriesTime") == "103000.5"
    assert numbers_of(header, "PixelSpacing", 2).tolist() == [3, 4]
    assert positive_number(header, "PatientWeight") == 72.5
    assert date_and_time(header, "Series") == datetime.datetime(2020, 3, 1, 10, 30, 0, 500000)


def test_fields_of_a_sequence_are_read(header: Dataset) -> None:
    item = sequence_item(header, "RadiopharmaceuticalInformationSequence")
    assert positive_number(item, "RadionuclideTotalDose", header) == 3.7e8
    assert time_of(item, "RadiopharmaceuticalStartTime", header) == datetime.time(9, 30)
    moment = moment_of(item, "RadiopharmaceuticalStartDateTime", header)
    assert moment == datetime.datetime(2020, 3, 1, 7, 30, 0, 250000, datetime.UTC)
    assert moment.utcoffset() == datetime.timedelta(hours=2)


def test_the_file_s_offset_from_utc_is_read(header: Dataset) -> None:
    assert offset_from_utc(header) is None
    header.TimezoneOffsetFromUTC = "-0330"
    assert offset_from_utc(header) == datetime.timezone(-datetime.timedelta(hours=3, minutes=30))
    header.TimezoneOffsetFromUTC = "CEST"
    with pytest.raises(CaseError, match=r"TimezoneOffsetFromUTC \(0008,0201\) is 'CEST', expected an offset such as"):
        offset_from_utc(header)


def test_private_fields_are_read_as_text(header: Dataset) -> None:
    assert private_text(header, 0x7053, "Philips PET Private Group", 0) == ""
    block = header.private_block(0x7053, "Philips PET Private Group", create=True)
    block.add_new(0x00, "DS", "0.000551")
    block.add_new(0x09, "UN", b"1.602563\0")
    assert private_text(header, 0x7053, "Philips PET Private Group", 0) == "0.000551"
    assert private_text(header, 0x7053, "Philips PET Private Group", 9) == "1.602563"


@pytest.mark.parametrize("value", [None, ""])
def test_an_empty_field_is_missing(header: Dataset, value: object) -> None:
    header.PatientWeight = value
    with pytest.raises(CaseError, match=r"^slice\.dcm: PatientWeight \(0010,1030\) is missing$"):
        positive_number(header, "PatientWeight")


def test_a_missing_field_of_a_sequence_names_the_file(header: Dataset) -> None:
    item = sequence_item(header, "RadiopharmaceuticalInformationSequence")
    with pytest.raises(CaseError, match=r"^slice\.dcm: RadionuclideHalfLife \(0018,1075\) is missing$"):
        positive_number(item, "RadionuclideHalfLife", header)
    header.RadiopharmaceuticalInformationSequence = []
    with pytest.raises(CaseError, match=r"^slice\.dcm: .*InformationSequence \(0054,0016\) is missing$"):
        sequence_item(header, "RadiopharmaceuticalInformationSequence")


def test_numbers_have_to_be_as_many_as_expected(header: Dataset) -> None:
    with pytest.raises(CaseError, match=r"PixelSpacing \(0028,0030\) is \[3\.0, 4\.0\], expected 3 number\(s\)"):
        numbers_of(header, "PixelSpacing", 3)


def test_a_negative_weight_is_refused(header: Dataset) -> None:
    header.PatientWeight = -1
    with pytest.raises(CaseError, match=r"PatientWeight \(0010,1030\) is -1, expected more than 0"):
        positive_number(header, "PatientWeight")


@pytest.mark.filterwarnings("ignore:Invalid value for VR:UserWarning")
def test_dates_and_times_that_are_none_are_refused(header: Dataset) -> None:
    item = sequence_item(header, "RadiopharmaceuticalInformationSequence")
    item.RadiopharmaceuticalStartDateTime = "20200301"
    with pytest.raises(CaseError, match=r"\(0018,1078\) is '20200301', not a date and time"):
        moment_of(item, "RadiopharmaceuticalStartDateTime", header)
    header.SeriesTime = "morning"
    with pytest.raises(CaseError, match=r"SeriesTime \(0008,0031\) is 'morning', not a time of day"):
        date_and_time(header, "Series")
    header.SeriesDate = "20201341"
    with pytest.raises(CaseError, match=r"SeriesDate \(0008,0021\) is '20201341', not a date"):
        date_and_time(header, "Series")
