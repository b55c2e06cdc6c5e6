import json
from pathlib import Path

import pytest
import SimpleITK as sitk
from helpers_command import run_command

from lesionclick.case.case import Case
from lesionclick.case.dataset import case_names


def test_phantoms_make_a_dataset_that_grows(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "raw" / "Dataset901_Phantom"
    two = ("--count", 2, "--population", "base", "--spacing", 14)
    assert run_command(capsys, "phantoms", out, *two)[:2] == (0, f"{out}: 2 phantoms\n")
    more = ("--count", 1, "--first-seed", 5, "--population", "more", "--spacing", 14)
    assert run_command(capsys, "phantoms", out, *more)[0] == 0
    names = case_names(out)
    assert [name.split("_")[0] for name in names] == ["base", "base", "more"]
    assert [name.split("_")[2] for name in names] == ["00000", "00001", "00005"]
    dataset = json.loads((out / "dataset.json").read_text())
    assert dataset["numTraining"] == 3
    assert dataset["description"] == "trained on synthetic phantoms, for demonstration and tests, not for patients"
    code, _, errors = run_command(capsys, "phantoms", out, "--count", 1, "--population", "base", "--spacing", 14)
    assert code == 2
    assert f"has a case {names[0]} already" in errors


def test_phantoms_extend_a_dataset(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    small, large = tmp_path / "Dataset901_Phantom", tmp_path / "Dataset902_More"
    assert run_command(capsys, "phantoms", small, "--count", 5, "--spacing", 20)[0] == 0
    arguments = ("phantoms", large, "--count", 1, "--first-seed", 5, "--spacing", 20, "--extend", small)
    assert run_command(capsys, *arguments)[0] == 0
    assert len(case_names(large)) == 6
    small_splits, large_splits = (json.loads((each / "splits_final.json").read_text()) for each in (small, large))
    assert [fold["val"] for fold in large_splits] == [fold["val"] for fold in small_splits]
    code, _, errors = run_command(capsys, *arguments)
    assert (code, "Dataset902_More: exists already" in errors) == (2, True)
    code, _, errors = run_command(capsys, *arguments, "--container")
    assert (code, "a dataset is extended by training cases" in errors) == (2, True)


def test_phantoms_for_the_container_come_with_truth_and_clicks(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert (
        run_command(
            capsys, "phantoms", tmp_path / "cases", "--count", 1, "--first-seed", 3, "--spacing", 14, "--container"
        )[0]
        == 0
    )
    (folder,) = (tmp_path / "cases").iterdir()
    case = Case.read(folder)
    truth = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "truth.mha")))
    assert truth.shape == case.geometry.shape_zyx
    tumor = [click for click in case.clicks if click.label == "tumor"]
    assert bool(tumor) == truth.any()
    assert all(truth[click.z, click.y, click.x] for click in tumor)
    assert any(click.label == "background" for click in case.clicks)


def test_phantoms_are_reported_against_real_cases(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "report.png"
    assert run_command(capsys, "phantoms", out, "--count", 2, "--spacing", 16, "--report")[0] == 0
    assert list(tmp_path.iterdir()) == [out]
    code, _, errors = run_command(capsys, "phantoms", out, "--count", 1, "--report", "--container")
    assert (code, "--report writes a figure alone" in errors) == (2, True)
