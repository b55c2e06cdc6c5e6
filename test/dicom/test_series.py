import copy
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pydicom")
pytest.importorskip("highdicom")

from helpers_dicom import CT_ORIGIN, CT_SHAPE, CT_SPACING, PET_SHAPE, SyntheticStudy
from pydicom.uid import CTImageStorage, SecondaryCaptureImageStorage, generate_uid

from lesionclick.dicom.series import choose_series, find_series
from lesionclick.errors import CaseError


def test_series_are_found_in_subfolders_whatever_the_files_are_called(tmp_path: Path) -> None:
    study = SyntheticStudy()
    folder = study.write(tmp_path / "any" / "where")
    found = find_series(tmp_path)
    assert [(series.modality, series.description, len(series.paths)) for series in found] == [
        ("CT", "CT WB", CT_SHAPE[0]),
        ("PT", "PT WB", PET_SHAPE[0]),
    ]
    assert found[1].uid == study.pet[0].SeriesInstanceUID
    assert set(found[1].paths) == set((folder / "PT").iterdir())


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match=r"absent: the folder is missing, expected a DICOM study"):
        find_series(tmp_path / "absent")


def test_one_of_several_series_is_chosen_by_its_uid(tmp_path: Path) -> None:
    study = SyntheticStudy()
    uid = study.ct[0].SeriesInstanceUID
    second = study.make_series(
        "CT", CTImageStorage, np.zeros(CT_SHAPE, np.int16), CT_SPACING, CT_ORIGIN, [1.0] * 12, [7.0] * 12
    )
    study.ct += second
    found = find_series(study.write(tmp_path / "patient 7"))
    with pytest.raises(
        CaseError,
        match=rf"2 CT series, name one by UID or number \(--ct-series\): CT number 1, .*'CT WB', 12 slices, UID {uid}",
    ):
        choose_series(tmp_path, found, "CT")
    with pytest.raises(CaseError, match=r"holds no CT series 1\.2\.3, only CT number 1, 'CT WB', 12 slices"):
        choose_series(tmp_path, found, "CT", "1.2.3")
    assert choose_series(tmp_path, found, "CT", uid).uid == uid
    assert choose_series(tmp_path, found, "PT").modality == "PT"


def add_series(study: SyntheticStudy, of: str, count: int, **fields: object) -> str:
    """Adds a series of `count` slices of a study's CT or PET with other header fields; returns its UID."""
    source = study.ct if of == "CT" else study.pet
    uid = generate_uid()
    for original in source[:count]:
        item = copy.deepcopy(original)
        item.SeriesInstanceUID, item.SOPInstanceUID = uid, generate_uid()
        item.file_meta.MediaStorageSOPInstanceUID = item.SOPInstanceUID
        for keyword, value in fields.items():
            setattr(item, keyword, value)
        (study.ct if of == "CT" else study.pet).append(item)
    return uid


@pytest.mark.parametrize(
    ("count", "fields", "reason"),
    [
        (5, {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "a topogram"),
        (5, {"SeriesDescription": "Topogram 0.6 T80s"}, "a topogram"),
        (5, {"SeriesDescription": "SCOUT"}, "a topogram"),
        (5, {"SOPClassUID": SecondaryCaptureImageStorage, "SeriesDescription": "Dose Report"}, "other objects than"),
        (5, {"ImageType": ["DERIVED", "SECONDARY", "AXIAL", "MIP"]}, "a projection"),
        (2, {}, "too few images"),
    ],
)
def test_what_is_no_volume_of_the_body_is_never_the_ct(
    tmp_path: Path, count: int, fields: dict[str, object], reason: str
) -> None:
    study = SyntheticStudy()
    uid = study.ct[0].SeriesInstanceUID
    other = add_series(study, "CT", count, **fields)
    found = find_series(study.write(tmp_path / "study"))
    assert choose_series(tmp_path, found, "CT").uid == uid
    assert choose_series(tmp_path, found, "CT", other).uid == other  # whoever names it shall have it
    alone = [series for series in found if series.uid != uid]
    with pytest.raises(
        CaseError,
        match=rf"holds no CT series to take unless it is named \(--ct-series\): number 1, .*, UID {other}, {reason}",
    ):
        choose_series(tmp_path, alone, "CT")


def test_a_reformatted_series_gives_way_to_the_one_from_the_scanner(tmp_path: Path) -> None:
    study = SyntheticStudy()
    uid = study.ct[0].SeriesInstanceUID
    coronal = add_series(study, "CT", 12, ImageType=["DERIVED", "SECONDARY", "REFORMATTED"])
    found = find_series(study.write(tmp_path / "study"))
    assert choose_series(tmp_path, found, "CT").uid == uid
    assert choose_series(tmp_path, [series for series in found if series.uid != uid], "CT").uid == coronal


def test_the_pet_corrected_for_attenuation_is_taken_and_none_without(tmp_path: Path) -> None:
    study = SyntheticStudy()
    uid = study.pet[0].SeriesInstanceUID
    uncorrected = add_series(study, "PT", 5, CorrectedImage=["NORM", "DECY", "SCAT"], SeriesDescription="NAC")
    add_series(study, "PT", 5, CorrectedImage=["ATTN"])
    found = find_series(study.write(tmp_path / "study"))
    assert choose_series(tmp_path, found, "PT").uid == uid  # of the two with ATTN that with DECY
    alone = [series for series in found if series.uid == uncorrected]
    with pytest.raises(
        CaseError, match=rf"holds no PT series .*'NAC', 5 slices, UID {uncorrected}, not corrected for attenuation"
    ):
        choose_series(tmp_path, alone, "PT")
    again = add_series(study, "PT", 5)
    found = find_series(study.write(tmp_path / "again"))
    with pytest.raises(CaseError, match=rf"holds 2 PT series, name one by UID or number \(--pet-series\): .*{again}"):
        choose_series(tmp_path, found, "PT")


def test_a_study_without_pet_is_refused(tmp_path: Path) -> None:
    study = SyntheticStudy()
    study.pet.clear()
    found = find_series(study.write(tmp_path / "patient 7"))
    with pytest.raises(
        CaseError, match=r"holds no PET \(no series of modality PT\), only CT number 1, 'CT WB', 12 slices"
    ):
        choose_series(tmp_path, found, "PT")
