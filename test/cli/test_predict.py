from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import ROOT, process

from lesionclick.case.case import Case
from lesionclick.cli.main import main


def read(path: Path) -> np.ndarray:
    array: np.ndarray = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    return array


def test_options_come_from_the_environment(case_folder: Path, model_folder: Path, tmp_path: Path) -> None:
    by_option = process("--input", case_folder, "--output", tmp_path / "a", "--model", model_folder)
    by_variable = process(
        LESIONCLICK_INPUT=str(case_folder),
        LESIONCLICK_OUTPUT=str(tmp_path / "b"),
        LESIONCLICK_MODEL=str(model_folder),
        LESIONCLICK_DEVICE="cpu",
        LESIONCLICK_MIRRORING="none",
        LESIONCLICK_TIME_LIMIT="600",
        LESIONCLICK_PROBABILITIES=str(tmp_path / "p.npz"),
    )
    mask = "images/tumor-lesion-segmentation/case.mha"
    assert (by_option.returncode, by_option.stdout) == (0, f"{tmp_path / 'a' / mask}\n"), by_option.stderr
    assert (by_variable.returncode, by_variable.stdout) == (0, f"{tmp_path / 'b' / mask}\n"), by_variable.stderr
    np.testing.assert_array_equal(read(tmp_path / "a" / mask), read(tmp_path / "b" / mask))
    with np.load(tmp_path / "p.npz") as stored:
        assert stored["foreground"].shape == (18, 20, 22)
    for stage in ("reading the case", "checking the model", "preprocessing", "prediction", "writing"):
        assert f"INFO {stage}: " in by_option.stderr
    assert "%|" not in by_option.stderr  # no progress bar where stderr is no terminal


def test_post_processing_is_off_until_asked_for(case_folder: Path, model_folder: Path, tmp_path: Path) -> None:
    masks = {}
    for name, variables in (
        ("plain", {}),
        ("gate", {"LESIONCLICK_LESION_FREE_GATE": "1000", "LESIONCLICK_CLICKS": "no"}),
        ("obey", {"LESIONCLICK_OBEY_CLICKS": "yes"}),
    ):
        fixed = ("--input", case_folder, "--output", tmp_path / name, "--model", model_folder)
        done = process(*fixed, LESIONCLICK_DEVICE="cpu", **variables)
        assert done.returncode == 0, done.stderr
        masks[name] = read(Path(done.stdout.strip()))
    assert masks["plain"].any()
    assert not masks["gate"].any()
    for click in Case.read(case_folder).clicks:
        assert masks["obey"][click.z, click.y, click.x] == (click.label == "tumor")


def test_bundled_model_is_the_default(case_folder: Path, tmp_path: Path) -> None:
    done = process("--input", case_folder, "--output", tmp_path / "output")
    assert done.returncode == 0, done.stderr
    assert f"model: {ROOT / 'resources' / 'model'}" in done.stderr


def test_short_time_limit_still_gives_a_mask_and_says_what_is_in_it(
    case_folder: Path, model_folder: Path, tmp_path: Path
) -> None:
    options = ["--model", model_folder, "--time-limit", "0.1", "--mirroring", "all"]
    done = process("--input", case_folder, "--output", tmp_path, *options)
    assert done.returncode == 0
    assert "WARNING time limit: the result holds 1 of 16 passes (1 of 2 networks)" in done.stderr
    assert "WARNING time limit: 0.1 s were too short, this took " in done.stderr
    assert read(Path(done.stdout.strip())).shape == (18, 20, 22)


def test_missing_model_is_one_sentence(case_folder: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    output = tmp_path / "output"
    sentence = refused("predict", "--input", case_folder, "--output", output, "--model", tmp_path / "nowhere")
    assert sentence == f"{tmp_path / 'nowhere'}: the model folder is missing"
    assert not output.exists()


def test_output_that_cannot_be_written_is_one_sentence(
    case_folder: Path, model_folder: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    sentence = refused("predict", "--input", case_folder, "--output", blocked, "--model", model_folder)
    assert sentence.endswith(f"cannot be written, {blocked} is not a writable folder")
    assert blocked.read_text() == "in the way"


@pytest.mark.parametrize(
    ("option", "place", "taken"),
    [
        ("--report", "out/images/tumor-lesion-segmentation/case.mha", "the mask"),
        ("--report", "out", "the mask"),
        ("--report", "p.npz", "the file of probabilities"),
        ("--report", "input/lesion-clicks.json", "the list of clicks"),
        ("--probabilities", "input/images/pet/case.mha", "the PET"),
        ("--output", "input/images/ct", "the CT"),
    ],
)
def test_what_is_written_lies_apart_from_all_else(
    option: str, place: str, taken: str, case_folder: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    options = {"--output": tmp_path / "out", "--probabilities": tmp_path / "p.npz"} | {option: tmp_path / place}
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    missing = tmp_path / "nowhere"  # nothing is read before
    sentence = refused(
        *("predict", "--input", case_folder, "--model", missing), *(each for pair in options.items() for each in pair)
    )
    assert f"since {taken} has " in sentence
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_process_reports_an_unexpected_error_with_a_traceback(tmp_path: Path, case_folder: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "from lesionclick.case.case import Case\n"
        "def read(folder): raise RuntimeError('a bug')\n"
        "Case.read = staticmethod(read)\n"
    )
    done = process("--input", case_folder, "--output", tmp_path / "output", PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert done.stderr.rstrip().endswith("RuntimeError: a bug")
    assert not (tmp_path / "output").exists()


def test_process_refuses_bad_input_with_exit_code_2(tmp_path: Path) -> None:
    done = process("--input", tmp_path, "--output", tmp_path / "output")
    assert done.returncode == 2
    assert done.stderr == f"error: {tmp_path}/images/ct: the folder is missing, expected one .mha image in it\n"
    assert not (tmp_path / "output").exists()


def test_rerun_replaces_the_mask(case_folder: Path, model_folder: Path, tmp_path: Path) -> None:
    arguments = ["predict", "--input", str(case_folder), "--output", str(tmp_path / "o"), "--model", str(model_folder)]
    target = tmp_path / "o" / "images" / "tumor-lesion-segmentation" / "case.mha"
    target.parent.mkdir(parents=True)
    target.write_bytes(b"old")
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 0
    assert read(target).shape == (18, 20, 22)
    assert list(target.parent.iterdir()) == [target]


def test_check_and_pack_print_what_the_model_is(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (["check", str(model_folder)], ["pack", str(model_folder), str(tmp_path / "packed")]):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 0
        assert "16 x 16 x 16 voxels" in capsys.readouterr().out
