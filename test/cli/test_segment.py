import json
import shutil
import signal
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import ROOT, body, click_file, image_from

from lesionclick.case.case import Case
from lesionclick.cli.main import main
from lesionclick.testing import make_plans, write_model

MASK = "lesions.nii.gz"


@pytest.fixture(autouse=True)
def cpu(monkeypatch: pytest.MonkeyPatch, model_folder: Path) -> None:
    monkeypatch.setenv("LESIONCLICK_DEVICE", "cpu")
    monkeypatch.setenv("LESIONCLICK_BACKEND", "torch")
    monkeypatch.setenv("LESIONCLICK_PRECISION", "float32")
    monkeypatch.setenv("LESIONCLICK_MODEL", str(model_folder))


@pytest.fixture
def segment(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[str, str]]:
    """Runs `lesionclick segment`, expects success and returns what it printed to stdout and to stderr."""

    def run(*arguments: object) -> tuple[str, str]:
        with pytest.raises(SystemExit) as stopped:
            main(["segment", *map(str, arguments)])
        captured = capsys.readouterr()
        assert stopped.value.code == 0, captured.err
        return captured.out, captured.err

    return run


def read(path: Path) -> np.ndarray:
    array: np.ndarray = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    return array


def write_release(folder: Path) -> Path:
    """A study as the autoPET release has it, the CT twice as fine as the PET."""
    folder.mkdir(parents=True)
    ct, pet = body()
    fine = np.repeat(np.repeat(np.repeat(ct, 2, 0), 2, 1), 2, 2)
    spacing = (4.0, 4.0, 6.0)
    sitk.WriteImage(image_from(ct, spacing), str(folder / "CTres.nii.gz"))
    sitk.WriteImage(image_from(pet, spacing), str(folder / "SUV.nii.gz"))
    sitk.WriteImage(image_from(fine, (2.0, 2.0, 3.0), (-1.0, -1.0, -1.5)), str(folder / "CT.nii.gz"))
    sitk.WriteImage(image_from(pet * 5000, spacing), str(folder / "PET.nii.gz"))
    return folder


def test_a_grand_challenge_case_gives_what_predict_gives(
    case_folder: Path, tmp_path: Path, segment: Callable[..., tuple[str, str]]
) -> None:
    out, error = segment(case_folder, "--out", tmp_path / "out")
    with pytest.raises(SystemExit):
        main(["predict", "--input", str(case_folder), "--output", str(tmp_path / "predicted")])
    predicted = read(tmp_path / "predicted" / "images" / "tumor-lesion-segmentation" / "case.mha")
    assert predicted.any()
    assert np.array_equal(read(tmp_path / "out" / MASK), predicted)
    assert (
        "INFO found: Grand Challenge's layout, CT images/ct/case.mha, PET (SUV) images/pet/case.mha, 2 clicks" in error
    )
    assert " lesions, total tumor volume " in out
    assert out.splitlines()[-1].startswith(
        f"{tmp_path / 'out'}: lesions.csv, lesions.json, lesions.nii.gz, report.html, report.json"
    )


def test_table_and_record_tell_what_was_done(
    case_folder: Path, tmp_path: Path, segment: Callable[..., tuple[str, str]]
) -> None:
    segment(case_folder, "--out", tmp_path / "out", "--formats", "mha,NRRD")
    mask = read(tmp_path / "out" / "lesions.mha")
    assert np.array_equal(mask, read(tmp_path / "out" / "lesions.nrrd"))
    table = json.loads((tmp_path / "out" / "lesions.json").read_text())
    case = Case.read(case_folder)
    assert table["case"]["total_volume_ml"] == pytest.approx(
        mask.sum() * np.prod(case.geometry.spacing) / 1000, rel=1e-5
    )
    record = json.loads((tmp_path / "out" / "report.json").read_text())
    assert record["files"] == sorted(path.name for path in (tmp_path / "out").iterdir())
    assert record["clicks"][0] == {"x": 3, "y": 4, "z": 5, "label": "tumor"}
    assert record["settings"]["mirroring"] == "none"
    assert len(record["model"]["sha256"]) == 64


def test_a_study_of_the_autopet_release_on_either_grid(tmp_path: Path, segment: Callable[..., tuple[str, str]]) -> None:
    study = write_release(tmp_path / "patient" / "study").parent
    _, error = segment(study, "--out", tmp_path / "pet")
    assert "CT study/CTres.nii.gz, PET (SUV) study/SUV.nii.gz (passed over: CT.nii.gz, PET.nii.gz)" in error
    segment(study, "--out", tmp_path / "ct", "--grid", "ct")
    on_pet, on_ct = read(tmp_path / "pet" / MASK), read(tmp_path / "ct" / MASK)
    assert on_pet.shape == (18, 20, 22)
    assert on_ct.shape == (36, 40, 44)
    assert on_pet.any()
    assert on_ct.any()


def test_two_files_and_clicks_of_every_kind(tmp_path: Path, segment: Callable[..., tuple[str, str]]) -> None:
    study = write_release(tmp_path / "study")
    (tmp_path / "a.json").write_text(json.dumps(click_file(([3, 4, 5], "tumor"))))
    point = {"label": "background-1", "position": [-40.0, -44.0, 72.0]}
    markup = {"type": "Fiducial", "coordinateSystem": "RAS", "controlPoints": [point]}
    (tmp_path / "b.mrk.json").write_text(json.dumps({"markups": [markup]}))
    files = ("--ct", study / "CT.nii.gz", "--pet", study / "SUV.nii.gz")
    clicks = ("--clicks", tmp_path / "a.json", "--clicks", tmp_path / "b.mrk.json")
    _, error = segment(*files, *clicks, "--out", tmp_path / "out")
    assert "2 clicks of a.json, b.mrk.json" in error
    assert "whose grid is not that of the CT" not in error
    shutil.copyfile(tmp_path / "a.json", study / "lesion-clicks.json")
    (study / "CTres.nii.gz").unlink()
    _, error = segment(study, "--out", tmp_path / "beside")
    assert "its clicks are taken for voxels of the PET, whose grid is not that of the CT" in error
    record = json.loads((tmp_path / "out" / "report.json").read_text())
    assert record["clicks"] == [
        {"x": 3, "y": 4, "z": 5, "label": "tumor"},
        {"x": 10, "y": 11, "z": 12, "label": "background"},
    ]


def test_a_zip_is_as_good_as_a_folder(
    case_folder: Path, tmp_path: Path, segment: Callable[..., tuple[str, str]]
) -> None:
    path = tmp_path / "study.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in case_folder.rglob("*.*"):
            archive.write(file, Path("below") / file.relative_to(case_folder))
    segment(path, "--out", tmp_path / "a")
    segment(case_folder, "--out", tmp_path / "b")
    assert np.array_equal(read(tmp_path / "a" / MASK), read(tmp_path / "b" / MASK))


def test_clicks_beside_the_images_can_be_left_out(
    case_folder: Path, tmp_path: Path, segment: Callable[..., tuple[str, str]]
) -> None:
    segment(case_folder, "--out", tmp_path / "out", "--no-clicks")
    record = json.loads((tmp_path / "out" / "report.json").read_text())
    assert record["clicks"] == []
    assert "no-clicks" not in [warning["name"] for warning in record["warnings"]]


def test_what_is_implausible_is_said_once_and_recorded(tmp_path: Path, segment: Callable[..., tuple[str, str]]) -> None:
    study = write_release(tmp_path / "study")
    _, error = segment("--ct", study / "CTres.nii.gz", "--pet", study / "PET.nii.gz", "--out", tmp_path / "out")
    warnings = json.loads((tmp_path / "out" / "report.json").read_text())["warnings"]
    assert "no-clicks" in [warning["name"] for warning in warnings]
    assert len(warnings) > 1  # Bq/ml, at the least
    for warning in warnings:
        assert error.count(f"WARNING {warning['sentence']}") == 1


def test_organs_are_found_by_models_that_know_them(
    case_folder: Path, tmp_path: Path, segment: Callable[..., tuple[str, str]], refused: Callable[..., str]
) -> None:
    other = write_model(tmp_path / "other", make_plans(), organ_heads=False)
    assert "organ" in refused("segment", case_folder, "--out", tmp_path / "out", "--organs", "--model", other)
    segment(case_folder, "--out", tmp_path / "out", "--organs")
    assert read(tmp_path / "out" / "organs.nii.gz").max() <= 10
    assert json.loads((tmp_path / "out" / "lesions.json").read_text())["lesions"]


def test_results_are_overwritten_on_request_alone(
    case_folder: Path, tmp_path: Path, segment: Callable[..., tuple[str, str]], refused: Callable[..., str]
) -> None:
    out = tmp_path / "out"
    segment(case_folder, "--out", out)
    assert refused("segment", case_folder, "--out", out).startswith(f"{out}: is not empty")
    segment(case_folder, "--out", out, "--overwrite", "--formats", "mha")
    assert not (out / MASK).exists()


def test_what_cannot_be_read_leaves_nothing(tmp_path: Path, refused: Callable[..., str]) -> None:
    empty, out = tmp_path / "empty", tmp_path / "out"
    empty.mkdir()
    assert refused("segment", empty, "--out", out).startswith(f"{empty}: holds neither DICOM nor a CT and a PET")
    assert refused("segment", tmp_path / "x", "--out", out).startswith(f"{tmp_path / 'x'}: is missing")
    study = write_release(tmp_path / "study")
    shutil.copyfile(study / "SUV.nii.gz", study / "a_suv.nii.gz")
    assert "2 images can be the PET (SUV.nii.gz, a_suv.nii.gz)" in refused("segment", study, "--out", out)
    assert not out.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_ended_leaves_nothing(case_folder: Path, tmp_path: Path, number: signal.Signals) -> None:
    program = f"import signal; signal.signal({number:d}, signal.SIG_DFL); from lesionclick.cli.main import main; main()"
    command = [sys.executable, "-c", program, "segment", str(case_folder), "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        next(line for line in running.stderr if line.startswith("INFO found"))  # results are under way
        running.send_signal(number)
        assert "Traceback" not in running.stderr.read()
    assert running.returncode == 128 + number
    assert [path.name for path in tmp_path.iterdir()] == [case_folder.name]


def test_a_run_under_nohup_goes_on(case_folder: Path, tmp_path: Path) -> None:
    program = "import signal; signal.signal(1, signal.SIG_IGN); from lesionclick.cli.main import main; main()"
    command = [sys.executable, "-c", program, "segment", str(case_folder), "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        next(line for line in running.stderr if line.startswith("INFO found"))
        running.send_signal(signal.SIGHUP)
        running.stderr.read()
    assert running.returncode == 0
    assert (tmp_path / "out").is_dir()


def test_dicom_objects_need_dicom(case_folder: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    sentence = refused("segment", case_folder, "--out", tmp_path / "out", "--formats", "rtstruct")
    assert sentence == "case: was not read from DICOM, so that no rtstruct can refer to it"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["x", "--ct", "a"],
        ["--ct", "a"],
        ["x", "--formats", "tiff"],
        ["x", "--clicks", "a", "--no-clicks"],
        ["x", "--formats", "dicom-sr", "--dicom-segments", "single"],
    ],
)
def test_contradicting_options_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["segment", *arguments, "--out", str(tmp_path / "out")])
    assert stopped.value.code == 2
    assert "Traceback" not in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_other_studies_are_read_without_the_dicom_extra(case_folder: Path) -> None:
    program = (
        "import sys; sys.modules['pydicom'] = sys.modules['highdicom'] = None\n"
        "from pathlib import Path\n"
        "from lesionclick.dicom.study import open_study\n"
        f"print(open_study(Path({str(case_folder)!r})).case.name)\n"
        f"open_study(Path({str(case_folder / 'images' / 'ct')!r}))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "case\n"
    assert "DICOM is not looked for without the package pydicom: pip install 'lesionclick[dicom]'" in done.stderr


def test_the_image_is_not_made_larger_by_dicom() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = (ROOT / "requirements.txt").read_text().lower()
    for requirement in project["optional-dependencies"]["dicom"]:
        assert f"\n{requirement.partition('==')[0].lower()}==" not in pinned
    assert "requirements.txt" in (ROOT / "Dockerfile").read_text()
    assert "\n.ci/install dicom,serve\n" in (ROOT / "run.sh").read_text()
