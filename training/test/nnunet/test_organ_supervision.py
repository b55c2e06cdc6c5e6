import pytest
import torch
from nnunetv2.training.loss.compound_losses import DC_and_CE_loss
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss

from lesionclick_training.nnunet.organ_supervision import LesionOrganLoss, organ_target


def test_the_loss_of_perfect_logits_is_minus_the_dice_of_both() -> None:
    organ = torch.arange(11).repeat(1, 1, 4, 4, 1)
    stored = torch.cat([(organ > 5).long(), torch.where(organ > 0, organ + 1, 0)], dim=1)
    assert torch.equal(organ_target(stored), organ)
    output = torch.zeros((1, 13, 4, 4, 11))
    output[:, :2].scatter_(1, stored[:, :1], 100.0)
    output[:, 2:].scatter_(1, organ, 100.0)
    dice = {"batch_dice": False, "smooth": 0, "do_bg": False, "ddp": False}
    loss = LesionOrganLoss(DC_and_CE_loss(dice, {}, dice_class=MemoryEfficientSoftDiceLoss))
    assert loss(output, stored).item() == pytest.approx(-2)
    assert LesionOrganLoss(loss.loss, 0.25)(output, stored).item() == pytest.approx(-1.25)
    assert loss(output.to(torch.bfloat16), stored).dtype == torch.float32
