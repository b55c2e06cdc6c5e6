import pytest
import torch
from nnunetv2.training.loss.compound_losses import DC_and_CE_loss
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss

from lesionclick_training.data.nnunet_layout import UNKNOWN
from lesionclick_training.nnunet.organ_supervision import LesionOrganLoss, leave_out_unknown, organ_target


def make_loss() -> LesionOrganLoss:
    dice = {"batch_dice": False, "smooth": 0, "do_bg": False, "ddp": False}
    loss = DC_and_CE_loss(dice, {}, dice_class=MemoryEfficientSoftDiceLoss)
    leave_out_unknown(loss)
    return LesionOrganLoss(loss)


def make_sample(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of lesions and organs, and a stored segmentation that holds all classes: two samples of (4, 5, 6)."""
    generator = torch.Generator().manual_seed(seed)
    lesion = torch.randint(0, 2, (2, 1, 4, 5, 6), generator=generator)
    organ = torch.randint(1, 12, (2, 1, 4, 5, 6), generator=generator)
    stored = torch.cat([lesion, torch.where(organ == 1, 0, organ)], dim=1).to(torch.int16)
    return torch.randn((2, 13, 4, 5, 6), generator=generator), stored


def gradient_of(output: torch.Tensor, stored: torch.Tensor) -> torch.Tensor:
    """Gradient of the loss in the logits; both are checked to be finite."""
    output = output.clone().requires_grad_()
    loss = make_loss()(output, stored)
    assert loss.isfinite()
    (gradient,) = torch.autograd.grad(loss, output)
    assert gradient.isfinite().all()
    return gradient


def test_organs_become_their_numbers_and_unknown_stays() -> None:
    stored = torch.tensor([0, 2, 11, -1, UNKNOWN], dtype=torch.int16).reshape(1, 1, 1, 1, 5).repeat(1, 2, 1, 1, 1)
    assert organ_target(stored).ravel().tolist() == [0, 1, 10, 0, UNKNOWN]


@pytest.mark.parametrize(("channel", "classes"), [(0, slice(0, 2)), (1, slice(2, 13))])
def test_the_loss_leaves_out_what_is_unknown(channel: int, classes: slice) -> None:
    output, stored = make_sample()
    stored[:, channel, :, :2] = UNKNOWN
    changed = output.clone()
    changed[:, classes, :, :2] += torch.randn(changed[:, classes, :, :2].shape, generator=torch.Generator())
    torch.testing.assert_close(make_loss()(changed, stored), make_loss()(output, stored))
    assert not torch.isclose(make_loss()(changed, make_sample()[1]), make_loss()(output, make_sample()[1]))
    gradient = gradient_of(output, stored)
    assert not gradient[:, classes, :, :2].any()
    assert gradient[:, classes, :, 2:].any()
    other = slice(2, 13) if channel == 0 else slice(0, 2)  # the other task learns everywhere
    torch.testing.assert_close(gradient[:, other], gradient_of(output, make_sample()[1])[:, other])


@pytest.mark.parametrize("channel", [0, 1])
def test_what_is_left_is_the_loss_of_a_smaller_volume(channel: int) -> None:
    output, stored = make_sample()
    stored[:, channel, :, :2] = UNKNOWN
    classes = slice(0, 2) if channel == 0 else slice(2, 13)
    known = [output[..., 2:, :], make_sample()[1][..., 2:, :]]
    one = make_loss().loss
    target = (lambda each: each[:, :1]) if channel == 0 else organ_target
    torch.testing.assert_close(one(output[:, classes], target(stored)), one(known[0][:, classes], target(known[1])))


def test_a_batch_of_which_nothing_is_known_teaches_nothing() -> None:
    output, stored = make_sample()
    nothing = torch.full_like(stored, UNKNOWN)
    assert make_loss()(output, nothing).item() == 0
    assert not gradient_of(output, nothing).any()
    assert make_loss()(output[:, :2], nothing[:, :1]).item() == 0
    organs_unknown = torch.cat([stored[:, :1], nothing[:, 1:]], dim=1)
    torch.testing.assert_close(make_loss()(output, organs_unknown), make_loss()(output[:, :2], stored))
    gradient = gradient_of(output, organs_unknown)
    assert not gradient[:, 2:].any()
    assert gradient[:, :2].any()


def test_a_sample_of_unknown_organs_teaches_nothing_beside_another() -> None:
    output, stored = make_sample()
    stored[0, 1] = UNKNOWN
    gradient = gradient_of(output, stored)
    assert not gradient[0, 2:].any()
    assert gradient[1, 2:].any()


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
