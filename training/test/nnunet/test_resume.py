"""Trainings of tiny networks that are killed, and go on with the same call."""

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers_training import DATASET, SHORT, make_job, make_trainer, make_workspace, read_weights, tiny_environment
from nnunetv2.training.logging.nnunet_logger import LocalLogger

from lesionclick.errors import CaseError, ModelError
from lesionclick_training.nnunet import training
from lesionclick_training.nnunet.network_sizes import CONFIGURATION, NetworkSize
from lesionclick_training.nnunet.settings import Optimizer, TrainingSettings
from lesionclick_training.nnunet.trainer import LesionClickTrainer
from lesionclick_training.nnunet.training import train_network
from lesionclick_training.nnunet.variants import Variant
from lesionclick_training.nnunet.workspace import Workspace

LONG = TrainingSettings(epochs=3, iterations=1, val_iterations=1)

STILL = TrainingSettings(epochs=1, iterations=1, val_iterations=1, initial_lr=1e-30)
"""So slow that the weights stay where they began."""

FINAL, LATEST, BEST = "checkpoint_final.pth", "checkpoint_latest.pth", "checkpoint_best.pth"

JOB = make_job(Variant.EDT2)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(LocalLogger, "plot_progress_png", lambda *_: None)  # takes longer than an epoch
    with tiny_environment():
        yield


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return make_workspace(tmp_path_factory.mktemp("root"))


@pytest.fixture
def workspace(datasets: Workspace, request: pytest.FixtureRequest) -> Workspace:
    """With results of its own."""
    return replace(datasets, results_name=request.node.name)


@pytest.fixture
def source(workspace: Workspace, tmp_path: Path) -> Path:
    """A checkpoint to start from, of a network of this project."""
    path = tmp_path / "source.pth"
    torch.save({"network_weights": make_trainer(workspace, Variant.EDT2).network.state_dict()}, path)
    return path


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Trains until a given epoch begins, with a checkpoint_latest.pth an epoch, and returns the fold's folder."""

    def train(
        epoch: int, workspace: Workspace, settings: TrainingSettings = LONG, resume: bool = True, **job: Any
    ) -> Path:
        begin = LesionClickTrainer.on_train_epoch_start

        def begin_or_stop(trainer: LesionClickTrainer) -> None:
            trainer.save_every = 1
            if trainer.current_epoch == epoch:
                raise KeyboardInterrupt
            begin(trainer)

        with monkeypatch.context() as patch:
            patch.setattr(LesionClickTrainer, "on_train_epoch_start", begin_or_stop)
            with pytest.raises(KeyboardInterrupt):
                train_network(workspace, replace(JOB, **job), settings, resume=resume)
        return model_folder(workspace) / "fold_0"

    return train


def model_folder(workspace: Workspace) -> Path:
    return workspace.model_folder(JOB.variant, workspace.find_plans(DATASET, NetworkSize.small))


def losses(checkpoint: Path) -> list[float]:
    """The mean loss of each epoch that a checkpoint has behind it."""
    found: list[float] = torch.load(checkpoint, weights_only=False)["logging"]["train_losses"]
    return found


# ---- with --pretrained


def test_a_training_killed_before_its_first_checkpoint_starts_from_the_pretrained_weights(
    workspace: Workspace, killed: Callable[..., Path], source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fold = killed(0, workspace, pretrained=source)
    assert not list(fold.glob("*.pth"))
    with caplog.at_level(logging.INFO, "lesionclick"):
        model = train_network(workspace, replace(JOB, pretrained=source), STILL, resume=True)
    given = torch.load(source)["network_weights"]
    for name, value in read_weights(model).items():
        torch.testing.assert_close(value, given[name], rtol=0, atol=1e-20)
    assert f"{fold}: holds no checkpoint to go on from, the training starts from {source}" in caplog.messages


def test_a_training_killed_after_its_first_checkpoint_goes_on_from_it_and_reads_no_pretrained_weights(
    workspace: Workspace, killed: Callable[..., Path], source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fold = killed(2, workspace, pretrained=source)
    before = losses(fold / LATEST)
    source.unlink()
    with caplog.at_level(logging.INFO, "lesionclick"):
        train_network(workspace, replace(JOB, pretrained=source), replace(LONG, lesion_heads=source), resume=True)
    assert len(before) == 2
    assert losses(fold / FINAL)[:2] == before
    assert len(losses(fold / FINAL)) == 3
    assert f"{fold / LATEST}: the training goes on after 2 of 3 epochs" in caplog.messages


def test_the_best_checkpoint_serves_until_there_is_a_latest(workspace: Workspace, killed: Callable[..., Path]) -> None:
    fold = killed(1, workspace)
    (fold / LATEST).unlink()
    before = losses(fold / BEST)
    train_network(workspace, JOB, LONG, resume=True)
    assert losses(fold / FINAL)[:1] == before


def test_pretrained_weights_that_are_needed_must_be_there(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"missing\.pth"):
        train_network(workspace, replace(JOB, pretrained=tmp_path / "missing.pth"), SHORT, resume=True)


# ---- without


def test_the_first_call_may_say_resume(workspace: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "lesionclick"):
        model = train_network(workspace, JOB, STILL, resume=True)
    assert (model / "fold_0" / FINAL).exists()
    assert "holds no checkpoint to go on from, the training starts from fresh weights" in caplog.text


def test_a_finished_training_is_left_as_it_is(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = train_network(workspace, JOB, SHORT)
    before = {path: path.stat().st_mtime_ns for path in model.rglob("*")}
    with monkeypatch.context() as patch, caplog.at_level(logging.INFO, "lesionclick"):
        patch.setattr(LesionClickTrainer, "on_train_start", lambda _: pytest.fail("it trains"))
        again = train_network(workspace, replace(JOB, pretrained=tmp_path / "missing.pth"), SHORT, resume=True)
    assert again == model
    assert {path: path.stat().st_mtime_ns for path in model.rglob("*")} == before
    assert "the training is finished already, after 2 epochs" in caplog.text


def test_a_finished_training_is_prolonged_by_more_epochs_even_if_it_is_killed_on_the_way(
    workspace: Workspace, killed: Callable[..., Path]
) -> None:
    train_network(workspace, JOB, replace(LONG, epochs=1))
    fold = killed(2, workspace)
    before = losses(fold / LATEST)
    train_network(workspace, JOB, LONG, resume=True)
    assert len(before) == 2
    assert losses(fold / FINAL)[:2] == before
    assert len(losses(fold / FINAL)) == 3
    assert not (fold / LATEST).exists()


def test_a_finished_training_that_cannot_be_prolonged_stays_finished(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = train_network(workspace, JOB, replace(LONG, epochs=1))

    def refuse(*_: Any, **__: Any) -> None:
        raise CaseError("splits are stale")

    monkeypatch.setattr(training, "record_training_cases", refuse)
    with pytest.raises(CaseError, match="splits are stale"):
        train_network(workspace, JOB, LONG, resume=True)
    assert len(losses(model / "fold_0" / FINAL)) == 1


def test_a_start_over_an_earlier_training_is_no_secret(workspace: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    model = train_network(workspace, JOB, STILL)
    train_network(workspace, JOB, STILL)
    assert caplog.messages == [
        f"{model / 'fold_0' / FINAL}: is of an earlier training and will be replaced, --resume would have gone on from"
        " it"
    ]


# ---- checkpoints that do not serve


def test_a_new_training_that_is_killed_does_not_go_on_from_an_earlier_one(
    workspace: Workspace, killed: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    fold = train_network(workspace, JOB, STILL) / "fold_0"
    before = (fold / FINAL).read_bytes()
    assert killed(0, workspace, resume=False) == fold
    assert (fold / f"{FINAL}.earlier").read_bytes() == before
    with caplog.at_level(logging.INFO, "lesionclick"):
        train_network(workspace, JOB, STILL, resume=True)
    assert f"{fold}: holds no checkpoint to go on from, the training starts from fresh weights" in caplog.messages
    assert (fold / FINAL).is_file()


def test_a_truncated_checkpoint_is_one_sentence(workspace: Workspace, killed: Callable[..., Path]) -> None:
    latest = killed(1, workspace) / LATEST
    content = latest.read_bytes()
    latest.write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match=rf"{LATEST}: is no checkpoint that torch can read, the file is truncated"):
        train_network(workspace, JOB, LONG, resume=True)


def test_a_checkpoint_without_a_training_is_one_sentence(workspace: Workspace, killed: Callable[..., Path]) -> None:
    latest = killed(1, workspace) / LATEST
    torch.save({"network_weights": torch.load(latest, weights_only=False)["network_weights"]}, latest)
    with pytest.raises(ModelError, match=rf"{LATEST}: lacks the entry 'current_epoch' of a training to go on with"):
        train_network(workspace, JOB, LONG, resume=True)


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("patch_size", r"patch_size \[16, 16, 16\], expected \[16, 16, 32\] as in .*TinyPlans\.json"),
        ("architecture", r"arch_kwargs\.features_per_stage \[4, 8, 8, 8\], expected \[8, 8, 8, 8\]"),
        ("foreground_intensity_properties_per_channel", r"foreground_intensity_properties_per_channel\.1\.mean \d"),
    ],
)
def test_a_checkpoint_of_other_plans_is_one_sentence(
    workspace: Workspace, killed: Callable[..., Path], entry: str, sentence: str
) -> None:
    killed(1, workspace)
    plans_path = workspace.find_plans(DATASET, NetworkSize.small)
    before = plans_path.read_text()
    plans = json.loads(before)
    if entry == "foreground_intensity_properties_per_channel":
        plans[entry]["1"]["mean"] *= 2
    elif entry == "patch_size":
        plans["configurations"][CONFIGURATION][entry] = [16, 16, 32]
    else:
        plans["configurations"][CONFIGURATION][entry]["arch_kwargs"]["features_per_stage"] = [8, 8, 8, 8]
    try:
        plans_path.write_text(json.dumps(plans))
        with pytest.raises(ModelError, match=rf"{LATEST}: was trained with {sentence}"):
            train_network(workspace, JOB, LONG, resume=True)
    finally:
        plans_path.write_text(before)


def test_a_checkpoint_of_another_optimizer_is_one_sentence(workspace: Workspace, killed: Callable[..., Path]) -> None:
    killed(1, workspace)
    with pytest.raises(ModelError, match=rf"{LATEST}: was trained with SGD, expected AdamW"):
        train_network(workspace, JOB, replace(LONG, optimizer=Optimizer.AdamW), resume=True)


def test_a_training_with_another_optimizer_goes_on_too(workspace: Workspace, killed: Callable[..., Path]) -> None:
    settings = replace(LONG, epochs=2, optimizer=Optimizer.AdamW)
    fold = killed(1, workspace, settings)
    train_network(workspace, JOB, settings, resume=True)
    assert len(losses(fold / FINAL)) == 2


def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make_trainer(workspace)
    path = Path(trainer.output_folder) / LATEST
    trainer.save_checkpoint(str(path))
    before = path.read_bytes()

    def write_half(_: Any, file: str) -> None:
        Path(file).write_bytes(before[:1000])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", write_half)
        with pytest.raises(KeyboardInterrupt):
            trainer.save_checkpoint(str(path))
    assert path.read_bytes() == before
    trainer.save_checkpoint(str(path))
    assert [each.name for each in path.parent.iterdir() if "checkpoint" in each.name] == [LATEST]
