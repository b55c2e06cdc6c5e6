"""A network that is trained to become like an ensemble: what the ensemble tells it, and a whole tiny training."""

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers_training import (
    CASES,
    DATASET,
    SHORT,
    TINY,
    make_batch,
    make_image,
    make_job,
    make_trainer,
    make_volumes,
    make_workspace,
    read_weights,
    tiny_environment,
)
from nnunetv2.training.logging.nnunet_logger import LocalLogger

from lesionclick import Case, Ensemble, Session
from lesionclick.case.geometry import Geometry
from lesionclick.errors import ModelError
from lesionclick.files import read_json_object
from lesionclick.inference.settings import InferenceSettings, Mirroring, Networks
from lesionclick.model.encoding import EDTEncoding
from lesionclick.model.folder import ModelFolder
from lesionclick.testing import write_model
from lesionclick_training.nnunet.assemble import assemble
from lesionclick_training.nnunet.network_sizes import NetworkSize
from lesionclick_training.nnunet.settings import TrainingSettings
from lesionclick_training.nnunet.taught_loss import soft_loss
from lesionclick_training.nnunet.teacher import Teacher
from lesionclick_training.nnunet.trainer import LesionClickTrainer
from lesionclick_training.nnunet.training import train_network
from lesionclick_training.nnunet.training_cases import read_training_cases
from lesionclick_training.nnunet.variants import Variant
from lesionclick_training.nnunet.workspace import Workspace

JOB = make_job(Variant.EDT2)

CPU = torch.device("cpu")


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
def plans(datasets: Workspace) -> dict[str, Any]:
    return read_json_object(datasets.find_plans(DATASET, NetworkSize.small), ModelError)


@pytest.fixture
def ensemble(plans: dict[str, Any], tmp_path: Path) -> Path:
    """Three networks of the tiny plan, of which it is known what two were trained on."""
    folder = write_model(tmp_path / "ensemble", plans, folds=(0, 1, 2), seed=4)
    for fold, case in enumerate(("elsewhere", CASES[3])):
        record = {"dataset": "Dataset900_Other", "fold": "0", "training_cases": [case]}
        (folder / f"fold_{fold}" / "training_cases.json").write_text(json.dumps(record))
    return folder


def model_folder(workspace: Workspace) -> Path:
    return workspace.model_folder(JOB.variant, workspace.find_plans(DATASET, NetworkSize.small))


# ---- what a teacher says


def test_a_teacher_says_what_inference_says_of_one_tile(ensemble: Path, plans: dict[str, Any]) -> None:
    data, _ = make_batch()
    said = Teacher.load(ensemble, plans, EDTEncoding(), CPU).lesion_probability(data)
    assert (said.shape, said.dtype, said.requires_grad) == ((2, 1, *TINY.patch), torch.float32, False)
    settings = InferenceSettings(mirroring=Mirroring.none, networks=Networks.all)
    precision = "bfloat16" if torch.cpu._is_avx512_bf16_supported() else "float32"
    inference = Ensemble.load(ensemble, "cpu", backend="torch", precision=precision)
    logits = torch.from_numpy(inference.predict_logits(data[1].numpy(), settings))
    inner = (slice(4, 12),) * 3  # towards a tile's rim inference rounds, for there it goes by other tiles
    torch.testing.assert_close(said[1, 0][inner], logits[inner].sigmoid(), rtol=0, atol=1e-3)


def test_targets_gain_the_mean_of_what_the_teacher_says(ensemble: Path, plans: dict[str, Any]) -> None:
    data, targets = make_batch()
    teacher = Teacher.load(ensemble, plans, EDTEncoding(), CPU)
    said = teacher.lesion_probability(data)[:, 0]
    fine, half, quarter = teacher.append_to(targets, data)
    for taught, target in zip((fine, half, quarter), targets, strict=True):
        assert torch.equal(taught[:, :2], target.float())
    assert torch.equal(fine[:, 2], said)
    torch.testing.assert_close(half[0, 2, 1, 2, 3], said[0, 2:4, 4:6, 6:8].mean())
    torch.testing.assert_close(quarter[1, 2, 3, 0, 1], said[1, 12:16, :4, 4:8].mean())


# ---- the trainer


@pytest.mark.parametrize("packed", [False, True])
def test_a_student_that_is_its_only_teacher_learns_nothing_of_lesions(
    workspace: Workspace, plans: dict[str, Any], packed: bool, tmp_path: Path
) -> None:
    folder = write_model(tmp_path / "one", plans, seed=4)
    teacher = assemble([folder], tmp_path / "packed", torch.float32).path if packed else folder
    settings = TrainingSettings(seed=3, teacher=teacher, teacher_weight=1.0, organ_weight=1e-9)
    trainer = make_trainer(workspace, Variant.EDT2, settings)
    trainer.network.load_state_dict(read_weights(folder))
    trainer.network.train()
    data, targets = make_batch()
    seen: list[tuple[list[torch.Tensor], list[torch.Tensor]]] = []
    trainer.loss.register_forward_pre_hook(lambda _, given: seen.append(given))
    trainer.train_step({"data": data, "target": targets})
    (((output, *_), (target, *_)),) = seen
    output = output.detach()
    assert soft_loss(output[:, :2].float(), target[:, 2:]).item() == pytest.approx(0, abs=2e-3)
    assert soft_loss(output[:, :2].float().roll(1, 0), target[:, 2:]) > 0.01


def test_validation_is_against_the_labels(workspace: Workspace, ensemble: Path) -> None:
    data, targets = make_batch()
    losses = []
    for teacher in (None, ensemble):
        trainer = make_trainer(workspace, Variant.EDT2, TrainingSettings(seed=3, teacher=teacher))
        trainer.network.eval()
        with torch.no_grad():
            losses.append(trainer.validation_step({"data": data, "target": targets})["loss"])
    assert losses[0] == pytest.approx(losses[1])


# ---- a whole training


def test_a_student_is_trained_goes_on_and_predicts(
    workspace: Workspace, ensemble: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    mean = assemble([ensemble], tmp_path / "mean", mean=True).path / "fold_0" / "checkpoint_final.pth"
    settings = replace(SHORT, seed=1, teacher=ensemble)
    begin = LesionClickTrainer.on_train_epoch_start

    def stop_in_the_second_epoch(trainer: LesionClickTrainer) -> None:
        trainer.save_every = 1
        if trainer.current_epoch == 1:
            raise KeyboardInterrupt
        begin(trainer)

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING, "lesionclick"):
        patch.setattr(LesionClickTrainer, "on_train_epoch_start", stop_in_the_second_epoch)
        with pytest.raises(KeyboardInterrupt):
            train_network(workspace, replace(JOB, pretrained=mean), settings, resume=True)
    assert f"{ensemble}: 1 of its 3 networks have no training_cases.json" in caplog.text
    model = train_network(workspace, replace(JOB, pretrained=mean), settings, resume=True)
    log = torch.load(model / "fold_0" / "checkpoint_final.pth", weights_only=False)["logging"]
    assert len(log["train_losses"]) == 2
    assert np.isfinite(log["train_losses"]).all()
    assert json.loads((model / "prompt.json").read_text()) == {"encoding": "edt", "radius": 2}
    assert read_training_cases(model / "fold_0") == {*CASES, "elsewhere"}

    packed = assemble([model], tmp_path / "fast", torch.float16)
    assert [fold.name for fold in packed.folds] == ["0"]
    ct, pet, _ = make_volumes(1)
    session = Session(Ensemble.load(packed.path, "cpu"), Case("case", ct, pet, Geometry.of(make_image(ct))))
    assert np.isfinite(session.predict().probability).all()


def test_a_training_without_a_teacher_is_what_it_was(workspace: Workspace, ensemble: Path) -> None:
    weights = []
    for settings in (TrainingSettings(seed=3), TrainingSettings(seed=3, teacher=ensemble, teacher_weight=0.0)):
        trainer = make_trainer(workspace, Variant.EDT2, settings)
        trainer.network.train()
        data, targets = make_batch()
        trainer.train_step({"data": data, "target": targets})
        weights.append(trainer.network.state_dict())
    for name, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][name], rtol=0, atol=1e-6)


# ---- what is refused


def remove(folder: Path, plans: dict[str, Any]) -> None:
    shutil.rmtree(folder)


def with_other_spacing(folder: Path, plans: dict[str, Any]) -> None:
    shutil.rmtree(folder)
    other = json.loads(json.dumps(plans))
    other["configurations"]["3d_fullres"]["spacing"] = [4.0, 4.0, 4.0]
    write_model(folder, other)


def without_clicks(folder: Path, plans: dict[str, Any]) -> None:
    shutil.rmtree(folder)
    write_model(folder, plans, channels=2)


def with_larger_balls(folder: Path, plans: dict[str, Any]) -> None:
    (folder / "prompt.json").write_text('{"encoding": "edt", "radius": 3}')


REFUSED: dict[str, tuple[Callable[[Path, dict[str, Any]], None], str]] = {
    "missing": (remove, "ensemble: the model folder is missing"),
    "plans": (
        with_other_spacing,
        "ensemble/plans.json: spacing is [4.0, 4.0, 4.0], expected [5.0, 5.0, 5.0] as for the network to train",
    ),
    "channels": (without_clicks, "ensemble: its networks read 2 channels, expected 4 as the network to train"),
    "clicks": (with_larger_balls, "ensemble/prompt.json: radius is 3, expected 2 as for the network to train"),
}


@pytest.mark.parametrize(("spoil", "sentence"), REFUSED.values(), ids=REFUSED)
def test_a_teacher_that_sees_something_else_is_refused_beforehand(
    spoil: Callable[[Path, dict[str, Any]], None],
    sentence: str,
    workspace: Workspace,
    ensemble: Path,
    plans: dict[str, Any],
) -> None:
    spoil(ensemble, plans)
    with pytest.raises(ModelError) as error:
        train_network(workspace, JOB, replace(SHORT, teacher=ensemble))
    assert sentence in str(error.value)
    assert not model_folder(workspace).exists()


def test_a_network_of_images_alone_has_a_teacher_of_images_alone(ensemble: Path, plans: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="its networks read 4 channels, expected 2"):
        Teacher.load(ensemble, plans, None, CPU)
    without_clicks(ensemble, plans)
    data = make_batch()[0][:, :2]
    assert Teacher.load(ensemble, plans, None, CPU).lesion_probability(data).isfinite().all()


def test_a_teacher_is_not_trained_over(workspace: Workspace, ensemble: Path) -> None:
    folder = model_folder(workspace)
    shutil.copytree(ensemble, folder)
    with pytest.raises(ModelError, match="cannot teach a network that is written there, expected a copy elsewhere"):
        train_network(workspace, JOB, replace(SHORT, teacher=folder))
    assert ModelFolder.read(folder).path == folder
