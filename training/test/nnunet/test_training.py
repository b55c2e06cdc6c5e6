"""Whole trainings of tiny networks by nnU-Net, and the model folders that come of them."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers_training import (
    DATASET,
    SHAPE,
    SHORT,
    make_image,
    make_job,
    make_volumes,
    make_workspace,
    read_weights,
    tiny_environment,
)
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from lesionclick import Case, Click, Ensemble, Session
from lesionclick.case.geometry import Geometry
from lesionclick.errors import CaseError, DeviceError
from lesionclick.model.encoding import EDTEncoding, GaussianEncoding, UptakeEncoding
from lesionclick.model.folder import ModelFolder
from lesionclick_training.nnunet.job import Device
from lesionclick_training.nnunet.network_sizes import CONFIGURATION, NetworkSize
from lesionclick_training.nnunet.settings import TrainingSettings
from lesionclick_training.nnunet.training import find_trainer, train_network
from lesionclick_training.nnunet.variants import Variant
from lesionclick_training.nnunet.workspace import Workspace

ENCODINGS = {
    "NoClicks": (None, 0.0),
    "Gaussian3": (GaussianEncoding(3.0), 0.0),
    "Gaussian2": (GaussianEncoding(2.0), 0.0),
    "Gaussian1": (GaussianEncoding(1.0), 0.0),
    "Gaussian0p75": (GaussianEncoding(0.75), 0.0),
    "Gaussian0p5": (GaussianEncoding(0.5), 0.0),
    "Gaussian0p25": (GaussianEncoding(0.25), 0.0),
    "Gaussian0p1": (GaussianEncoding(0.1), 0.0),
    "EDT4": (EDTEncoding(4), 0.0),
    "EDT3": (EDTEncoding(3), 0.0),
    "EDT2": (EDTEncoding(2), 0.0),
    "EDT2_Custom": (EDTEncoding(2), 0.2),
    "Uptake12": (UptakeEncoding(12), 0.0),
}

NO_CHANGE = TrainingSettings(1, 1, 1, initial_lr=1e-30)
"""So slow that the weights stay where they began."""


@pytest.fixture(autouse=True)
def tiny() -> Iterator[None]:
    with tiny_environment():
        yield


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return make_workspace(tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="module")
def model(workspace: Workspace) -> Path:
    """A trained model of four channels."""
    with tiny_environment():
        return train_network(workspace, make_job(Variant.EDT2_Custom), replace(SHORT, seed=5))


# ---- variants


def test_the_variants_are_the_rows_of_the_table() -> None:
    trainers = {variant.value: find_trainer(variant) for variant in Variant}
    found = {name: (trainer.encoding, trainer.custom_probability) for name, trainer in trainers.items()}
    assert found == ENCODINGS


@pytest.mark.parametrize("variant", list(Variant))
def test_every_variant_has_a_network_with_its_channels(workspace: Workspace, variant: Variant) -> None:
    plans = PlansManager(str(workspace.find_plans(DATASET, NetworkSize.small)))
    network = find_trainer(variant).build_network_architecture(plans, plans.get_configuration(CONFIGURATION), 2, 2)
    channels = 2 if ENCODINGS[variant][0] is None else 4
    with torch.no_grad():
        outputs = network(torch.zeros((1, channels, 16, 16, 16)))
    assert [tuple(output.shape) for output in outputs] == [(1, 13, size, size, size) for size in (16, 8, 4)]


@pytest.mark.parametrize("variant", [Variant.EDT2_Custom, Variant.Gaussian0p5, Variant.NoClicks])
def test_a_variant_trains_and_its_model_predicts(workspace: Workspace, model: Path, variant: Variant) -> None:
    if variant != Variant.EDT2_Custom:
        model = train_network(workspace, make_job(variant), SHORT)
    encoding, _ = ENCODINGS[variant]

    prompt = model / "prompt.json"
    assert prompt.exists() == (encoding is not None)
    if encoding is not None:
        assert json.loads(prompt.read_text()) == encoding.to_json()
    folder = ModelFolder.read(model)
    assert folder.channels == (2 if encoding is None else 4)
    assert encoding is None or folder.encoding == encoding
    assert folder.folds[0].trainer == f"LesionClickTrainer_{variant}"
    assert folder.description == "for tests"

    ct, pet, _ = make_volumes(1)
    session = Session(Ensemble.load(model, "cpu"), Case("case", ct, pet, Geometry.of(make_image(ct))))
    before = session.predict().probability
    after = session.predict([Click(14, 15, 12, "tumor")]).probability
    assert before.shape == SHAPE
    assert np.isfinite(before).all()
    assert np.array_equal(before, after) == (encoding is None)


# ---- a model folder


def test_the_checkpoint_holds_organ_heads_under_their_names(model: Path) -> None:
    heads = {name: tuple(value.shape) for name, value in read_weights(model).items() if "seg_layers" in name}
    expected: dict[str, tuple[int, ...]] = {}
    for index, features in enumerate((8, 8, 4)):
        for heads_name, classes in (("seg_layers", 2), ("organ_seg_layers", 11)):
            expected[f"decoder.{heads_name}.{index}.weight"] = (classes, features, 1, 1, 1)
            expected[f"decoder.{heads_name}.{index}.bias"] = (classes,)
    assert heads == expected


def test_a_training_says_how_to_validate(model: Path) -> None:
    (log, *_) = (model / "fold_0").glob("training_log_*.txt")
    assert "`lesionclick-train validate`" in log.read_text()


def test_equal_seeds_train_equal_networks(workspace: Workspace, model: Path) -> None:
    again = train_network(workspace, make_job(Variant.EDT2_Custom, fold=1), replace(SHORT, seed=5))  # a fold alike
    first, second = read_weights(model), read_weights(again, fold=1)
    for name, value in first.items():
        torch.testing.assert_close(value, second[name], rtol=0, atol=1e-4)


# ---- where a training starts


def test_a_training_goes_on_from_all_that_another_learned(workspace: Workspace, model: Path) -> None:
    source = model / "fold_0" / "checkpoint_final.pth"
    trained = train_network(workspace, make_job(Variant.EDT3, pretrained=source), NO_CHANGE)
    given = read_weights(model)
    for name, value in read_weights(trained).items():
        assert torch.equal(value, given[name]), name
    assert "LESIONCLICK_LESION_HEADS" not in os.environ


def test_a_dataset_must_be_preprocessed_for_the_size(workspace: Workspace) -> None:
    job = replace(make_job(Variant.EDT2), size=NetworkSize.published)
    with pytest.raises(CaseError, match=r"PublishedPlans\.json: is missing"):
        train_network(workspace, job, SHORT)


@pytest.mark.parametrize(
    ("device", "num_gpus", "found", "sentence"),
    [
        (Device.cpu, 2, 8, r"2 GPUs are asked for with the device cpu, expected cuda"),
        (Device.cuda, 3, 8, r"TinyPlans\.json: a batch of 2 samples cannot be split over 3 GPUs, expected at most 2"),
        (Device.cuda, 2, 1, r"torch finds 1 of the 2 GPUs that the training asks for"),
        (Device.cuda, 1, 0, r"torch finds no GPU, expected one; --device cpu needs none"),
    ],
)
def test_gpus_that_cannot_serve_are_refused_beforehand(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, device: Device, num_gpus: int, found: int, sentence: str
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: found)
    job = replace(make_job(Variant.Gaussian3), device=device, num_gpus=num_gpus)
    with pytest.raises(DeviceError, match=sentence):
        train_network(workspace, job, SHORT)
    plans = workspace.find_plans(DATASET, NetworkSize.small)
    assert not workspace.model_folder(Variant.Gaussian3, plans).exists()
