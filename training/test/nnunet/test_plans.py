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

from lesionclick.errors import CaseError
from lesionclick_training.nnunet.network_sizes import NetworkSize
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


def test_a_dataset_without_lesions_gives_no_plans(tmp_path: Path) -> None:
    unknown = {"mean": float("nan")}
    fingerprint = {"foreground_intensity_properties_per_channel": {"0": unknown, "1": unknown}}
    (tmp_path / "dataset_fingerprint.json").write_text(json.dumps(fingerprint))
    with pytest.raises(CaseError, match="holds no intensities of lesions, expected a lesion in some case"):
        write_plans(tmp_path, TINY)
