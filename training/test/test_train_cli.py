import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from lesionclick.case.case import Case
from lesionclick.case.dataset import case_names
from lesionclick.testing import make_plans, write_model
from lesionclick_training.cli.main import main
from lesionclick_training.data.nnunet_layout import stack_label, write_case, write_splits

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs lesionclick-train: exit code, stdout, stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert isinstance(stopped.value.code, int)
        return stopped.value.code, captured.out, captured.err

    return run


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


def test_phantoms_make_a_dataset_that_grows(command: Command, tmp_path: Path) -> None:
    out = tmp_path / "raw" / "Dataset901_Phantom"
    assert command("phantoms", out, "--count", 2, "--spacing", 14)[:2] == (0, f"{out}: 2 phantoms\n")
    assert command("phantoms", out, "--count", 1, "--first-seed", 5, "--more", "--spacing", 14)[0] == 0
    names = case_names(out)
    assert [name.split("_")[0] for name in names] == ["base", "base", "more"]
    assert [name.split("_")[2] for name in names] == ["00000", "00001", "00005"]
    dataset = json.loads((out / "dataset.json").read_text())
    assert dataset["numTraining"] == 3
    assert dataset["description"] == "trained on synthetic phantoms, for demonstration and tests, not for patients"
    code, _, errors = command("phantoms", out, "--count", 1, "--spacing", 14)
    assert code == 2
    assert f"has a case {names[0]} already" in errors


def test_phantoms_for_the_container_come_with_truth_and_clicks(command: Command, tmp_path: Path) -> None:
    assert (
        command("phantoms", tmp_path / "cases", "--count", 1, "--first-seed", 3, "--spacing", 14, "--container")[0] == 0
    )
    (folder,) = (tmp_path / "cases").iterdir()
    case = Case.read(folder)
    truth = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "truth.mha")))
    assert truth.shape == case.geometry.shape_zyx
    tumor = [click for click in case.clicks if click.label == "tumor"]
    assert bool(tumor) == truth.any()
    assert all(truth[click.z, click.y, click.x] for click in tumor)
    assert any(click.label == "background" for click in case.clicks)


def test_validate_takes_one_folds_network_and_cases(
    command: Command, dataset: Path, model: Path, tmp_path: Path
) -> None:
    arguments = ("validate", model, "--dataset", dataset, "--device", "cpu")
    code, out, errors = command(*arguments, "--fold", 1, "--out", tmp_path / "rows.csv")
    assert code == 0
    assert out.startswith("## all: 1 cases\n\n| clicks a label | Dice |")
    assert "4 tiles, 1 networks\n" in errors
    rows = (tmp_path / "rows.csv").read_text().splitlines()[1:]
    assert [row.split(",")[:3:2] for row in rows] == [["a", "0"], ["a", "3"], ["a", "7"], ["a", "10"]]
    code, out, errors = command(*arguments)
    assert out.startswith("## all: 2 cases\n")
    assert "4 tiles, 2 networks\n" in errors


def test_validate_refuses_what_it_cannot_do(command: Command, dataset: Path, model: Path) -> None:
    assert command("validate", model)[0] == 2
    code, _, errors = command("validate", model, "--dataset", dataset, "--fold", 2)
    assert (code, "has no fold 2, it has 0, 1" in errors) == (2, True)
    (dataset / "splits_final.json").unlink()
    code, _, errors = command("validate", model, "--dataset", dataset, "--fold", 1)
    assert (code, "splits_final.json: the file is missing" in errors) == (2, True)
