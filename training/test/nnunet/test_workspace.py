import os
from pathlib import Path

import pytest

from lesionclick.errors import CaseError
from lesionclick_training.nnunet.network_sizes import NetworkSize
from lesionclick_training.nnunet.variants import Variant
from lesionclick_training.nnunet.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "raw" / "Dataset007_Bond").mkdir(parents=True)
    (tmp_path / "preprocessed" / "Dataset007_Bond").mkdir(parents=True)
    return Workspace(tmp_path)


def test_a_dataset_is_found_by_its_number(workspace: Workspace) -> None:
    assert workspace.find_raw(7).name == "Dataset007_Bond"
    assert workspace.find_preprocessed(7) == workspace.root / "preprocessed" / "Dataset007_Bond"
    with pytest.raises(CaseError, match=r"raw: holds 0 folders Dataset902_\*, expected one"):
        workspace.find_raw(902)
    (workspace.raw / "Dataset007_Again").mkdir()
    with pytest.raises(CaseError, match=r"raw: holds 2 folders Dataset007_\*, expected one"):
        workspace.find_raw(7)


def test_plans_are_found_by_the_size_of_their_network(workspace: Workspace) -> None:
    with pytest.raises(CaseError, match=r"LesionClickSmallPlans.json: is missing, expected what .* --plan small"):
        workspace.find_plans(7, NetworkSize.small)
    path = workspace.find_preprocessed(7) / "LesionClickSmallPlans.json"
    path.write_text("{}")
    assert workspace.find_plans(7, NetworkSize.small) == path


def test_a_model_folder_has_nnunets_name(workspace: Workspace) -> None:
    plans = workspace.find_preprocessed(7) / "TinyPlans.json"
    folder = Workspace(workspace.root, results_name="table").model_folder(Variant.EDT2_Custom, plans)
    name = "LesionClickTrainer_EDT2_Custom__TinyPlans__3d_fullres"
    assert folder == workspace.root / "table" / "Dataset007_Bond" / name


def test_nnunet_is_told_of_the_folders_for_a_while(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("nnUNet_raw", "elsewhere")
    monkeypatch.delenv("nnUNet_results", raising=False)
    before = dict(os.environ)
    with workspace.exported():
        told = {name: value for name, value in os.environ.items() if name.startswith("nnUNet_")}
    assert told["nnUNet_raw"] == str(workspace.raw)
    assert told["nnUNet_results"] == str(workspace.results)
    assert (Path(told["nnUNet_extTrainer"]) / "variants.py").is_file()
    assert dict(os.environ) == before
