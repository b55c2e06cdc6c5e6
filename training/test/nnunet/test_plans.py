import json
from pathlib import Path

import numpy as np
import pytest
from helpers_training import (
    DATASET,
    SPLIT,
    TINY,
    make_volumes,
    make_workspace,
    quick_preprocessing,
    tiny_environment,
    write_tiny_dataset,
)
from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class

from lesionclick.errors import CaseError
from lesionclick_training.nnunet.network_sizes import PLANS, NetworkSize, PETNormalization
from lesionclick_training.nnunet.plans import write_plans
from lesionclick_training.nnunet.preprocessing import preprocess
from lesionclick_training.nnunet.workspace import Workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return make_workspace(tmp_path_factory.mktemp("root"))


def test_plans_hold_the_datasets_own_intensities_of_lesions(workspace: Workspace) -> None:
    folder = workspace.find_preprocessed(DATASET)
    plans = json.loads((folder / "TinyPlans.json").read_text())
    voxels = np.concatenate([pet[label[0] > 0] for _, pet, label in map(make_volumes, range(1, 4))])
    found = plans["foreground_intensity_properties_per_channel"]["1"]
    assert found["mean"] == pytest.approx(voxels.mean(), rel=0.02)
    assert found["percentile_99_5"] == pytest.approx(np.percentile(voxels, 99.5), rel=0.05)
    assert plans["configurations"]["3d_fullres"]["normalization_schemes"] == ["CTNormalization"] * 2
    splits = json.loads((folder / "splits_final.json").read_text())
    assert [{side: tuple(cases) for side, cases in fold.items()} for fold in splits] == [SPLIT, SPLIT]


def test_datasets_with_the_same_plans_make_one_ensemble(workspace: Workspace) -> None:
    write_tiny_dataset(workspace.raw / "Dataset903_More", names=("a", "b"), first_seed=5)
    with tiny_environment(), quick_preprocessing():
        path = preprocess(workspace, 903, NetworkSize.small, plans_of=DATASET, processes=1)
    theirs = json.loads((workspace.find_preprocessed(DATASET) / "TinyPlans.json").read_text())
    assert json.loads(path.read_text()) == {**theirs, "dataset_name": "Dataset903_More"}
    assert (path.parent / "TinyPlans_3d_fullres" / "a.b2nd").is_file()


def test_contrast_at_low_uptake_is_kept_by_the_numbers_of_the_plans(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    dataset = workspace.raw / f"Dataset{DATASET}_Tiny"
    write_tiny_dataset(dataset, names=("a", "b"), first_seed=1)
    with tiny_environment(), quick_preprocessing():
        path = preprocess(
            workspace, DATASET, NetworkSize.small, pet_normalization=PETNormalization.low_uptake, processes=1
        )
    plans = json.loads(path.read_text())
    intensities = plans["foreground_intensity_properties_per_channel"]
    fingerprint = json.loads((path.parent / "dataset_fingerprint.json").read_text())
    own = fingerprint["foreground_intensity_properties_per_channel"]
    assert intensities["0"] == own["0"]
    assert [intensities["1"][key] for key in ("mean", "std", "percentile_00_5", "percentile_99_5")] == [4, 4, 0, 30]
    assert plans["configurations"]["3d_fullres"]["normalization_schemes"] == ["CTNormalization"] * 2

    cases = infer_dataset_class(str(path.parent / "TinyPlans_3d_fullres"))(str(path.parent / "TinyPlans_3d_fullres"))
    image, _, _, _ = cases.load_case("a")
    _, pet, _ = make_volumes(1)
    np.testing.assert_allclose(image[1], (pet.clip(0, 30) - 4) / 4, atol=1e-4)


def test_plans_taken_say_how_the_pet_is_normalized(workspace: Workspace) -> None:
    write_tiny_dataset(workspace.raw / "Dataset904_Other", names=("a",), first_seed=5)
    with (
        tiny_environment(),
        pytest.raises(CaseError, match=r"Plans\.json: says how the PET is normalized, expected"),
    ):
        preprocess(workspace, 904, NetworkSize.small, plans_of=DATASET, pet_normalization=PETNormalization.low_uptake)


def test_every_size_has_plans_of_its_own() -> None:
    assert set(PLANS) == set(NetworkSize)
    assert len({plan.plans_name for plan in PLANS.values()}) == len(PLANS)
    for plan in PLANS.values():
        assert len(plan.features) == len(plan.blocks) >= 3
        assert all(size % 2 ** (len(plan.features) - 1) == 0 for size in plan.patch)
    assert PLANS[NetworkSize.fine].spacing == (4, 4, 4)


def test_a_dataset_without_lesions_gives_no_plans(tmp_path: Path) -> None:
    unknown = {"mean": float("nan")}
    fingerprint = {"foreground_intensity_properties_per_channel": {"0": unknown, "1": unknown}}
    (tmp_path / "dataset_fingerprint.json").write_text(json.dumps(fingerprint))
    with pytest.raises(CaseError, match="holds no intensities of lesions, expected a lesion in some case"):
        write_plans(tmp_path, TINY)
