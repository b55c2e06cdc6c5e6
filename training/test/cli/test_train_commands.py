"""The commands that preprocess and train: what they hand on, and one whole way through them."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers_command import run_command
from helpers_training import (
    DATASET,
    make_trainer,
    make_workspace,
    quick_fingerprints,
    read_weights,
    tiny_environment,
    write_tiny_dataset,
)

from lesionclick_training.augmentation.choices import Augmentation, ClickCounts
from lesionclick_training.nnunet import training
from lesionclick_training.nnunet.job import Device, TrainingJob
from lesionclick_training.nnunet.network_sizes import NetworkSize
from lesionclick_training.nnunet.settings import Optimizer, TrainingSettings
from lesionclick_training.nnunet.variants import Variant
from lesionclick_training.nnunet.workspace import Workspace


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Workspace, TrainingJob, TrainingSettings, bool]]:
    """What the command `train` asks for, in place of training."""
    asked = []

    def remember(workspace: Workspace, job: TrainingJob, settings: TrainingSettings, *, resume: bool) -> Path:
        asked.append((workspace, job, settings, resume))
        return Path("model")

    monkeypatch.setattr(training, "train_network", remember)
    return asked


def test_train_hands_on_its_options(
    capsys: pytest.CaptureFixture[str], trained: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for flags in ((), ("--resume",)):
        code, out, _ = run_command(capsys, "train", 901, "all", "--variant", "EDT2", "--root", tmp_path, *flags)
        assert (code, out) == (0, "model\n")
        job = TrainingJob(901, "all", Variant.EDT2)
        assert trained[-1] == (Workspace(tmp_path), job, TrainingSettings(), bool(flags))

    monkeypatch.setenv("LESIONCLICK_ROOT", str(tmp_path))
    monkeypatch.setenv("LESIONCLICK_ITERATIONS", "4")
    monkeypatch.setenv("LESIONCLICK_SEED", "9")
    job_options = ("--variant", "NoClicks", "--plan", "small", "--device", "cpu", "--pretrained", "p.pth", "--stem", 3)
    options = ("--epochs", 3, "--val-iterations", 5, "--initial-lr", 0.5, "--optimizer", "AdamW", "--seed", 7)
    others = (
        "--oversample-foreground",
        1,
        "--organ-weight",
        0.1,
        "--lesion-heads",
        "h.pth",
        "--num-gpus",
        2,
        "--resume",
    )
    assert run_command(capsys, "train", 901, "02", *job_options, *options, *others)[0] == 0
    job = TrainingJob(901, "2", Variant.NoClicks, NetworkSize.small, Device.cpu, Path("p.pth"), 3, 2)
    settings = TrainingSettings(3, 4, 5, 0.5, Optimizer.AdamW, 1.0, 0.1, Path("h.pth"), 7)
    assert trained[-1] == (Workspace(tmp_path), job, settings, True)


def test_train_hands_on_ideas_beyond_the_paper(
    capsys: pytest.CaptureFixture[str], trained: list[Any], tmp_path: Path
) -> None:
    ideas = (
        "--click-offset",
        1,
        "--click-counts",
        "uniform",
        "--click-dropout",
        0.2,
        "--augmentation",
        "strong",
        "--balance-components",
        "--lesion-free-loss",
        2,
        "--corrective-clicks",
        0.5,
        "--hot-background",
        0.4,
        "--repeat-cases",
        "sts=4",
        "--contour-variation",
        0.3,
        "--scribbles",
        0.1,
    )
    assert run_command(capsys, "train", 901, 0, "--variant", "EDT2", "--root", tmp_path, *ideas)[0] == 0
    assert trained[-1][2] == TrainingSettings(
        click_offset=1,
        click_counts=ClickCounts.uniform,
        click_dropout=0.2,
        augmentation=Augmentation.strong,
        balance_components=True,
        lesion_free_loss=2.0,
        corrective_clicks=0.5,
        hot_background=0.4,
        repeat_cases="sts=4",
        contour_variation=0.3,
        scribbles=0.1,
    )


def test_a_student_has_results_of_its_own(
    capsys: pytest.CaptureFixture[str], trained: list[Any], tmp_path: Path
) -> None:
    options = ("--teacher", "ensemble", "--teacher-weight", 0.75)
    assert run_command(capsys, "train", 901, "all", "--variant", "EDT2", "--root", tmp_path, *options)[0] == 0
    assert trained[-1][0] == Workspace(tmp_path, "distilled")
    assert trained[-1][2] == TrainingSettings(teacher=Path("ensemble"), teacher_weight=0.75)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["preprocess", "902"], "holds 0 folders Dataset902_*, expected one"),
        (["train", "902", "0", "--variant", "EDT2"], "holds 0 folders Dataset902_*, expected one"),
        (["train", "902", "0", "--variant", "EDT9"], "'EDT9' is not one of 'NoClicks',"),
        (["train", "902", "one", "--variant", "EDT2"], "'one' is neither a number nor all"),
        (["train", "902", "0", "--variant", "EDT2", "--num-gpus", "0"], "greater than or equal to 1"),
        (["train", "902", "0", "--variant", "EDT2", "--initial-lr", "2"], "LESIONCLICK_INITIAL_LR is '2.0', expected"),
        (["pretrained", "a", "b", "902", "--variant", "EDT2"], "holds 0 folders Dataset902_*, expected one"),
    ],
)
def test_a_mistake_of_the_user_is_one_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    code, _, errors = run_command(capsys, *arguments, "--root", tmp_path)
    assert code == 2
    assert sentence in " ".join(errors.replace("│", " ").split())  # without the frame that a wrong option gets


def test_help_loads_no_networks() -> None:
    program = (
        "import sys; from lesionclick_training.cli.main import app; app(['train', '--help'], standalone_mode=False); "
        "print([name for name in ('torch', 'nnunetv2', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert re.search(r"--epochs .*Number of epochs", done.stdout)
    assert re.search(r"default:\s+1000", done.stdout)


@pytest.mark.slow
def test_preprocess_leaves_plans_and_cases(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    write_tiny_dataset(tmp_path / "raw" / "Dataset907_Two", names=("a", "b"), first_seed=1)
    with tiny_environment(), quick_fingerprints():
        options = ("--plan", "small", "--root", tmp_path, "--processes", 1)
        code, out, _ = run_command(capsys, "preprocess", 907, *options)
    plans = tmp_path / "preprocessed" / "Dataset907_Two" / "TinyPlans.json"
    assert (code, out.splitlines()[-1]) == (0, str(plans))
    assert sorted(path.name for path in (plans.parent / "TinyPlans_3d_fullres").glob("*.b2nd")) == [
        "a.b2nd",
        "a_seg.b2nd",
        "b.b2nd",
        "b_seg.b2nd",
    ]


@pytest.mark.slow
def test_nnunets_own_command_trains_from_a_checkpoint_that_ours_made(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    workspace = make_workspace(tmp_path)
    start = tmp_path / "start.pth"
    with tiny_environment():
        weights = make_trainer(workspace, Variant.NoClicks).network.state_dict()
        torch.save({"network_weights": weights}, tmp_path / "source.pth")
        place = (DATASET, "--variant", "EDT3", "--plan", "small", "--root", tmp_path)
        assert run_command(capsys, "pretrained", tmp_path / "source.pth", start, *place)[0] == 0

        # so slow that the weights stay where they began
        settings = TrainingSettings(2, 2, 1, initial_lr=1e-30, lesion_heads=start)
        with workspace.exported(), settings.exported():
            nnunet = [str(Path(sys.executable).with_name("nnUNetv2_train")), str(DATASET), "3d_fullres", "1"]
            options = ["-tr", "LesionClickTrainer_EDT3", "-p", "TinyPlans", "-pretrained_weights", str(start)]
            done = subprocess.run([*nnunet, *options, "-device", "cpu"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

    model = workspace.results / "Dataset901_Tiny" / "LesionClickTrainer_EDT3__TinyPlans__3d_fullres"
    written = torch.load(start)["network_weights"]
    for name, value in read_weights(model, fold=1).items():
        torch.testing.assert_close(value, written[name], rtol=0, atol=1e-20)
