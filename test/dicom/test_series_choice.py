import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("pydicom")
pytest.importorskip("highdicom")

from helpers_dicom import CT_ORIGIN, CT_SHAPE, CT_SPACING, PET_ORIGIN, PET_SHAPE, PET_SPACING, SyntheticStudy
from pydicom.uid import CTImageStorage, PositronEmissionTomographyImageStorage, generate_uid

from lesionclick.dicom.series import Series, choose_series, find_series
from lesionclick.dicom.suv import read_suv
from lesionclick.dicom.volume import read_ct, read_volume
from lesionclick.errors import CaseError

STUDIES = Path(os.environ.get("LESIONCLICK_DICOM_STUDIES", ""))
REAL_STUDIES = sorted(path.parent for path in STUDIES.glob("*/PET"))
# public real CT and PET series, a folder each, that need not belong together
needs_studies = pytest.mark.skipif(not REAL_STUDIES, reason="needs real studies, LESIONCLICK_DICOM_STUDIES")


@pytest.fixture
def study() -> SyntheticStudy:
    return SyntheticStudy()


def add_pet(study: SyntheticStudy, slices: int, **fields: Any) -> str:
    """Adds a PET of so many slices to a study; returns its UID."""
    stored = np.zeros((slices, *PET_SHAPE[1:]), np.int16)
    added = study.make_series(
        "PT", PositronEmissionTomographyImageStorage, stored, PET_SPACING, PET_ORIGIN, [1.0] * slices, [0.0] * slices
    )
    for item in added:
        item.Units, item.CorrectedImage, item.SeriesNumber = "BQML", ["ATTN", "DECY"], 5
        for keyword, value in fields.items():
            setattr(item, keyword, value)
    study.pet += added
    return str(added[0].SeriesInstanceUID)


def chosen(study: SyntheticStudy, folder: Path, modality: str = "PT", **options: Any) -> Series:
    return choose_series(folder, find_series(study.write(folder / "study")), modality, **options)


def test_the_whole_body_is_meant_not_a_late_scan_of_a_region(study: SyntheticStudy, tmp_path: Path) -> None:
    whole = add_pet(study, 12, SeriesDescription="PET WB")
    series = chosen(study, tmp_path)
    assert (series.uid, series.images, series.extent) == (whole, 12, 55.0)


def test_two_reconstructions_of_one_scan_have_to_be_told_apart(study: SyntheticStudy, tmp_path: Path) -> None:
    other = add_pet(study, 6, SeriesDescription="PET TrueX")
    with pytest.raises(CaseError) as raised:
        chosen(study, tmp_path)
    first = study.pet[0].SeriesInstanceUID
    assert str(raised.value) == (
        f"{tmp_path}: holds 2 PT series, name one by UID or number (--pet-series): "
        f"PT number 5, 'PET TrueX', 6 slices, UID {other}; PT number 1, 'PT WB', 5 slices, UID {first}"
    )
    found = find_series(tmp_path / "study")
    assert choose_series(tmp_path, found, "PT", "5").uid == other
    assert choose_series(tmp_path, found, "PT", first).uid == first
    with pytest.raises(CaseError, match=r"holds no PT series 7, only PT number 5, 'PET TrueX', 6 slices"):
        choose_series(tmp_path, found, "PT", "7")


def test_a_number_that_two_series_share_does_not_tell(study: SyntheticStudy, tmp_path: Path) -> None:
    add_pet(study, 5, SeriesNumber=1)
    with pytest.raises(CaseError, match=r"holds 2 PT series 1, name one by its UID: PT number 1"):
        chosen(study, tmp_path, name="1")


@pytest.mark.parametrize(
    "fields",
    [
        {"Units": "PROPCNTS"},
        {"SeriesType": ["DYNAMIC", "IMAGE"]},
        {"SeriesType": ["GATED", "IMAGE"]},
        {"CorrectedImage": ""},  # says nothing
        {"CorrectedImage": ["NORM", "DECY"]},
        {"ImageType": ["DERIVED", "SECONDARY"]},
    ],
)
def test_a_longer_series_that_suits_less_is_not_taken(
    study: SyntheticStudy, tmp_path: Path, fields: dict[str, Any]
) -> None:
    add_pet(study, 12, **fields)
    assert chosen(study, tmp_path).uid == study.pet[0].SeriesInstanceUID


def test_the_ct_that_was_acquired_with_the_pet_is_meant(study: SyntheticStudy, tmp_path: Path) -> None:
    first = study.ct[0].SeriesInstanceUID
    stored = np.zeros((24, *CT_SHAPE[1:]), np.int16)
    study.ct += study.make_series("CT", CTImageStorage, stored, CT_SPACING, CT_ORIGIN, [1.0] * 24, [0.0] * 24)
    for item in study.ct[12:]:
        item.FrameOfReferenceUID = "1.2.3"
    assert chosen(study, tmp_path, "CT").uid != first
    found = find_series(tmp_path / "study")
    assert choose_series(tmp_path, found, "CT", frame_of_reference=study.frame_of_reference).uid == first


def test_one_series_with_two_descriptions_is_one(study: SyntheticStudy, tmp_path: Path) -> None:
    for item in study.pet[:2]:
        item.SeriesDescription = "PT WB (corrected)"
    series = chosen(study, tmp_path)
    assert (series.images, series.description) == (5, "PT WB")


def test_topograms_within_a_series_are_told_from_it(study: SyntheticStudy, tmp_path: Path) -> None:
    for item in study.ct[:2]:
        item.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    series = chosen(study, tmp_path, "CT")
    assert series.images == 10
    found = find_series(tmp_path / "study")
    assert choose_series(tmp_path, found, "CT", series.uid).images == 10


def test_images_that_share_a_uid_by_mistake_stay_apart(study: SyntheticStudy, tmp_path: Path) -> None:
    uid = generate_uid()
    for item in study.pet:
        item.SOPInstanceUID = item.file_meta.MediaStorageSOPInstanceUID = uid
    assert chosen(study, tmp_path).images == 5


def test_a_ct_is_no_pet(study: SyntheticStudy, tmp_path: Path) -> None:
    series = chosen(study, tmp_path, "CT")
    with pytest.raises(CaseError, match=r"Modality \(0008,0060\) is CT, expected PT \(a PET\)"):
        read_suv(series)


@needs_studies
@pytest.mark.parametrize("folder", REAL_STUDIES, ids=lambda folder: folder.name)
def test_a_real_study_s_series_are_told_apart_and_its_suv_is_taken_as_it_is(folder: Path) -> None:
    found = find_series(folder)
    pet = choose_series(folder, found, "PT")
    suv = read_suv(pet)
    assert (suv.suv.units, suv.suv.suv_type, suv.suv.warnings) == ("GML", "BW", ())
    stored = sitk.GetArrayFromImage(read_volume(pet).image)
    assert np.array_equal(sitk.GetArrayFromImage(suv.image), stored)
    assert 2 < stored.max() < 50
    ct = read_ct(choose_series(folder, found, "CT", frame_of_reference=suv.frame_of_reference))
    hu = sitk.GetArrayFromImage(ct.image)
    assert hu.min() >= -1024
    assert -50 < np.median(hu[hu > -500]) < 100  # soft tissue


@needs_studies
@pytest.mark.parametrize("folder", REAL_STUDIES, ids=lambda folder: folder.name)
def test_a_real_ct_is_refused_where_a_pet_is_asked_for(folder: Path) -> None:
    found = find_series(folder / "CT")
    assert read_ct(choose_series(folder, found, "CT")).image.GetSize()[2] > 40
    with pytest.raises(CaseError, match=r"holds no PET \(no series of modality PT\), only CT number \d+, 'IBSI_1_STS"):
        choose_series(folder, found, "PT")
    with pytest.raises(CaseError, match=r"Modality \(0008,0060\) is CT, expected PT \(a PET\)"):
        read_suv(choose_series(folder, found, "CT"))
