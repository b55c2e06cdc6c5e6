import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pydicom")
pytest.importorskip("highdicom")

import highdicom
from helpers_dicom import PET_SHAPE, SyntheticStudy
from helpers_dicom_output import (
    PHANTOM_MODEL,
    REAL_STUDIES,
    dcmqi,
    make_mask,
    make_result,
    needs_dciodvfy,
    read_pet,
    validation_errors,
    values_of,
    write_as_one_object,
)
from pydicom.dataset import Dataset

from lesionclick.dicom.result import LesionResult, write_object
from lesionclick.dicom.volume import SeriesVolume
from lesionclick.dicom.write_report import make_report
from lesionclick.dicom.write_segmentation import make_segmentation


@dataclass(frozen=True)
class Measurement:
    number: int
    volume_ml: float
    suv_max: float | None
    suv_mean: float | None
    suv_peak: float | None
    tlg: float | None


MEASUREMENTS = [
    Measurement(1, 1.5, 12.25, 8.125, 9.5, 12.1875),
    Measurement(2, 0.123456789, 4.0, 4.0, None, 0.5),
    Measurement(3, 2e-7, 3.0, 1 / 3, float("nan"), 6e-7),
]
"""Fit the lesions of `make_mask`."""


@pytest.fixture
def pet(tmp_path: Path) -> SeriesVolume:
    return read_pet(SyntheticStudy().write(tmp_path / "study"))


def write_both(
    result: LesionResult, folder: Path, measurements: Sequence[Measurement] = MEASUREMENTS
) -> tuple[Path, Path]:
    """SEG and SR."""
    paths = folder / "seg.dcm", folder / "sr.dcm"
    segmentation = make_segmentation(result)
    write_object(segmentation, paths[0])
    write_object(make_report(result, measurements, segmentation), paths[1])
    return paths


def test_measurements_come_back(pet: SeriesVolume, tmp_path: Path) -> None:
    _, sr = write_both(make_result(pet), tmp_path)
    report = highdicom.sr.srread(sr)
    groups = report.content.get_volumetric_roi_measurement_groups()
    assert values_of(groups[0]) == {
        ("118565006", None, "cm3"): 1.5,
        ("126401", "56851009", "g/ml{SUVbw}"): 12.25,
        ("126401", "373098007", "g/ml{SUVbw}"): 8.125,
        ("126401", "126031", "g/ml{SUVbw}"): 9.5,
        ("126033", None, "g"): 12.1875,
    }
    assert values_of(groups[1])["118565006", None, "cm3"] == 0.123457
    for group in groups[1:]:
        assert ("126401", "126031", "g/ml{SUVbw}") not in values_of(group)  # no peak where there is no value
    (total,) = report.content.get_image_measurement_groups()
    assert values_of(total) == {
        ("246206008", None, "1"): 3,
        ("118565006", None, "cm3"): 1.623457,
        ("126033", None, "g"): 12.687501,
    }


def test_groups_refer_to_the_segments_of_their_lesions(pet: SeriesVolume, tmp_path: Path) -> None:
    seg, sr = write_both(make_result(pet, organs={3: "glands"}), tmp_path)
    segmentation, report = highdicom.seg.segread(seg), highdicom.sr.srread(sr)
    groups = report.content.get_volumetric_roi_measurement_groups()
    for group, segment in zip(groups, segmentation.SegmentSequence, strict=True):
        assert group.reference_type.value == "121191"  # referenced segment
        found = group.referenced_segment
        assert found.referenced_sop_instance_uid == segmentation.SOPInstanceUID
        assert found.referenced_segment_numbers == [segment.SegmentNumber]
        assert group.tracking_uid == segment.TrackingUID
        assert group.tracking_identifier == segment.TrackingID
        assert (group.finding_category.value, group.finding_type.value) == ("49755003", "108369006")
    assert [[site.value.value for site in group.finding_sites] for group in groups] == [[], [], ["385294005"]]
    evidence = {(item[2], item[3]) for item in report.get_evidence()}
    assert {(item.SOPInstanceUID, item.SOPClassUID) for item in [*pet.slices, segmentation]} == evidence


def texts_of(item: Dataset) -> list[str]:
    own = [item.TextValue] if "TextValue" in item else []
    return own + [text for child in item.get("ContentSequence", []) for text in texts_of(child)]


def test_report_says_what_made_it(pet: SeriesVolume, tmp_path: Path) -> None:
    _, sr = write_both(make_result(pet, model=PHANTOM_MODEL), tmp_path)
    report = highdicom.sr.srread(sr)
    assert "not for patients" in report.SeriesDescription
    texts = texts_of(report)
    assert "LesionClick (not for patients)" in texts
    assert f"model_sha256={PHANTOM_MODEL.fingerprint}" in texts
    assert f"model_description={PHANTOM_MODEL.description}" in texts


def test_dcmqi_reads_the_measurements(pet: SeriesVolume, tmp_path: Path) -> None:
    _, sr = write_both(make_result(pet, organs={1: "liver"}), tmp_path)
    out = tmp_path / "sr.json"
    subprocess.run([dcmqi("tid1500reader"), "--inputDICOM", sr, "--outputMetadata", out], check=True)
    groups = json.loads(out.read_text())["Measurements"]
    assert [group["ReferencedSegment"] for group in groups[:3]] == [1, 2, 3]
    found = {
        (item["quantity"]["CodeValue"], item.get("derivationModifier", {}).get("CodeValue")): float(item["value"])
        for item in groups[0]["measurementItems"]
    }
    assert found["118565006", None] == 1.5
    assert found["126401", "56851009"] == 12.25
    assert groups[0]["FindingSite"]["CodeValue"] == "10200004"


def test_one_object_of_frames_is_evidence_once(tmp_path: Path) -> None:
    pet = read_pet(write_as_one_object(SyntheticStudy(), tmp_path / "study" / "pet.dcm").parent)
    _, sr = write_both(make_result(pet), tmp_path)
    evidence = highdicom.sr.srread(sr).get_evidence()
    assert [item[2] for item in evidence].count(pet.slices[0].SOPInstanceUID) == 1
    assert len(evidence) == 2


def test_report_without_lesions_has_the_totals(pet: SeriesVolume, tmp_path: Path) -> None:
    _, sr = write_both(make_result(pet, np.zeros(PET_SHAPE, dtype=np.uint8)), tmp_path, [])
    content = highdicom.sr.srread(sr).content
    assert content.get_volumetric_roi_measurement_groups() == []
    assert set(values_of(content.get_image_measurement_groups()[0]).values()) == {0}


def test_same_measurements_give_the_same_report(pet: SeriesVolume, tmp_path: Path) -> None:
    written = []
    for name in ("first", "second"):
        _, sr = write_both(make_result(pet), tmp_path / name)
        written.append(sr.read_bytes())
    assert written[0] == written[1]


def test_measurements_that_do_not_fit_are_refused(pet: SeriesVolume) -> None:
    result = make_result(pet)
    with pytest.raises(ValueError, match="measurements of lesions"):
        make_report(result, MEASUREMENTS[:2], make_segmentation(result))
    with pytest.raises(ValueError, match="one segment a lesion"):
        make_report(result, MEASUREMENTS, make_segmentation(result, united=True))


@needs_dciodvfy
@pytest.mark.parametrize("lesions", [True, False])
def test_validator_finds_no_error_in_report(pet: SeriesVolume, tmp_path: Path, lesions: bool) -> None:
    result = make_result(pet, make_mask(PET_SHAPE) * lesions, PHANTOM_MODEL, organs={1: "liver"} if lesions else {})
    _, sr = write_both(result, tmp_path, MEASUREMENTS if lesions else [])
    assert not validation_errors(sr)


@needs_dciodvfy
@pytest.mark.skipif(not REAL_STUDIES, reason="LESIONCLICK_DICOM_STUDIES names no folder of studies")
@pytest.mark.parametrize("folder", REAL_STUDIES, ids=lambda path: path.name)
def test_validator_finds_no_new_error_in_report_on_a_real_study(folder: Path, tmp_path: Path) -> None:
    pet = read_pet(folder)
    _, sr = write_both(make_result(pet), tmp_path)
    assert validation_errors(sr) <= validation_errors(Path(pet.slices[0].filename))
