"""Taught loss: what a network in training says of lesions, against what a teacher says of them."""

import torch
from torch import nn

from lesionclick_training.nnunet.organ_supervision import LesionOrganLoss

SMOOTH = 1.0  # voxels; where neither sees anything, their Dice is 1 and tells nothing


class TaughtLoss(LesionOrganLoss):
    """The loss of lesions and organs, in which a share of that of lesions is `soft_loss` against a teacher.

    The teacher also tells of voxels where the label is unknown; organs are learned from labels alone.
    """

    def __init__(self, loss: nn.Module, organ_weight: float, teacher_weight: float) -> None:
        """Wraps `loss` as `LesionOrganLoss` does; `teacher_weight` is the teacher's share, 0 to 1."""
        super().__init__(loss, organ_weight)
        self.teacher_weight = teacher_weight

    def lesion_loss(self, output: torch.Tensor, segmentation: torch.Tensor) -> torch.Tensor:
        """The lesions' part of the loss.

        Args:
            output: logits, (batch, 2, z, y, x).
            segmentation: as stored, and the teacher's probability of a lesion behind it: (batch, 3, z, y, x). Without
                that, as in validation, the loss is that of the labels.
        """
        loss = super().lesion_loss(output, segmentation)
        probability = segmentation[:, 2:3]
        if not probability.shape[1]:
            return loss
        return (1 - self.teacher_weight) * loss + self.teacher_weight * soft_loss(output, probability)


def soft_loss(output: torch.Tensor, probability: torch.Tensor) -> torch.Tensor:
    """Soft Dice loss + Kullback-Leibler divergence: 0 where a network gives the probabilities asked for, else more.

    With p the network's probability of a lesion, t the one asked for, and sums over the voxels of a sample:

        1 - mean over samples of (2 sum(p t) + 1) / (sum(p^2) + sum(t^2) + 1)
          + mean over voxels of  t log(t / p) + (1 - t) log((1 - t) / (1 - p))

    nnU-Net's own Dice, with p and t in place of their squares, is best where p is 0 or 1, whatever t is; with squares
    (arXiv 1606.04797) it is best where p is t, and the same where both are 0 or 1. The divergence has the gradient of
    cross-entropy.

    Args:
        output: logits of background and lesion, (batch, 2, z, y, x).
        probability: of a lesion, (batch, 1, z, y, x), 0 to 1.

    Returns:
        A scalar.
    """
    classes = torch.cat([1 - probability, probability], dim=1)
    divergence = nn.functional.cross_entropy(output, classes) - torch.special.entr(classes).sum(1).mean()
    p, t = output.softmax(1)[:, 1].flatten(1), probability.flatten(1)
    dice = (2 * (p * t).sum(1) + SMOOTH) / ((p**2).sum(1) + (t**2).sum(1) + SMOOTH)
    loss: torch.Tensor = 1 - dice.mean() + divergence
    return loss
