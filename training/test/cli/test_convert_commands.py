import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from helpers_case import make_lesions, write_labelled_case
from helpers_command import run_command
from helpers_data import (
    SHAPE,
    file_names,
    make_image,
    read_stored,
    write_challenge,
    write_image,
    write_masks,
    write_release,
    write_release_clicks,
)
from helpers_dicom import PET_SHAPE, PET_SPACING, SyntheticStudy
from typer.testing import CliRunner

from lesionclick.errors import CaseError
from lesionclick_training.cli.convert import Source, convert_app
from lesionclick_training.data.organs import OrganSource


def run(*arguments: object) -> str:
    result = CliRunner().invoke(convert_app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_commands(tmp_path: Path) -> None:
    study = SyntheticStudy()
    release, challenge = write_release(tmp_path / "release"), write_challenge(tmp_path / "deep-psma")
    clicks = write_release_clicks(tmp_path / "clicks")
    dataset = tmp_path / "Dataset400_All"
    assert "4 cases" in run("autopet", release, dataset, "--official-clicks", clicks, "--copy")
    assert "4 cases added" in run("deep-psma", challenge, dataset)
    lesion = np.zeros(PET_SHAPE, dtype=np.uint8)
    lesion[2, 2, 2] = 1
    study.write_segmentation(tmp_path / "seg.dcm", {"Lesion 1": lesion, "Liver": 1 - lesion}, study.pet)
    folder = study.write(tmp_path / "patient 7")
    shutil.move(tmp_path / "seg.dcm", folder)
    masks = write_masks(tmp_path / "masks", {"liver": np.ones((3, 4, 5), np.uint8)}, (3, 4, 5))
    ct = write_image(
        make_image(np.zeros(PET_SHAPE, np.float32), PET_SPACING, (-4.0, 8.5, 13.0)), tmp_path / "ct.nii.gz"
    )
    organs = tmp_path / "label" / "organs.nii.gz"
    assert str(organs) in run("organs", ct, organs, "--total", masks)
    assert set(np.unique(sitk.GetArrayFromImage(sitk.ReadImage(str(organs))))) == {3, 11}  # glands may be anywhere
    run("dicom", folder, dataset, "--segment", "Lesion*", "--annotated-segment", "Liver", "--name", "lung-7")

    assert len(file_names(dataset / "labelsTr")) == 9
    assert len(file_names(dataset / "imagesTr")) == 18
    assert np.array_equal(read_stored(dataset, "lung-7")[1][0], lesion)
    for fold in json.loads((dataset / "splits_final.json").read_text()):
        assert {"lung-7", "deep-psma_0012_fdg"} < set(fold["train"])
        assert len(fold["val"]) == 2


def test_cases_in_the_containers_layout_are_added_or_cross_validated(tmp_path: Path) -> None:
    folder, small, large = tmp_path / "cases", tmp_path / "Dataset400_Small", tmp_path / "Dataset401_Large"
    for seed in range(5):
        write_labelled_case(folder / f"sts_fdg_{seed}", make_lesions(), seed)
    assert run("cases", folder, small, "--description", "five real cases") == f"{small}: 5 cases added\n"
    assert json.loads((small / "dataset.json").read_text())["description"] == "five real cases"
    assert not (small / "splits_final.json").exists()
    for path in folder.iterdir():
        path.rename(folder / path.name.replace("sts", "more"))
    assert run("cases", folder, large, "--extend", small, "--cross-validate") == f"{large}: 5 cases added\n"
    folds = json.loads((large / "splits_final.json").read_text())
    assert [len(fold["train"]) for fold in folds] == [9] * 5
    assert json.loads((large / "dataset.json").read_text())["description"] == "five real cases"
    assert {name.partition("_")[0] for fold in folds for name in fold["val"]} == {"more"}


def test_commands_for_whole_folders_name_what_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = SyntheticStudy()
    study.write(tmp_path / "studies" / "a")
    table = tmp_path / "studies" / "table.csv"
    table.write_text("study,without_lesions\na,yes\nb,yes\n")
    dataset = tmp_path / "Dataset400_All"
    code, out, err = run_command(capsys, "convert", "dicom-batch", table, dataset)
    assert (code, out) == (2, f"{dataset}: 1 cases added, 0 were there\n")
    assert f"row 3: {table.parent / 'b'}: the folder is missing" in err
    assert f"{table}: 1 of 2 rows gave no case, see above: row 3" in err.splitlines()[-1]

    for name in ("a", "b"):
        write_image(make_image(np.zeros(SHAPE, np.float32)), tmp_path / "imagesTr" / f"{name}_0000.nii.gz")
    write_image(make_image(np.full(SHAPE, 5, np.uint8)), tmp_path / "total" / "a.nii.gz")
    arguments = (tmp_path / "imagesTr", tmp_path / "organs", "--total", tmp_path / "total")
    code, out, err = run_command(capsys, "convert", "organs", *arguments, "--version", "1")
    assert (code, out) == (2, f"{tmp_path / 'organs'}: 1 labels written, 0 were there\n")
    assert f"b: {tmp_path / 'total' / 'b.nii.gz'}: the file is missing" in err
    assert "1 of 2 cases have no label, see above: b" in err.splitlines()[-1]


def test_organ_sources_are_those_of_the_data() -> None:
    assert [source.value for source in Source] == [source.value for source in OrganSource]


def test_commands_let_errors_through(tmp_path: Path) -> None:
    release = write_release(tmp_path / "release")
    (release / "imagesTr" / "fdg_b_1_0001.nii.gz").unlink()
    with pytest.raises(CaseError, match="the PET of a labeled case is missing"):
        run("autopet", release, tmp_path / "Dataset400_All")
