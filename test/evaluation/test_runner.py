import csv
import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import body, click_file, image_from, write_case
from filelock import FileLock

from lesionclick.case.case import Case
from lesionclick.case.clicks import Click, write_clicks
from lesionclick.case.dataset import Dataset, tracer_of
from lesionclick.case.images import read_mask
from lesionclick.cli.evaluate import parse_steps
from lesionclick.cli.main import main
from lesionclick.errors import CaseError, ModelError
from lesionclick.evaluation import runner as evaluation
from lesionclick.evaluation.protocol import Protocol, first_clicks
from lesionclick.evaluation.runner import evaluate_case
from lesionclick.evaluation.statistics import Estimate
from lesionclick.inference.ensemble import Ensemble
from lesionclick.session.session import Session
from lesionclick.simulation.corrections import Interaction
from lesionclick.simulation.scribbles import Scribble
from lesionclick.testing import make_plans, write_model

SHAPE = (14, 15, 16)
SPACING = (1.0, 1.0, 2.0)
TABLES = ("cases.csv", "summary.json", "summary.md")

Command = Callable[..., tuple[int, str, str]]


def lesions() -> np.ndarray:
    lesion = np.zeros(SHAPE, dtype=np.uint8)
    lesion[3:7, 4:8, 5:9] = lesion[12, 12, 12] = 1
    return lesion


def write_container(folder: Path, lesion: np.ndarray, seed: int = 0, official: bool = True) -> Path:
    ct, pet = (image_from(image, SPACING) for image in body(SHAPE, seed))
    write_case(folder, ct, pet, click_file(*[([5, 5, 4], "tumor")] * 3, ([0, 0, 0], "background")), name="uuid")
    if not official:
        (folder / "lesion-clicks.json").unlink()
    sitk.WriteImage(image_from(lesion, SPACING), str(folder / "truth.mha"))
    return folder


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Two cases of FDG, one without official clicks, and one of PSMA without lesions."""
    folder = tmp_path / "cases"
    write_container(folder / "base_fdg_1", lesions(), 0)
    write_container(folder / "base_fdg_2", lesions()[::-1], 1, official=False)
    write_container(folder / "psma_3", np.zeros(SHAPE, np.uint8), 2)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tiny", make_plans(spacing=(2.0, 1.0, 1.0)))


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], dataset: Path, model: Path, tmp_path: Path) -> Command:
    """Runs `lesionclick evaluate` on the dataset, by default into out/: exit code, stdout, stderr."""

    def run(*options: object, cases: Path = dataset, model: Path = model, out: str = "out") -> tuple[int, str, str]:
        arguments = ["evaluate", cases, "--model", model, "--out", tmp_path / out, *options]
        with pytest.raises(SystemExit) as stopped:
            main([*map(str, arguments), "--device", "cpu", "--backend", "torch", "--no-mirroring"])
        captured = capsys.readouterr()
        assert isinstance(stopped.value.code, int)
        return stopped.value.code, captured.out, captured.err

    return run


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "cases.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def tables_of(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in TABLES]


def sentence(errors: str) -> str:
    (line,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    return line.removeprefix("error: ")


# ---- what is asked


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0-3", (0, 1, 2, 3)), ("10,0, 3,7", (0, 3, 7, 10)), ("5", (5,)), ("0-2,1-3,9", (0, 1, 2, 3, 9))],
)
def test_steps(text: str, expected: tuple[int, ...]) -> None:
    assert parse_steps(text) == expected


@pytest.mark.parametrize("text", ["", "a", "3-1", "-1", "1,,2", "0-10-2", "1.5", "99999"])
def test_bad_steps_are_refused(text: str, command: Command) -> None:
    code, _, errors = command(f"--clicks={text}")
    assert code == 2
    assert "is not a list such as 0-10 or 0,3,7,10" in " ".join(errors.replace("│", " ").split())


@pytest.mark.parametrize(
    ("name", "tracer"),
    [
        ("fdg_00ab_2003-NA", "fdg"),
        ("base_PSMA_001", "psma"),
        ("x-FDG-1", "fdg"),
        ("pfdg_1", "unknown"),
        ("a", "unknown"),
    ],
)
def test_tracer(name: str, tracer: str) -> None:
    assert tracer_of(name) == tracer


def test_first_clicks_are_so_many_of_each_label() -> None:
    clicks = tuple([Click(i, 0, 0, "tumor") for i in range(4)] + [Click(i, 1, 0, "background") for i in range(2)])
    assert first_clicks(clicks, 0) == ()
    assert first_clicks(clicks, 3) == (*clicks[:3], *clicks[4:])
    assert first_clicks(clicks[::-1], 1) == (clicks[3], clicks[5])


# ---- datasets


def write_nnunet(folder: Path, name: str, lesion: np.ndarray) -> None:
    for place, image in ((f"imagesTr/{name}_0000", 0), (f"imagesTr/{name}_0001", 1), (f"labelsTr/{name}", None)):
        path = folder / f"{place}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(image_from(lesion if image is None else body(SHAPE)[image], SPACING), str(path))


def test_both_layouts_give_the_same_case(tmp_path: Path) -> None:
    write_container(tmp_path / "container" / "a", lesions(), official=False)
    write_nnunet(tmp_path / "nnunet", "a", lesions())
    first, second = (Dataset.find(tmp_path / layout).read("a") for layout in ("container", "nnunet"))
    for truth in (first, second):
        np.testing.assert_array_equal(truth.lesion_zyx, lesions())
        assert truth.simulated
    assert first.case.clicks == second.case.clicks
    assert first.case.name == second.case.name == "a"
    np.testing.assert_array_equal(first.case.pet_zyx, second.case.pet_zyx)


def test_lesions_are_the_first_channel_of_a_label(tmp_path: Path) -> None:
    write_nnunet(tmp_path, "a", lesions())
    channels = [image_from(channel, SPACING) for channel in (lesions(), lesions() * 5)]
    sitk.WriteImage(sitk.JoinSeries(channels), str(tmp_path / "labelsTr" / "a.nii.gz"))
    np.testing.assert_array_equal(Dataset.find(tmp_path).read("a").lesion_zyx, lesions())


def test_official_clicks_are_taken_where_there_are_some(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_nnunet(tmp_path, name, lesions())
    clicks = (Click(5, 4, 3, "tumor"), Click(0, 0, 0, "background"))
    (tmp_path / "clicks").mkdir()
    write_clicks(clicks, tmp_path / "clicks" / "a_clicks.json")
    dataset = Dataset.find(tmp_path)
    a, b = (dataset.read(name) for name in dataset.names)
    assert (a.case.clicks, a.simulated) == (clicks, False)
    assert b.simulated
    assert sum(click.label == "tumor" for click in b.case.clicks) == 10
    assert dataset.read("b", seed=1).case.clicks != b.case.clicks


def break_case(kind: str, dataset: Path) -> None:
    truth = dataset / "base_fdg_1" / "truth.mha"
    if kind == "no truth":
        truth.unlink()
    elif kind == "another size":
        sitk.WriteImage(image_from(lesions()[1:], SPACING), str(truth))
    elif kind == "another grid":
        sitk.WriteImage(image_from(lesions(), (1, 1, 1)), str(truth))
    elif kind == "other values":
        sitk.WriteImage(image_from(lesions() * 2, SPACING), str(truth))
    elif kind == "PET of another size":
        pet = image_from(body(SHAPE)[1][1:], SPACING)
        sitk.WriteImage(pet, str(dataset / "base_fdg_1" / "images" / "pet" / "uuid.mha"))
    else:
        write_clicks([Click(99, 0, 0, "tumor")], dataset / "base_fdg_1" / "lesion-clicks.json")


BROKEN = {
    "no truth": "truth.mha: the truth is missing",
    "another size": "CT and mask are on different grids: size is (16, 15, 14) in the case and (16, 15, 13) in",
    "another grid": "CT and mask are on different grids: spacing is",
    "other values": "truth.mha: holds values other than 0 and 1",
    "PET of another size": "CT and PET are on different grids: size is",
    "clicks for another case": "lesion-clicks.json: point 0 has x = 99, outside the image (0 to 15)",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_case_is_one_sentence_and_nothing_but_it_means_exit_code_2(
    kind: str, dataset: Path, command: Command, tmp_path: Path
) -> None:
    break_case(kind, dataset)
    with pytest.raises(CaseError) as raised:
        Dataset.find(dataset).read("base_fdg_1")
    assert BROKEN[kind] in str(raised.value)
    (tmp_path / "one").mkdir()
    (dataset / "base_fdg_1").rename(tmp_path / "one" / "base_fdg_1")
    code, out, errors = command(cases=tmp_path / "one")
    assert (code, out) == (2, "")
    assert BROKEN[kind] in sentence(errors)


@pytest.mark.parametrize("part", ["imagesTr/a_0000", "imagesTr/a_0001", "labelsTr/a"])
def test_broken_nnunet_case_is_one_sentence(part: str, tmp_path: Path) -> None:
    write_nnunet(tmp_path, "a", lesions())
    dataset = Dataset.find(tmp_path)
    path = tmp_path / f"{part}.nii.gz"
    path.write_bytes(b"text")
    with pytest.raises(CaseError, match=rf"{part}\.nii\.gz: is not an image"):
        dataset.read("a")
    path.unlink()
    with pytest.raises(CaseError, match=rf"{part}\.nii\.gz: the (file|truth) is missing"):
        dataset.read("a")


def test_folder_without_cases_is_refused(command: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert sentence(command(cases=tmp_path / "empty")[2]).startswith(f"{tmp_path / 'empty'}: holds no case, expected ")
    code, _, errors = command(cases=tmp_path / "nowhere")
    assert (code, sentence(errors)) == (2, f"{tmp_path / 'nowhere'}: the folder is missing, expected a dataset")


# ---- what comes out


def test_tables_and_figures(dataset: Path, command: Command, tmp_path: Path, model: Path) -> None:
    code, out, errors = command("--clicks", "0,1,3", "--keep-masks")
    assert code == 0, errors
    folder = tmp_path / "out"
    assert out == (folder / "summary.md").read_text()
    assert out.startswith("# tiny on cases\n\n## all: 3 cases\n")
    assert "%|" not in errors  # no progress bar where stderr is no terminal
    rows = rows_of(folder)
    assert [(row["case"], row["clicks"]) for row in rows] == [
        (case, step) for case in ("base_fdg_1", "base_fdg_2", "psma_3") for step in "013"
    ]
    assert {(row["tracer"], row["source"]) for row in rows} == {
        ("fdg", "official"),
        ("fdg", "simulated"),
        ("psma", "official"),
    }
    assert [(row["tumor_points"], row["background_points"]) for row in rows[3:6]] == [
        ("0", "0"),
        ("1", "1"),
        ("3", "3"),
    ]
    ensemble = Ensemble.load(model, "cpu", backend="torch")
    for row in rows:
        case = Case.read(dataset / row["case"]) if row["source"] == "official" else None
        mask = read_mask(folder / "masks" / row["case"] / f"clicks-0{row['clicks']}.mha", first_case(dataset).geometry)
        if case is not None:
            chosen = first_clicks(case.clicks, int(row["clicks"]))
            np.testing.assert_array_equal(mask, Session(ensemble, case).predict(chosen, mirroring=False).mask)
        truth = lesions()[::-1] if row["case"] == "base_fdg_2" else lesions()
        overlap = 2 * np.logical_and(mask, truth).sum() / (mask.sum() + truth.sum())
        assert row["case"] == "psma_3" or float(row["dice"]) == pytest.approx(overlap, abs=1e-6)
    assert {row["dice"] for row in rows[6:]} == {"nan"}

    summary = json.loads((folder / "summary.json").read_text())
    assert list(summary["groups"]) == ["all", "fdg", "psma"]
    dice = [float(row["dice"]) for row in rows if row["clicks"] == "3"][:2]
    found = summary["groups"]["all"]["lines"]["3"]["dice"]
    assert found["cases"] == 2
    assert found["mean"] == pytest.approx(np.mean(dice), abs=1e-6)
    assert summary["groups"]["psma"]["lines"]["3"]["dice"]["mean"] is None
    assert not any(line.startswith("AUC") for line in summary["groups"]["all"]["lines"])
    for name in ("curve.png", "worst.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


def first_case(dataset: Path) -> Case:
    return Case.read(dataset / "base_fdg_1")


def test_areas_are_those_of_the_challenge_and_of_the_paper(command: Command, tmp_path: Path) -> None:
    assert command("--clicks", "0-11")[0] == 0
    lines = json.loads((tmp_path / "out" / "summary.json").read_text())["groups"]["all"]["lines"]
    means = {step: lines[str(step)]["false_positive_ml"]["mean"] for step in range(12)}
    for name, steps in (("AUC 0-10", range(11)), ("AUC 0, 3, 7, 10", (0, 3, 7, 10))):
        curve = [means[step] for step in steps]
        assert lines[name]["false_positive_ml"]["mean"] == pytest.approx(np.trapezoid(curve), abs=1e-4)
    assert [line for line in lines if line.startswith("AUC")] == ["AUC 0-10", "AUC 0, 3, 7, 10"]


@pytest.mark.parametrize("interaction", ["corrective-clicks", "scribbles"])
def test_corrections_add_up(interaction: str, command: Command, tmp_path: Path) -> None:
    code, out, _ = command("--interaction", interaction, "--scribble", "random-walk", "--rounds", 2)
    assert code == 0
    assert "| AUC 0-2 |" in out
    rows = rows_of(tmp_path / "out")
    assert [row["round"] for row in rows] == ["0", "1", "2"] * 3
    assert {row["source"] for row in rows} == {interaction}
    for first, second, third in zip(rows[::3], rows[1::3], rows[2::3], strict=True):
        points = [int(row["tumor_points"]) + int(row["background_points"]) for row in (first, second, third)]
        assert points[0] == 0
        assert points[0] < points[1] <= points[2]
        if interaction == "corrective-clicks":
            assert points[1] == 1


def test_a_mask_is_predicted_once_while_no_click_is_new(
    dataset: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Click, ...]] = []
    predict = Session.predict

    def record(session: Session, clicks: tuple[Click, ...], **options: Any) -> Any:
        asked.append(clicks)
        return predict(session, clicks, **options)

    monkeypatch.setattr(Session, "predict", record)
    ensemble = Ensemble.load(model, "cpu", backend="torch")
    truth = Dataset.find(dataset).read("base_fdg_1")
    steps = list(evaluate_case(ensemble, truth, Protocol((0, 3, 7, 10), mirroring=False)))
    assert [step.clicks for step in steps] == [(), *[truth.case.clicks] * 3]
    assert asked == [(), truth.case.clicks]
    assert steps[1].mask is steps[3].mask


def test_all_clicks_so_far_are_given_again(dataset: Path, model: Path) -> None:
    ensemble = Ensemble.load(model, "cpu", backend="torch")
    truth = Dataset.find(dataset).read("base_fdg_1")
    protocol = Protocol((0, 1, 2), Interaction.scribbles, Scribble.random_walk, mirroring=False)
    steps = list(evaluate_case(ensemble, truth, protocol))
    for before, after in itertools.pairwise(steps):
        assert after.clicks[: len(before.clicks)] == before.clicks
    again = list(evaluate_case(ensemble, truth, protocol))
    assert [step.row for step in again] == [step.row for step in steps]


def test_model_without_clicks_gets_none(dataset: Path, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "m", make_plans(spacing=(2.0, 1.0, 1.0)), channels=2)
    ensemble = Ensemble.load(folder, "cpu", backend="torch")
    steps = list(evaluate_case(ensemble, Dataset.find(dataset).read("psma_3"), Protocol((0, 3), mirroring=False)))
    assert [step.row.tumor_points for step in steps] == [0, 0]
    assert steps[0].mask is steps[1].mask


def test_estimates() -> None:
    values = np.array([0.2, 0.4, math.nan, 0.9])
    found = Estimate.of(values)
    assert (found.cases, found.mean, found.median) == (3, pytest.approx(0.5), pytest.approx(0.4))
    assert 0.2 <= found.low < 0.5 < found.high <= 0.9
    assert Estimate.of(values) == found
    single = Estimate.of(np.array([0.3]))
    assert (single.cases, single.mean, math.isnan(single.low)) == (1, 0.3, True)
    assert Estimate.of(np.array([math.nan])).cell("dice") == "-"
    assert Estimate.of(np.full(5, 2.0)).cell("false_positive_ml") == "2.00 [2.00, 2.00]"


# ---- interruption and failure


@pytest.mark.parametrize("options", [("--clicks", "0,2"), ("--interaction", "scribbles", "--rounds", "1")])
def test_interrupted_evaluation_goes_on_to_the_same_tables(
    options: tuple[str, ...], command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert command(*options, out="whole")[0] == 0
    score = evaluation._score
    calls = 0

    def stop(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4:  # in the second case
            raise KeyboardInterrupt
        return score(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(evaluation, "_score", stop)
        code, _, _ = command(*options)
        assert code not in (0, 2)
    assert len(rows_of(tmp_path / "out")) == 2
    assert not (tmp_path / "out" / "summary.json").exists()
    kept = (tmp_path / "out" / "cases.csv").stat().st_size

    calls = -100
    monkeypatch.setattr(evaluation, "_score", stop)
    assert command(*options)[0] == 0
    assert calls == -96  # two cases of two steps; the first is not computed again
    assert (tmp_path / "out" / "cases.csv").stat().st_size > kept
    assert tables_of(tmp_path / "out") == tables_of(tmp_path / "whole")
    assert (tmp_path / "out" / "worst.png").read_bytes() == (tmp_path / "whole" / "worst.png").read_bytes()


def test_complete_evaluation_is_only_drawn_again(command: Command, tmp_path: Path) -> None:
    assert command("--clicks", "0")[0] == 0
    before = tables_of(tmp_path / "out")
    (tmp_path / "out" / "summary.md").unlink()
    code, _, errors = command("--clicks", "0")
    assert code == 0
    assert "prediction" not in errors
    assert tables_of(tmp_path / "out") == before


def test_other_settings_are_refused(command: Command, dataset: Path, tmp_path: Path) -> None:
    assert command("--clicks", "0")[0] == 0
    before = tables_of(tmp_path / "out")
    other = write_model(tmp_path / "tiny", make_plans(spacing=(2.0, 1.0, 1.0)), seed=1)
    settings = tmp_path / "out" / "settings.json"

    def refusal(*options: object, **where: Any) -> str:
        code, out, errors = command(*options, **where)
        assert (code, out) == (2, "")
        return sentence(errors)

    text = (
        f"{settings}: the evaluation there was begun with another '{{}}', expected the same settings or another folder"
    )
    assert refusal("--clicks", "0-1") == text.format("steps")
    assert refusal("--clicks", "0", "--keep-masks") == text.format("keep_masks")
    assert refusal("--interaction", "scribbles") == text.format("interaction")
    assert refusal("--clicks", "0", model=other) == text.format("model_sha256")
    write_container(dataset / "new", lesions())
    assert refusal("--clicks", "0") == text.format("cases")
    with FileLock(tmp_path / "out" / ".lock"):
        assert refusal("--clicks", "0").startswith(f"{tmp_path / 'out'}: another process is evaluating into this")
    settings.write_text("{")
    assert refusal("--clicks", "0").startswith(f"{settings}: cannot be read as settings")
    settings.unlink()
    assert refusal("--clicks", "0") == f"{settings}: the file is missing beside cases.csv, expected both or neither"
    assert tables_of(tmp_path / "out") == before


def test_failing_case_does_not_stop_the_others_and_is_tried_again(
    command: Command, dataset: Path, tmp_path: Path
) -> None:
    assert command("--clicks", "0,1", out="whole")[0] == 0
    truth = dataset / "base_fdg_1" / "truth.mha"
    kept = truth.read_bytes()
    truth.unlink()
    code, out, errors = command("--clicks", "0,1")
    reason = f"{truth}: the truth is missing, expected a lesion mask"
    assert code == 1
    assert f"ERROR base_fdg_1 is left out: {reason}" in errors
    assert f"## Not evaluated: 1 cases\n\n- base_fdg_1: {reason}\n" in out
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["failed"] == {"base_fdg_1": reason}
    assert len(rows_of(tmp_path / "out")) == 4
    truth.write_bytes(kept)
    assert command("--clicks", "0,1")[0] == 0
    assert tables_of(tmp_path / "out") == tables_of(tmp_path / "whole")


def test_failing_prediction_is_a_failing_case(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise ModelError("fold_0: its network gives values that are not finite")

    monkeypatch.setattr(Session, "predict", fail)
    code, _, errors = command("--clicks", "0")
    assert code == 2
    assert "none of its cases can be evaluated (3); of base_fdg_1: fold_0: its network gives" in sentence(errors)


def test_worst_cases_are_kept_and_no_others(command: Command, dataset: Path, tmp_path: Path) -> None:
    for index in range(4, 7):
        write_container(dataset / f"fdg_{index}", lesions(), seed=index)
    assert command("--clicks", "0")[0] == 0
    rows = [row for row in rows_of(tmp_path / "out") if row["dice"] != "nan"]
    worst = sorted(row["case"] for row in sorted(rows, key=lambda row: float(row["dice"]))[:3])
    stored = sorted(path.name for path in (tmp_path / "out" / "worst").iterdir())
    assert stored == sorted(f"{name}{ending}" for name in worst for ending in (".json", ".mha"))
