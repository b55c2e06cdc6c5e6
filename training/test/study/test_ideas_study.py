import dataclasses
from pathlib import Path

import pytest
from helpers_study import SPLITS, make_study, stand_in, write_names, write_raw_names

from lesionclick.errors import CaseError, LesionClickError
from lesionclick.inference.settings import PostProcessing
from lesionclick_training.augmentation.choices import Augmentation
from lesionclick_training.nnunet.network_sizes import NetworkSize, PETNormalization
from lesionclick_training.nnunet.settings import TrainingSettings
from lesionclick_training.nnunet.variants import Variant
from lesionclick_training.nnunet.workspace import Workspace
from lesionclick_training.study.ideas import BASE, IDEA_NAMES, IDEAS, NEED_OTHER_DATA, find_ideas
from lesionclick_training.study.ideas_study import make_row, run_ideas


def test_each_idea_changes_one_thing_of_the_base(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    base = dataclasses.asdict(make_row(BASE, study))
    assert (base["name"], base["variant"], base["training"]) == (
        "base",
        Variant.EDT2,
        dataclasses.asdict(study.training),
    )
    for name in IDEA_NAMES:
        row = dataclasses.asdict(make_row(name, study, low_uptake=902))
        names = {"name", "networks"}
        (changed,) = (field for field in row if field not in names and row[field] != base[field])
        assert row["name"] == name
        assert row["networks"] == (BASE if changed == "inference" else name)
        if changed == "training":
            assert sum(row[changed][field] != base[changed][field] for field in row[changed]) == 1


def test_ideas_together_have_the_networks_of_those_that_are_trained(tmp_path: Path) -> None:
    row = make_row("gate-1+strong-augmentation+edt-3+offset-1+floor", make_study(tmp_path))
    assert row.name == "offset-1+strong-augmentation+edt-3+gate-1+floor"
    assert row.networks == "offset-1+strong-augmentation+edt-3"
    assert row.variant == Variant.EDT3
    assert row.training == TrainingSettings(3, click_offset=1, augmentation=Augmentation.strong)
    assert row.inference.post_processing == PostProcessing(1, 0.6)
    assert make_row("gate-5+obey-clicks", make_study(tmp_path)).networks == BASE


def test_ideas_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LesionClickError, match="offset-0 and offset-1 both change click_offset"):
        find_ideas("offset-1+offset-0")
    with pytest.raises(LesionClickError, match="edt-3 and custom-points both change variant"):
        find_ideas("edt-3+custom-points")
    with pytest.raises(LesionClickError, match="'offset-2' is no idea, expected one of offset-0, "):
        find_ideas("offset-2")
    with pytest.raises(LesionClickError, match=r"low-uptake needs a dataset of its own, expected its number \(--low-"):
        make_row("low-uptake", make_study(tmp_path))


def test_all_ideas_are_tried_on_both_kinds_of_cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = stand_in(monkeypatch)
    held_out = write_raw_names(tmp_path / "phantoms", ["p", "q"])
    study = make_study(tmp_path, held_out=held_out, steps=(0, 10), folds=(0, 1))
    found = run_ideas(study, together=["gate-1", "offset-1"])
    rows = {BASE, *IDEA_NAMES, "offset-1+gate-1"} - set(NEED_OTHER_DATA)
    assert list(found) == ["Cases of the folds: Dataset901_Names", "Held-out cases: phantoms"]
    real, phantoms = found.values()
    assert real.keys() == phantoms.keys() == rows
    assert [table.cases for table in real["gate-5"]] == [("a",), ("b",)]
    assert [table.cases for table in phantoms["gate-5"]] == [("p", "q"), ("p", "q")]
    places = {place for place, _, _ in calls.trained}
    alone = {idea.name for idea in IDEAS if idea.is_trained} - set(NEED_OTHER_DATA)
    assert places == {f"study/{name}/seed_0" for name in {BASE, *alone}}

    # a later run without that row keeps it in the table
    assert run_ideas(study, [BASE])["Held-out cases: phantoms"].keys() == rows


def test_low_uptake_takes_a_dataset_with_its_normalization_and_the_same_folds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = stand_in(monkeypatch)
    study = make_study(tmp_path)
    workspace = Workspace(tmp_path)
    write_names(workspace, 902)
    with pytest.raises(CaseError, match=r"902_Names/LesionClickSmallPlans\.json: normalizes the PET otherwise"):
        run_ideas(study, ["low-uptake"], low_uptake=902)
    write_names(workspace, 903, [{"train": ["b", "c", "d"], "val": ["a"]}, SPLITS[1]], PETNormalization.low_uptake)
    with pytest.raises(
        CaseError, match=r"903_Names/splits_final\.json: expected the folds of .*901_Names/splits_final"
    ):
        run_ideas(study, ["low-uptake"], low_uptake=903)
    write_names(workspace, 904, normalization=PETNormalization.low_uptake)
    with pytest.raises(CaseError, match=r"901_Names/LesionClickFinePlans\.json: is missing"):
        run_ideas(study, ["fine"])
    write_names(workspace, 901, size=NetworkSize.fine)
    run_ideas(study, ["fine", "low-uptake"], low_uptake=904)
    assert [(job.dataset, job.size) for _, job, _ in calls.trained] == [(901, "fine"), (904, "small")]
