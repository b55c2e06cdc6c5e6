from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from helpers_command import run_command
from helpers_study import make_table

from lesionclick.errors import CaseError
from lesionclick.evaluation.table import Table
from lesionclick.inference.settings import FieldOfView, InferenceSettings, Mirroring, Networks, PostProcessing
from lesionclick.testing import make_plans, write_model
from lesionclick_training.data.nnunet_layout import stack_label, write_case
from lesionclick_training.data.splits import write_splits
from lesionclick_training.nnunet.job import Device
from lesionclick_training.nnunet.network_sizes import NetworkSize
from lesionclick_training.nnunet.settings import TrainingSettings
from lesionclick_training.nnunet.workspace import Workspace
from lesionclick_training.study import ideas_study, table_study, validation
from lesionclick_training.study.paper_rows import PAPER_ROWS
from lesionclick_training.study.row_study import RowStudy


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    folder = tmp_path / "raw" / "Dataset900_Test"
    lesion = np.zeros((16, 17, 18), dtype=np.uint8)
    lesion[3:7, 4:8, 5:9] = 1
    for name in ("a", "b"):
        ct, pet = (generator.uniform(0.1, 5, lesion.shape).astype(np.float32) for _ in range(2))
        write_case(folder, name, sitk.GetImageFromArray(ct), sitk.GetImageFromArray(pet), stack_label(lesion))
    write_splits(folder, [{"train": ["a"], "val": ["b"]}, {"train": ["b"], "val": ["a"]}])
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model", make_plans(spacing=(1.0, 1.0, 1.0)), folds=(0, 1))


def test_validate_takes_one_folds_network_and_cases(
    capsys: pytest.CaptureFixture[str], dataset: Path, model: Path, tmp_path: Path
) -> None:
    arguments = ("validate", model, "--dataset", dataset, "--device", "cpu")
    code, out, errors = run_command(capsys, *arguments, "--fold", 1, "--out", tmp_path / "rows.csv")
    assert code == 0
    assert out.startswith("## all: 1 cases\n\n| clicks a label | Dice |")
    assert "4 tiles, 1 networks\n" in errors
    rows = (tmp_path / "rows.csv").read_text().splitlines()[1:]
    assert [row.split(",")[:3:2] for row in rows] == [["a", "0"], ["a", "3"], ["a", "7"], ["a", "10"]]
    code, out, errors = run_command(capsys, *arguments)
    assert out.startswith("## all: 2 cases\n")
    assert "4 tiles, 2 networks\n" in errors


def test_validate_says_what_its_networks_were_trained_on(
    capsys: pytest.CaptureFixture[str], dataset: Path, model: Path
) -> None:
    arguments = ("validate", model, "--dataset", dataset, "--device", "cpu")
    _, out, _ = run_command(capsys, *arguments)
    assert "It is not known what fold_0 was trained on: there is no fold_0/training_cases.json" in out
    (model / "fold_0" / "training_cases.json").write_text('{"training_cases": ["a", "of another dataset"]}')
    (model / "fold_1" / "training_cases.json").write_text('{"training_cases": []}')
    _, out, _ = run_command(capsys, *arguments)
    assert (
        "- fold_0 was trained on 1 of these 2 cases, which fold_0/training_cases.json names: their figures say nothing "
        "of new patients.\n\n# Cases that no network is known to be trained on\n\n## all: 1 cases\n"
    ) in out
    assert "fold_1" not in out

    code, out, _ = run_command(capsys, *arguments, "--fold", 0)  # validated on b
    assert (code, "new patients" in out) == (0, False)
    (model / "fold_0" / "training_cases.json").write_text('{"training_cases": ["b"]}')
    code, _, errors = run_command(capsys, *arguments, "--fold", 0)
    assert code == 2
    assert (
        "fold_0/training_cases.json: the network was trained on 1 of the 1 cases that it is to be validated" in errors
    )


def test_validate_looks_as_the_published_method_does_unless_asked_otherwise(
    capsys: pytest.CaptureFixture[str], dataset: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def remember(*_: object, inference: InferenceSettings, **__: object) -> Table:
        asked.append(inference)
        raise CaseError("enough")

    monkeypatch.setattr(validation, "validate", remember)
    arguments = ("validate", model, "--dataset", dataset, "--device", "cpu")
    assert run_command(capsys, *arguments)[0] == 2
    options = ("--lesion-free-gate", 2, "--component-floor", 0.6, "--obey-clicks")
    assert run_command(capsys, *arguments, "--field-of-view", "body", *options)[0] == 2
    assert asked == [
        InferenceSettings(FieldOfView.full),
        InferenceSettings(FieldOfView.body, post_processing=PostProcessing(2, 0.6, True)),
    ]


def test_validate_refuses_what_it_cannot_do(capsys: pytest.CaptureFixture[str], dataset: Path, model: Path) -> None:
    assert run_command(capsys, "validate", model)[0] == 2
    code, _, errors = run_command(capsys, "validate", model, "--dataset", dataset, "--fold", 2)
    assert (code, "has no fold 2, it has 0, 1" in errors) == (2, True)
    (dataset / "splits_final.json").unlink()
    code, _, errors = run_command(capsys, "validate", model, "--dataset", dataset, "--fold", 1)
    assert (code, "splits_final.json: the file is missing" in errors) == (2, True)


def test_table_runs_the_rows_asked_for(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def remember(study: RowStudy, more_data: int, names: list[str]) -> dict[str, list[Table]]:
        asked.append((study, more_data, names))
        return {"EDT 2": [make_table({"a": (0.5, 0.6, 0.7, 0.8)}, (0, 3, 7, 10))]}

    monkeypatch.setattr(table_study, "run_table", remember)
    monkeypatch.setenv("LESIONCLICK_EPOCHS", "8")
    out = tmp_path / "table.md"
    options = ("--start", "start.pth", "--root", tmp_path, "--plan", "small", "--device", "cpu", "--out", out)
    inference = ("--mirroring", "adaptive", "--networks", "all")
    some = ("--folds", "0-2", "--seeds", "0,3", "--row", "EDT 2")
    code, printed, _ = run_command(capsys, "table", 901, 902, *options, *inference, *some)
    assert (code, printed) == (0, f"{out}\n")
    study = RowStudy(
        Workspace(tmp_path, results_name="table"),
        901,
        Path("start.pth"),
        size=NetworkSize.small,
        folds=(0, 1, 2),
        seeds=(0, 3),
        device=Device.cpu,
        training=TrainingSettings(epochs=8),
        inference=InferenceSettings(FieldOfView.full, Mirroring.adaptive, Networks.all),
    )
    assert asked == [(study, 902, ["EDT 2"])]
    text = out.read_text()
    assert "Each row: 8 epochs" in text
    assert "| EDT 2 (1 of 6 networks) |" in text

    monkeypatch.setenv("LESIONCLICK_SEED", "7")
    assert run_command(capsys, "table", 901, 902, *options)[0] == 0
    assert asked[-1][2] == [row.name for row in PAPER_ROWS]
    assert (asked[-1][0].seeds, asked[-1][0].training.seed) == ((7,), None)
    code, _, errors = run_command(capsys, "table", 901, 902, *options, "--row", "EDT 9")
    assert (code, "'EDT 9' is none of autoPET III model" in errors) == (2, True)


def test_ideas_runs_what_is_asked_for(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def remember(study: RowStudy, *rest: object) -> dict[str, dict[str, list[Table]]]:
        asked.append((study, *rest))
        return {"Held-out cases: Phantoms": {"base": [make_table({"a": (0.5, 0.8)}, (0, 1))]}}

    monkeypatch.setattr(ideas_study, "run_ideas", remember)
    monkeypatch.setenv("LESIONCLICK_EPOCHS", "8")
    out = tmp_path / "ideas.md"
    options = ("--start", "start.pth", "--root", tmp_path, "--plan", "small", "--device", "cpu", "--out", out)
    some = ("--row", "base", "--row", "gate-1", "--together", "scribbles", "--together", "floor", "--low-uptake", 903)
    code, printed, _ = run_command(capsys, "ideas", 900, "--held-out", 900, *options, *some, "--steps", "0,1")
    assert (code, printed) == (0, f"{out}\n")
    study = RowStudy(
        Workspace(tmp_path, results_name="ideas"),
        900,
        Path("start.pth"),
        size=NetworkSize.small,
        device=Device.cpu,
        training=TrainingSettings(epochs=8),
        inference=InferenceSettings(FieldOfView.body, Mirroring.none, Networks.all),
        steps=(0, 1),
        held_out=dataset,
    )
    assert asked == [(study, ["base", "gate-1"], ["scribbles", "floor"], 903)]
    assert "\n| base | 0.500 | 0.800 |" in out.read_text()

    assert run_command(capsys, "ideas", 900, "--held-out", tmp_path / "phantoms", *options)[0] == 0
    assert asked[-1] == (replace(study, steps=(0, 1, 3, 10), held_out=tmp_path / "phantoms"), (), (), None)
    code, _, errors = run_command(capsys, "ideas", 900, "--held-out", 900, *options, "--row", "EDT 2")
    assert (code, "'EDT 2' is none of base, offset-0" in errors) == (2, True)
