import json
import logging
import random
from pathlib import Path

import pytest

from lesionclick.errors import CaseError
from lesionclick_training.data.splits import complete_splits, make_splits, patient_of


def autopet_names() -> list[str]:
    """1611 names like autoPET's: 1014 FDG studies of 900 patients, 597 PSMA studies of 378."""
    generator = random.Random(1)
    names = []
    for tracer, patients, studies, digits in (("fdg", 900, 1014, 10), ("psma", 378, 597, 16)):
        known = [f"{generator.randrange(16**digits):0{digits}x}" for _ in range(patients)]
        of_studies = known + generator.choices(known, k=studies - patients)
        names += [f"{tracer}_{patient}_2018-04-{index}-x PET_CT" for index, patient in enumerate(of_studies)]
    return names


def test_a_patient_is_known_by_the_name_of_a_study() -> None:
    blanks = "fdg_0011f3deaf_03-23-2003-NA-PET-CT Ganzkoerper  primaer mit KM-42966"
    assert patient_of(blanks) == "fdg_0011f3deaf"
    assert patient_of("psma_95b833d65be26d7c_2018-04-23") == "psma_95b833d65be26d7c"
    assert patient_of("deep-psma_0001_psma") == patient_of("deep-psma_0001_fdg") == "deep-psma_0001"
    assert patient_of("base_fdg_00000") == "base_fdg_00000"  # a phantom: of nobody else
    assert patient_of("fdg_7") == "fdg_7"


def test_studies_of_a_patient_stay_on_one_side() -> None:
    names = autopet_names()
    splits = make_splits(names)
    assert sorted(name for fold in splits for name in fold["val"]) == sorted(names)
    for fold in splits:
        assert sorted(fold["train"] + fold["val"]) == sorted(names)
        assert not {patient_of(name) for name in fold["train"]} & {patient_of(name) for name in fold["val"]}
    for tracer, count in (("fdg", 1014), ("psma", 597)):
        sizes = [sum(name.startswith(tracer) for name in fold["val"]) for fold in splits]
        assert max(sizes) - min(sizes) <= 1, (tracer, count)


def test_splits_depend_on_names_and_seed_alone() -> None:
    names = autopet_names()
    splits = make_splits(names)
    assert make_splits(names[::-1]) == splits
    assert make_splits(names, seed=1) != splits


@pytest.mark.parametrize("seed", range(20))
def test_no_fold_is_empty_where_there_is_a_patient_for_each(seed: int) -> None:
    generator = random.Random(seed)
    patients = [f"{generator.choice(('fdg', 'psma'))}_{index}" for index in range(5 + seed % 4)]
    names = [f"{patient}_{study}" for patient in patients for study in range(generator.choice((1, 1, 2, 9)))]
    assert all(fold["val"] and fold["train"] for fold in make_splits(names))


def test_fewer_patients_than_folds_are_refused() -> None:
    with pytest.raises(CaseError, match="6 cases of 4 patients cannot be split into 5 folds"):
        make_splits(["fdg_a_1", "fdg_a_2", "fdg_a_3", "fdg_b_1", "c", "d"])


def test_a_dataset_without_splits_gets_them_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "labelsTr").mkdir()
    for index in range(6):
        (tmp_path / "labelsTr" / f"psma_{index % 5}_{index}.nii.gz").touch()
    with caplog.at_level(logging.INFO, logger="lesionclick"):
        splits = complete_splits(tmp_path)
    assert "splits_final.json: written, 6 cases of 5 patients in 5 folds" in caplog.text
    assert json.loads((tmp_path / "splits_final.json").read_text()) == splits
    (tmp_path / "labelsTr" / "psma_new_6.nii.gz").touch()
    assert complete_splits(tmp_path) == splits
