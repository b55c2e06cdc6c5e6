from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pydicom")
pytest.importorskip("highdicom")

from helpers_dicom import CT_ORIGIN, CT_SHAPE, CT_SPACING, PET_SHAPE, SyntheticStudy
from pydicom.uid import CTImageStorage

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
    with pytest.raises(CaseError, match=rf"holds 2 CT series, name one by its UID: .*{uid} \(CT WB, 12 files\)"):
        choose_series(tmp_path, found, "CT")
    with pytest.raises(CaseError, match=r"holds no CT series 1\.2\.3, only .* \(CT WB, 12 files\)"):
        choose_series(tmp_path, found, "CT", "1.2.3")
    assert choose_series(tmp_path, found, "CT", uid).uid == uid
    assert choose_series(tmp_path, found, "PT").modality == "PT"


def test_a_study_without_pet_is_refused(tmp_path: Path) -> None:
    study = SyntheticStudy()
    study.pet.clear()
    found = find_series(study.write(tmp_path / "patient 7"))
    with pytest.raises(CaseError, match=r"holds no series of modality PT"):
        choose_series(tmp_path, found, "PT")
