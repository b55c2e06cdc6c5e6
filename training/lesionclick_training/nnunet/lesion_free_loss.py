"""Lesion-free loss: a gradient that grows with what is made up in patches where there is no lesion.

nnU-Net's Dice with smooth 0 is 0 in such a patch whatever is predicted, and cross-entropy is a mean over all voxels, in
which a made-up lesion of a milliliter hardly counts. More than half of FDG studies have no lesion at all.
"""

from collections.abc import Sequence

import torch
from torch import nn

from lesionclick.model.unet import CLASSES as LESION_CLASSES
from lesionclick_training.data.nnunet_layout import UNKNOWN
from lesionclick_training.nnunet.organ_supervision import lesion_target

TOP_SHARE = 0.001
"""Share of a patch's voxels that counts: 110 of 48 x 48 x 48, about what is made up when one lesion is."""


class LesionFreeLoss(nn.Module):
    """A loss with deep supervision, plus a penalty of what the finest output makes up where there is no lesion.

    With p the probability of a lesion, N the number of samples, F those of them that have a known voxel and no lesion,
    and T(s) the `TOP_SHARE` of the voxels of s (at least one) with the highest p, of those that are known:

        loss + weight / N * sum over s in F of (mean of p over T(s))
    """

    def __init__(self, loss: nn.Module, weight: float) -> None:
        """Wraps `loss`, from a list of logits and one of stored segmentations, finest first, to a scalar."""
        super().__init__()
        self.loss = loss
        self.weight = weight

    def forward(self, outputs: Sequence[torch.Tensor], segmentations: Sequence[torch.Tensor]) -> torch.Tensor:
        """The loss; in float32, whatever the network computes in.

        Args:
            outputs: logits, finest first: (batch, 2 or more, z, y, x), those of lesions in front.
            segmentations: as stored, (batch, 1 or more, z, y, x), lesions in front.

        Returns:
            A scalar.
        """
        loss: torch.Tensor = self.loss(outputs, segmentations)
        return loss + self.weight * penalize_made_up(outputs[0], segmentations[0])


def penalize_made_up(output: torch.Tensor, segmentation: torch.Tensor) -> torch.Tensor:
    """The sum of `LesionFreeLoss` over N, without the weight; a scalar of 0 to 1, 0 where every sample has a lesion."""
    target = lesion_target(segmentation)[:, 0].flatten(1)
    known = target != UNKNOWN
    free = known.any(1) & ~(target == 1).any(1)
    probability = output[:, :LESION_CLASSES].float().softmax(1)[:, 1].flatten(1).masked_fill(~known, 0)
    count = max(1, round(TOP_SHARE * target.shape[1]))
    return (probability.topk(count, dim=1).values.mean(1) * free).sum() / len(free)
