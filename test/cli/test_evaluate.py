import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import typer
from conftest import body, image_from
from helpers_evaluation import make_table

from lesionclick.case.case import Case
from lesionclick.case.clicks import Click, write_clicks
from lesionclick.case.geometry import Geometry
from lesionclick.cli.evaluate import parse_numbers
from lesionclick.cli.main import main
from lesionclick.evaluation.comparison import compare

Command = Callable[..., tuple[object, str, str]]

SHAPE = (12, 13, 14)  # a single tile


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `lesionclick`: exit code, stdout, stderr."""

    def run(*arguments: object) -> tuple[object, str, str]:
        with pytest.raises(SystemExit) as stopped:
            main([*map(str, arguments)])
        captured = capsys.readouterr()
        return stopped.value.code, captured.out, captured.err

    return run


@pytest.fixture
def evaluate(command: Command, model_folder: Path, tmp_path: Path) -> Command:
    """Runs `lesionclick evaluate` on tmp_path/dataset, which holds a case, into tmp_path/out."""
    lesion = np.zeros(SHAPE, dtype=np.uint8)
    lesion[3:7, 4:8, 5:9] = 1
    ct, pet = body(SHAPE)
    case = Case("uuid", ct, pet, Geometry.of(image_from(ct)), (Click(6, 5, 4, "tumor"),))
    case.write(tmp_path / "dataset" / "fdg_1", lesion_zyx=lesion)

    def run(*options: object) -> tuple[object, str, str]:
        fixed = ("--model", model_folder, "--out", tmp_path / "out", "--device", "cpu", "--backend", "torch")
        return command("evaluate", tmp_path / "dataset", *fixed, *options)

    return run


def sentence(errors: str) -> str:
    (line,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    return line.removeprefix("error: ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0-3", (0, 1, 2, 3)), ("10,0, 3,7", (0, 3, 7, 10)), ("5", (5,)), ("0-2,1-3,9", (0, 1, 2, 3, 9))],
)
def test_numbers(text: str, expected: tuple[int, ...]) -> None:
    assert parse_numbers(text, "--option") == expected


@pytest.mark.parametrize("text", ["", "a", "3-1", "-1", "1,,2", "0-10-2", "1.5", "99999"])
def test_what_is_no_list_of_numbers_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"is not a list such as 0-10 or 0,3,7,10"):
        parse_numbers(text, "--option")


def test_evaluation_prints_its_summary(evaluate: Command, tmp_path: Path) -> None:
    code, printed, errors = evaluate("--click-counts", "0,1", "--seed", 7, "--networks", "all", "--keep-masks")
    assert code == 0, errors
    assert printed == (tmp_path / "out" / "summary.md").read_text()
    assert printed.startswith("# tiny on dataset\n\n## all: 1 cases\n")
    assert "INFO evaluation: 1 of 1 cases, " in errors  # a line, for stderr is no terminal
    assert "%|" not in errors
    settings = json.loads((tmp_path / "out" / "settings.json").read_text())
    assert {name: settings[name] for name in ("steps", "interaction", "seed", "keep_masks")} == {
        "steps": [0, 1],
        "interaction": "official",
        "seed": 7,
        "keep_masks": True,
    }
    assert (settings["field_of_view"], settings["mirroring"], settings["networks"]) == ("body", "none", "all")
    assert settings["post_processing"] == {"lesion_free_gate_ml": 0, "component_floor": 0, "obey_clicks": False}


def test_post_processing_is_an_option_that_scores_depend_on(evaluate: Command, tmp_path: Path) -> None:
    options = ("--click-counts", "0,1", "--lesion-free-gate", 1000, "--component-floor", 0.6, "--obey-clicks")
    code, _, errors = evaluate(*options)
    assert code == 0, errors
    settings = json.loads((tmp_path / "out" / "settings.json").read_text())
    assert settings["post_processing"] == {"lesion_free_gate_ml": 1000, "component_floor": 0.6, "obey_clicks": True}
    first, second = csv.DictReader((tmp_path / "out" / "cases.csv").open())
    assert (float(first["dice"]), float(first["false_positive_ml"])) == (0, 0)  # the gate
    assert float(second["dice"]) > 0
    code, _, errors = evaluate("--click-counts", "0,1")
    assert code == 2
    assert "begun with another 'post_processing'" in sentence(errors)


def test_a_baseline_takes_the_place_of_a_model(
    evaluate: Command, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_folder: Path
) -> None:
    assert evaluate("--click-counts", "0,1")[0] == 0
    options = (tmp_path / "dataset", "--out", tmp_path / "baseline", "--click-counts", "0,1")
    for wrong in ((), ("--baseline", "suv-2.5", "--model", model_folder)):
        code, _, errors = command("evaluate", *options, *wrong)
        assert code == 2
        assert "expected exactly one of --model and --baseline" in " ".join(errors.replace("│", " ").split())
    monkeypatch.setenv("LESIONCLICK_MODEL", str(model_folder))
    code, printed, errors = command("evaluate", *options, "--baseline", "suv-2.5-at-clicks")
    assert code == 0, errors
    assert printed.startswith("# suv-2.5-at-clicks on dataset\n\n## all: 1 cases\n")
    assert (tmp_path / "baseline" / "curve.png").exists()
    code, printed, _ = command("compare", tmp_path / "out", tmp_path / "baseline")
    assert code == 0
    assert "baseline" in printed


def test_corrections_have_rounds(evaluate: Command, tmp_path: Path) -> None:
    options = ("--interaction", "corrective-clicks", "--rounds", 1, "--click-counts", "nonsense")
    code, printed, errors = evaluate(*options)
    assert code == 0, errors
    assert "| round | Dice |" in printed
    settings = json.loads((tmp_path / "out" / "settings.json").read_text())
    assert (settings["steps"], settings["interaction"]) == ([0, 1], "corrective-clicks")


def test_autopetv_has_six_iterations_and_what_the_challenge_ranks_by(evaluate: Command, tmp_path: Path) -> None:
    code, printed, errors = evaluate("--interaction", "autopetv")
    assert code == 0, errors
    assert "| iteration | Dice | DMM | mean of Dice and DMM |" in printed
    assert "\n| AUC 0-5 | " in printed
    assert (tmp_path / "out" / "curve.png").exists()
    settings = json.loads((tmp_path / "out" / "settings.json").read_text())
    assert (settings["steps"], settings["interaction"]) == ([0, 1, 2, 3, 4, 5], "autopetv")


def test_scribbles_of_files_are_replayed_from_a_folder(evaluate: Command, tmp_path: Path) -> None:
    points = tmp_path / "points"
    replay = ("--interaction", "replay", "--rounds", 2)
    for wrong in (replay, ("--points", points)):
        code, _, errors = evaluate(*wrong)
        assert code == 2
        assert "expected --points with --interaction replay" in " ".join(errors.replace("│", " ").split())
    code, _, errors = evaluate(*replay, "--points", points)
    assert (code, sentence(errors)) == (2, f"{points}: the folder is missing, expected one with points for each case")
    points.mkdir()
    code, _, errors = evaluate(*replay, "--points", points)
    assert code == 2
    assert sentence(errors) == (
        f"{points}: holds no points of the case fdg_1, expected fdg_1.json or fdg_1/iter_1_scribbles.json and so on"
    )
    (points / "fdg_1.json").write_text("{")
    code, _, errors = evaluate(*replay, "--points", points)
    assert code == 2
    assert sentence(errors).startswith(f"{points / 'fdg_1.json'}: ")
    assert not (tmp_path / "out").exists()
    write_clicks(
        [Click(6, 5, 4, "tumor"), Click(7, 5, 4, "tumor"), Click(1, 1, 1, "background")], points / "fdg_1.json"
    )
    code, _, errors = evaluate(*replay, "--points", points)
    assert code == 0, errors
    rows = list(csv.DictReader((tmp_path / "out" / "cases.csv").open()))
    assert [(row["iteration"], row["tumor_points"], row["background_points"]) for row in rows] == [
        ("0", "0", "0"),
        ("1", "2", "0"),
        ("2", "2", "1"),
    ]


def test_exit_codes_say_whether_some_cases_or_all_failed(evaluate: Command, tmp_path: Path) -> None:
    (tmp_path / "dataset" / "fdg_2" / "images").mkdir(parents=True)
    code, printed, errors = evaluate("--click-counts", "0")
    assert code == 1
    assert "ERROR fdg_2 is left out: " in errors
    assert "## Not evaluated: 1 cases\n\n- fdg_2: " in printed
    code, printed, errors = evaluate("--click-counts", "0-1")
    assert (code, printed) == (2, "")
    assert "settings.json: the evaluation there was begun with another 'steps'" in sentence(errors)
    code, printed, errors = evaluate("--click-counts=a")
    assert (code, printed) == (2, "")
    assert "'a' is not a list such as 0-10 or 0,3,7,10" in " ".join(errors.replace("│", " ").split())


def write_results(folder: Path) -> str:
    make_table({"x": 0.5}, (0, 1)).write(folder / "cases.csv")
    return str(folder)


def test_comparison_is_printed_or_written(command: Command, tmp_path: Path) -> None:
    folders = [write_results(tmp_path / name) for name in ("a", "b")]
    code, printed, _ = command("compare", *folders)
    assert (code, printed) == (0, compare([Path(folder) for folder in folders]))
    target = tmp_path / "new" / "comparison.md"
    assert command("compare", *folders, "--out", target)[:2] == (0, f"{target}\n")
    assert target.read_text() == printed
    assert command("compare", folders[0])[0] == 2


@pytest.mark.parametrize("module", ["lesionclick.cli.evaluate", "lesionclick.cli.overview"])
def test_help_loads_nothing_that_is_slow(module: str) -> None:
    slow = ("torch", "nnunetv2", "scipy", "matplotlib", "SimpleITK", "numpy")
    program = f"import sys, {module}; print([name for name in {slow} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "[]\n"
