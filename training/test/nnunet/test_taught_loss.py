"""The loss against a teacher: hand-made values, and what it leaves as it is."""

import math

import pytest
import torch
from helpers_training import make_batch
from nnunetv2.training.loss.compound_losses import DC_and_CE_loss
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss

from lesionclick_training.data.nnunet_layout import UNKNOWN
from lesionclick_training.nnunet.organ_supervision import LesionOrganLoss, leave_out_unknown
from lesionclick_training.nnunet.taught_loss import TaughtLoss, soft_loss


def make_loss() -> LesionOrganLoss:
    """As the trainer builds it, for one resolution."""
    dice = {"batch_dice": False, "smooth": 0, "do_bg": False, "ddp": False}
    loss = DC_and_CE_loss(dice, {}, dice_class=MemoryEfficientSoftDiceLoss)
    leave_out_unknown(loss)
    return LesionOrganLoss(loss)


def make_sample() -> tuple[torch.Tensor, torch.Tensor]:
    """Random logits of lesions and organs, and a stored segmentation: two samples of (4, 4, 4)."""
    stored = make_batch()[1][-1]
    return torch.randn((2, 13, 4, 4, 4), generator=torch.Generator().manual_seed(1)), stored


def logits_of(*probabilities: float) -> torch.Tensor:
    """Logits (1, 2, 1, 1, n) with these probabilities of a lesion."""
    lesion = torch.logit(torch.tensor(probabilities)).reshape(1, 1, 1, 1, -1)
    return torch.cat([-lesion / 2, lesion / 2], dim=1)


def probability_of(*probabilities: float) -> torch.Tensor:
    return torch.tensor(probabilities).reshape(1, 1, 1, 1, -1)


def with_teacher(stored: torch.Tensor) -> torch.Tensor:
    """A stored segmentation with a third channel, some teacher's probability."""
    generator = torch.Generator().manual_seed(3)
    return torch.cat([stored, torch.rand(stored[:, :1].shape, generator=generator)], dim=1)


def test_the_soft_loss_of_hand_made_probabilities() -> None:
    # two voxels: student 0.5 and 0.25, teacher 0.8 and 0
    dice = (2 * 0.5 * 0.8 + 1) / (0.5**2 + 0.25**2 + 0.8**2 + 1)
    divergence = (0.8 * math.log(0.8 / 0.5) + 0.2 * math.log(0.2 / 0.5) + math.log(1 / 0.75)) / 2
    loss = soft_loss(logits_of(0.5, 0.25), probability_of(0.8, 0.0))
    assert loss.item() == pytest.approx(1 - dice + divergence, abs=1e-6)


def test_the_dice_is_that_of_each_sample() -> None:
    outputs = torch.cat([logits_of(0.5, 0.25), logits_of(0.9, 0.9)])
    teacher = torch.cat([probability_of(0.8, 0.0), probability_of(0.1, 0.9)])
    of_each = [soft_loss(outputs[sample : sample + 1], teacher[sample : sample + 1]) for sample in range(2)]
    torch.testing.assert_close(soft_loss(outputs, teacher), torch.stack(of_each).mean())


def test_a_student_that_says_what_the_teacher_says_has_nothing_to_learn() -> None:
    output = make_sample()[0][:, :2].requires_grad_()
    loss = soft_loss(output, output.detach().softmax(1)[:, 1:])
    assert loss.item() == pytest.approx(0, abs=1e-6)
    (gradient,) = torch.autograd.grad(loss, output)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-7, rtol=0)
    assert soft_loss(1.1 * output, output.detach().softmax(1)[:, 1:]) > 0


def test_a_certain_teacher_gives_finite_gradients() -> None:
    output = logits_of(0.5, 0.5).mul(0).add(torch.tensor([100.0, -100.0]).reshape(1, 2, 1, 1, 1)).requires_grad_()
    (gradient,) = torch.autograd.grad(soft_loss(output, probability_of(1.0, 0.0)), output)
    assert gradient.isfinite().all()
    assert gradient[0, 1, 0, 0, 0] < 0  # more lesion there


@pytest.mark.parametrize("weight", [0.0, 0.25, 1.0])
def test_the_teacher_takes_its_share_of_the_lesions_loss_alone(weight: float) -> None:
    output, stored = make_sample()
    labels = make_loss()
    lesions, both = labels(output[:, :2], stored), labels(output, stored)
    taught = with_teacher(stored)
    expected = (1 - weight) * lesions + weight * soft_loss(output[:, :2], taught[:, 2:]) + (both - lesions)
    torch.testing.assert_close(TaughtLoss(labels.loss, 1.0, weight)(output, taught), expected)


def test_without_a_teachers_channel_it_is_the_labels_loss() -> None:
    output, stored = make_sample()
    loss = make_loss()
    torch.testing.assert_close(TaughtLoss(loss.loss, 1.0, 0.7)(output, stored), loss(output, stored))
    torch.testing.assert_close(
        TaughtLoss(loss.loss, 1.0, 0.7)(output[:, :2], stored[:, :1]), loss(output[:, :2], stored[:, :1])
    )


def test_the_teacher_alone_tells_of_unknown_voxels() -> None:
    output, stored = make_sample()
    stored[:, 0] = UNKNOWN
    taught = with_teacher(stored)
    output.requires_grad_()
    (gradient,) = torch.autograd.grad(TaughtLoss(make_loss().loss, 1.0, 0.5)(output, taught), output)
    (of_teacher,) = torch.autograd.grad(soft_loss(output[:, :2], taught[:, 2:]), output)
    torch.testing.assert_close(gradient[:, :2], 0.5 * of_teacher[:, :2])
    assert gradient[:, :2].any()
