"""Weights to start from, of checkpoints as MultiTalent and this project write them."""

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers_training import DATASET, make_trainer, make_workspace, tiny_environment, write_multitalent
from nnunetv2.run.load_pretrained_weights import load_pretrained_weights

from lesionclick import ModelError
from lesionclick.errors import LesionClickError
from lesionclick_training.nnunet.network_sizes import NetworkSize
from lesionclick_training.nnunet.pretrained import STEM_KERNEL, transfer_weights, write_pretrained
from lesionclick_training.nnunet.settings import TrainingSettings
from lesionclick_training.nnunet.training import find_trainer
from lesionclick_training.nnunet.variants import Variant
from lesionclick_training.nnunet.workspace import Workspace


@pytest.fixture(autouse=True)
def tiny() -> Iterator[None]:
    with tiny_environment():
        yield


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return make_workspace(tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="module")
def named_weights(workspace: Workspace) -> Mapping[str, torch.Tensor]:
    """Names and values of a network of four channels."""
    with tiny_environment():
        weights: Mapping[str, torch.Tensor] = make_trainer(workspace).network.state_dict()
    return weights


def test_multitalents_trunk_and_autopet_stem_come_across(
    workspace: Workspace, named_weights: Mapping[str, torch.Tensor], tmp_path: Path
) -> None:
    network = make_trainer(workspace).network
    fresh = {name: value.detach().clone() for name, value in network.named_parameters()}
    source = write_multitalent(tmp_path / "multitalent.pth", named_weights, {4: 1, 221: 2, 223: 2})

    report = transfer_weights(tmp_path / "multitalent.pth", network)

    heads = {name for name in fresh if name.startswith(("decoder.seg_layers.", "decoder.organ_seg_layers."))}
    assert set(report.fresh) == heads
    assert report.widened == (STEM_KERNEL,)
    assert set(report.taken) == set(fresh) - heads - {STEM_KERNEL}
    for name, value in network.named_parameters():
        if name in heads:
            assert torch.equal(value, fresh[name])
        elif name == STEM_KERNEL:
            assert torch.equal(value[:, :2], source["encoder.stem.221.convs.0.conv.weight"])
            assert torch.equal(value[:, 2:], fresh[name][:, 2:])
        else:
            assert torch.equal(value, source[name.replace("encoder.stem.", "encoder.stem.221.")])


def test_another_stem_can_be_taken(
    workspace: Workspace, named_weights: Mapping[str, torch.Tensor], tmp_path: Path
) -> None:
    network = make_trainer(workspace).network
    source = write_multitalent(tmp_path / "multitalent.pth", named_weights, {221: 2, 223: 2})
    transfer_weights(tmp_path / "multitalent.pth", network, stem=223)
    kernel = network.encoder.stem.convs[0].conv.weight
    assert torch.equal(kernel[:, :2], source["encoder.stem.223.convs.0.conv.weight"])


@pytest.mark.parametrize(
    ("stem", "change", "sentence"),
    [
        (5, {}, r"has no stem for dataset 5, it has those of \[221\]"),
        (221, {"encoder.stages.0.blocks.0.conv1.conv.weight": None}, "lacks the tensor encoder.stages.0.blocks.0"),
        (221, {"encoder.stages.1.blocks.0.conv1.conv.bias": torch.zeros(9)}, r"has the shape \(9,\), the network"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(
    workspace: Workspace,
    named_weights: Mapping[str, torch.Tensor],
    tmp_path: Path,
    stem: int,
    change: dict[str, Any],
    sentence: str,
) -> None:
    path = tmp_path / "multitalent.pth"
    weights = write_multitalent(path, named_weights, {221: 2}) | change
    torch.save({"network_weights": {name: value for name, value in weights.items() if value is not None}}, path)
    with pytest.raises(ModelError, match=sentence):
        transfer_weights(path, make_trainer(workspace).network, stem)


def test_a_checkpoint_that_would_run_code_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pth"
    torch.save({"network_weights": {}, "extra": subprocess.Popen}, path)
    with pytest.raises(ModelError, match="could run code"):
        transfer_weights(path, make_trainer(workspace).network)


def test_nnunets_loader_takes_what_is_written_of_a_click_free_model(workspace: Workspace, tmp_path: Path) -> None:
    source = make_trainer(workspace, Variant.NoClicks, TrainingSettings(seed=8)).network.state_dict()
    torch.save({"network_weights": source}, tmp_path / "checkpoint.pth")
    trainer = make_trainer(workspace, Variant.EDT2)
    fresh = {name: value.detach().clone() for name, value in trainer.network.named_parameters()}
    plans = workspace.find_plans(DATASET, NetworkSize.small)
    out = tmp_path / "pretrained.pth"
    report = write_pretrained(tmp_path / "checkpoint.pth", plans, find_trainer(Variant.EDT2), out)
    load_pretrained_weights(trainer.network, str(out))

    written = torch.load(out)["network_weights"]
    assert not report.fresh
    heads = {name for name in fresh if name.startswith("decoder.seg_layers.")}
    assert heads
    for name, value in trainer.network.named_parameters():
        if name in heads:  # nnU-Net leaves them out
            assert torch.equal(value, fresh[name])
        elif name == STEM_KERNEL:
            assert torch.equal(value[:, :2], source[name])
            assert torch.equal(value[:, 2:], written[name][:, 2:])
            assert value[:, 2:].std() > 0.05
        else:
            assert torch.equal(value, source[name])
    assert "decoder.organ_seg_layers.2.weight" in report.taken
    other = make_trainer(workspace, Variant.EDT2, TrainingSettings(lesion_heads=out)).network.state_dict()
    assert all(torch.equal(other[name], source[name]) for name in heads)


def test_lesion_heads_of_another_size_are_refused(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"network_weights": {"decoder.seg_layers.0.weight": torch.zeros(3, 4, 1, 1, 1)}}, path)
    with pytest.raises(LesionClickError, match="other lesion heads"):
        make_trainer(workspace, Variant.EDT2, TrainingSettings(lesion_heads=path))
