"""The trainer on nnU-Net's own machinery: four tiny cases, preprocessed once, and a network of 4 stages."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.utils.deep_supervision_downsampling import DownsampleSegForDSTransform
from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTransform
from helpers_training import make_batch, make_trainer, make_workspace, tiny_environment
from nnunetv2.training.loss.compound_losses import DC_and_CE_loss
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss

from lesionclick.errors import LesionClickError
from lesionclick.model.encoding import GaussianEncoding
from lesionclick_training.augmentation.draw_clicks import DrawClicks
from lesionclick_training.augmentation.misalignment import PETCTMisalignment
from lesionclick_training.augmentation.unknown_outside import UnknownOutside
from lesionclick_training.nnunet.organ_supervision import LESION_LOGIT, organ_target
from lesionclick_training.nnunet.settings import Optimizer, TrainingSettings
from lesionclick_training.nnunet.trainer import LesionClickTrainer
from lesionclick_training.nnunet.variants import Variant
from lesionclick_training.nnunet.workspace import Workspace


@pytest.fixture(autouse=True)
def tiny() -> Iterator[None]:
    with tiny_environment():
        yield


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return make_workspace(tmp_path_factory.mktemp("root"))


# ---- data


def test_patches_are_sampled_around_lesions_alone(workspace: Workspace) -> None:
    training, _ = make_trainer(workspace).get_tr_and_val_datasets()
    counts = []
    for name in training.identifiers:
        _, segmentation, _, properties = training.load_case(name)
        assert list(properties["class_locations"]) == [1]
        locations = np.array(properties["class_locations"][1]).reshape(-1, 4).astype(int)
        assert np.all(segmentation[:][tuple(locations.T)] == 1)
        assert np.all(locations[:, 0] == 0)
        counts.append(len(locations))
    assert counts[0] == 0
    assert min(counts[1:]) > 50


def test_transforms_stand_in_their_order(workspace: Workspace) -> None:
    trainer = make_trainer(workspace, Variant.Gaussian1)
    for loader, first in zip(trainer.get_dataloaders(), (PETCTMisalignment, UnknownOutside), strict=True):
        transforms = loader.data_loader.transforms.transforms
        kinds = [type(each) for each in transforms]
        assert kinds[0] is first
        assert kinds[-4:] == [UnknownOutside, DrawClicks, RemoveLabelTransform, DownsampleSegForDSTransform]
        assert kinds.count(DrawClicks) == 1
        assert transforms[-3].encoding == GaussianEncoding(1.0)
        assert transforms[-3].custom_probability == 0


@pytest.mark.parametrize(("variant", "channels"), [(Variant.EDT2_Custom, 4), (Variant.NoClicks, 2)])
def test_batches_hold_clicks_lesions_and_organs(workspace: Workspace, variant: Variant, channels: int) -> None:
    for loader in make_trainer(workspace, variant).get_dataloaders():
        lesions, organs, clicks = set(), set(), 0.0
        for _ in range(12):
            drawn = next(loader)
            assert drawn["data"].shape == (2, channels, 16, 16, 16)
            assert [tuple(each.shape) for each in drawn["target"]] == [(2, 2, n, n, n) for n in (16, 8, 4)]
            lesions |= set(drawn["target"][0][:, 0].unique().tolist())
            organs |= set(drawn["target"][0][:, 1].unique().tolist())
            clicks = max(clicks, float(drawn["data"][:, 2:].max()) if channels == 4 else 1.0)
        assert lesions == {0, 1}
        assert organs == {0, 4, 6}  # nothing, liver (3) and lungs (5), stored one higher
        assert clicks == 1


# ---- network and loss


def test_organs_are_predicted_in_training_alone(workspace: Workspace) -> None:
    trainer = make_trainer(workspace)
    data, _ = make_batch()
    trainer.network.train()
    assert [each.shape[1] for each in trainer.network(data)] == [13, 13, 13]
    lesions = [each[:, :2] for each in trainer.network(data)]
    trainer.network.eval()
    assert all(torch.equal(a, b) for a, b in zip(trainer.network(data), lesions, strict=True))
    trainer.set_deep_supervision_enabled(False)
    assert torch.equal(trainer.network(data), lesions[0])


def test_fresh_networks_expect_few_lesions(workspace: Workspace) -> None:
    trainer = make_trainer(workspace)
    data, _ = make_batch()
    with torch.no_grad():
        for head in trainer.network.decoder.seg_layers:
            assert (head.bias[1] - head.bias[0]).item() == LESION_LOGIT
        lesions = trainer.network(data)[0].float()[:, :2]
    assert abs((lesions[:, 1] - lesions[:, 0]).mean().item() - LESION_LOGIT) < 0.5
    assert trainer.network.decoder.organ_seg_layers[-1].bias.abs().max() == 0


def test_the_loss_is_nnunets_for_lesions_plus_the_same_for_organs(workspace: Workspace) -> None:
    trainer = make_trainer(workspace)
    _, targets = make_batch()
    generator = torch.Generator().manual_seed(1)
    outputs = [torch.randn((2, 13, *target.shape[2:]), generator=generator) for target in targets]
    dice = {"batch_dice": False, "smooth": 0, "do_bg": False, "ddp": False}
    one = DC_and_CE_loss(dice, {}, dice_class=MemoryEfficientSoftDiceLoss)

    lesions = sum(
        weight * one(output[:, :2], target[:, :1])
        for weight, output, target in zip((2 / 3, 1 / 3), outputs, targets, strict=False)
    )
    organs = sum(
        weight * one(output[:, 2:], torch.where(target[:, 1:] > 0, target[:, 1:] - 1, 0))
        for weight, output, target in zip((2 / 3, 1 / 3), outputs, targets, strict=False)
    )
    torch.testing.assert_close(trainer.loss(outputs, targets), lesions + organs)
    torch.testing.assert_close(trainer.loss([each[:, :2] for each in outputs], targets), lesions)


def test_lesions_and_organs_are_learned(workspace: Workspace) -> None:
    trainer = make_trainer(workspace, settings=TrainingSettings(initial_lr=0.05, seed=3))
    trainer.dataloader_train, _ = trainer.get_dataloaders()
    trainer.network.train()
    start = {name: value.detach().clone() for name, value in trainer.network.decoder.named_parameters()}
    drawn = next(trainer.dataloader_train)
    while not (drawn["target"][0][:, 0].any() and drawn["target"][0][:, 1].any()):
        drawn = next(trainer.dataloader_train)

    def losses() -> tuple[float, float]:
        with torch.no_grad():
            output, target = trainer.network(drawn["data"])[0].float(), drawn["target"][0].long()
        rare = (target[:, 0] == 0).sum() / (target[:, 0] == 1).sum()  # lesions count as much as all else
        lesions = torch.nn.functional.cross_entropy(output[:, :2], target[:, 0], torch.tensor([1.0, rare]))
        organs = torch.nn.functional.cross_entropy(output[:, 2:], organ_target(target)[:, 0])
        return lesions.item(), organs.item()

    before = losses()
    for _ in range(60):
        trainer.train_step(drawn)
    after = losses()
    assert after[0] < 0.9 * before[0]
    assert after[1] < 0.9 * before[1]
    moved = {name for name, value in trainer.network.decoder.named_parameters() if not torch.equal(value, start[name])}
    # the coarsest heads count nothing in nnU-Net's deep supervision, beyond the decay of their weights
    for index in (1, 2):
        assert {f"organ_seg_layers.{index}.{kind}" for kind in ("weight", "bias")} <= moved
        assert {f"seg_layers.{index}.{kind}" for kind in ("weight", "bias")} <= moved


def test_the_pseudo_dice_is_that_of_lesions(workspace: Workspace) -> None:
    trainer = make_trainer(workspace)
    data, targets = make_batch()
    trainer.network.eval()
    with torch.no_grad():
        predicted = trainer.network(data)[0].argmax(1) == 1
        found = trainer.validation_step({"data": data, "target": targets})
    lesion = targets[0][:, 0] == 1
    assert found["tp_hard"].tolist() == [(predicted & lesion).sum().item()]
    assert found["fp_hard"].tolist() == [(predicted & ~lesion).sum().item()]
    assert found["fn_hard"].tolist() == [(~predicted & lesion).sum().item()]


@pytest.mark.parametrize(("supported", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_the_cpu_computes_in_bfloat16_where_it_can(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, supported: bool, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: supported)
    trainer = make_trainer(workspace)
    data, targets = make_batch()
    output = trainer.network(data)
    assert output[0].dtype == dtype
    assert trainer.loss(output, targets).dtype == torch.float32
    assert trainer.network.encoder.stem.convs[0].conv.weight.dtype == torch.float32
    assert f"computes in {str(dtype).removeprefix('torch.')}" in Path(trainer.log_file).read_text()


# ---- settings


def describe(trainer: LesionClickTrainer) -> dict[str, object]:
    """The settings that a trainer has taken."""
    return {
        "epochs": trainer.num_epochs,
        "iterations": trainer.num_iterations_per_epoch,
        "val_iterations": trainer.num_val_iterations_per_epoch,
        "initial_lr": trainer.optimizer.param_groups[0]["lr"],
        "optimizer": type(trainer.optimizer).__name__,
        "oversample_foreground": trainer.oversample_foreground_percent,
        "organ_weight": trainer.loss.loss.organ_weight,
    }


def test_the_environments_settings_reach_their_places(workspace: Workspace) -> None:
    assert describe(make_trainer(workspace)) == {
        "epochs": 1000,
        "iterations": 250,
        "val_iterations": 50,
        "initial_lr": 1e-3,
        "optimizer": "SGD",
        "oversample_foreground": 0.33,
        "organ_weight": 1,
    }
    settings = TrainingSettings(3, 4, 5, 0.5, Optimizer.AdamW, 1.0, 0.1)
    assert describe(make_trainer(workspace, settings=settings)) == {
        "epochs": 3,
        "iterations": 4,
        "val_iterations": 5,
        "initial_lr": 0.5,
        "optimizer": "AdamW",
        "oversample_foreground": 1,
        "organ_weight": 0.1,
    }


def test_a_wrong_setting_stops_the_trainer(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make_trainer(workspace)
    monkeypatch.setenv("LESIONCLICK_EPOCHS", "0")
    with pytest.raises(LesionClickError, match="LESIONCLICK_EPOCHS is '0', expected a whole number of at least 1"):
        trainer.initialize()


def test_equal_seeds_give_equal_networks_and_batches(workspace: Workspace) -> None:
    def weights_and_batch(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        trainer = make_trainer(workspace, settings=TrainingSettings(seed=seed))
        loader, _ = trainer.get_dataloaders()
        return trainer.network.encoder.stem.convs[0].conv.weight.detach(), next(loader)["data"]

    first, second, other = weights_and_batch(5), weights_and_batch(5), weights_and_batch(6)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))
