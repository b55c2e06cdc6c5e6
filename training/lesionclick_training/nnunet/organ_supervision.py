"""Organ supervision: heads for organs beside those for lesions, and the loss of both.

Lesions are rare: heads that start at even odds first learn to call everything background, and in a short training stay
there. So lesion heads start at the odds of a rare class.

Organs are a second task for training alone. Their heads lie at `decoder.organ_seg_layers.<i>`, one for each resolution
of deep supervision, beside nnU-Net's own `decoder.seg_layers.<i>`; evaluation and inference never run them.

Unknown is not absent: of voxels where nobody knows whether there is a lesion, or which organ there is, that task learns
nothing.
"""

from functools import partial

import torch
from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet
from dynamic_network_architectures.building_blocks.unet_decoder import UNetDecoder
from nnunetv2.training.loss.compound_losses import DC_and_CE_loss
from torch import nn

from lesionclick.model.unet import CLASSES as LESION_CLASSES
from lesionclick_training.data.nnunet_layout import ORGANS, UNKNOWN

LESION_HEADS, ORGAN_HEADS = "decoder.seg_layers.", "decoder.organ_seg_layers."

ORGAN_CLASSES = len(ORGANS) + 1  # none of them is 0

LESION_LOGIT = -6.0
"""What fresh lesion heads say of every voxel, lesion minus background: a probability of 1 in 400, about the share of
lesion voxels in a training patch."""


def init_lesion_bias(network: ResidualEncoderUNet) -> None:
    """Sets the biases of the lesion heads of a fresh network, which are 0, to `LESION_LOGIT`; changed in place."""
    with torch.no_grad():
        for head in network.decoder.seg_layers:
            head.bias.copy_(torch.tensor([-LESION_LOGIT / 2, LESION_LOGIT / 2]))


def add_organ_heads(network: ResidualEncoderUNet) -> None:
    """Gives a U-Net of nnU-Net heads for organs, 1x1x1 convolutions to 11 classes.

    While the network trains with deep supervision, each of its outputs, of shape (batch, 2, z, y, x), is followed along
    the channels by the organs' logits of that resolution: (batch, 13, z, y, x). In evaluation, and without deep
    supervision, the outputs stay those of the lesions.

    Args:
        network: for lesions alone, as nnU-Net builds it from plans; changed in place.
    """
    decoder = network.decoder
    decoder.organ_seg_layers = nn.ModuleList(
        type(head)(head.in_channels, ORGAN_CLASSES, kernel_size=1) for head in decoder.seg_layers
    )
    decoder.organ_seg_layers.apply(network.initialize)
    for lesion_head, organ_head in zip(decoder.seg_layers, decoder.organ_seg_layers, strict=True):
        lesion_head.register_forward_hook(partial(_append_organs, decoder, organ_head))


def _append_organs(
    decoder: UNetDecoder, organ_head: nn.Module, _: nn.Module, inputs: tuple[torch.Tensor], lesions: torch.Tensor
) -> torch.Tensor:
    """Forward hook of a lesion head: the organs' logits from the same features, behind the lesions'."""
    if not (decoder.training and decoder.deep_supervision):
        return lesions
    return torch.cat([lesions, organ_head(inputs[0])], dim=1)


def lesion_target(segmentation: torch.Tensor) -> torch.Tensor:
    """The lesions, 0, 1 or `UNKNOWN`, of a stored segmentation (batch, 2, z, y, x): shape (batch, 1, z, y, x)."""
    return segmentation[:, :1]


def organ_target(segmentation: torch.Tensor) -> torch.Tensor:
    """The organs of a stored segmentation (batch, 2, z, y, x), where they are one higher than their number.

    Returns:
        0 to 10 or `UNKNOWN`, of shape (batch, 1, z, y, x).
    """
    stored = segmentation[:, 1:2]
    return torch.where(stored == UNKNOWN, UNKNOWN, (stored - 1).clamp_min(0))


def leave_out_unknown(loss: DC_and_CE_loss) -> None:
    """Lets nnU-Net's Dice and cross-entropy leave out voxels whose label is `UNKNOWN`; changed in place.

    nnU-Net's own ignore label would be a class of the dataset, and would change where patches are sampled.
    """
    loss.ignore_label = loss.ce.ignore_index = UNKNOWN


class LesionOrganLoss(nn.Module):
    """One loss, such as Dice + cross-entropy, for lesions plus the same for organs."""

    def __init__(self, loss: nn.Module, organ_weight: float = 1.0) -> None:
        """Wraps `loss`, from logits (batch, classes, z, y, x) and labels (batch, 1, z, y, x) to a scalar."""
        super().__init__()
        self.loss = loss
        self.organ_weight = organ_weight

    def forward(self, output: torch.Tensor, segmentation: torch.Tensor) -> torch.Tensor:
        """The loss at one resolution; in float32, whatever the network computes in.

        Args:
            output: logits, (batch, 13, z, y, x) of a network in training, (batch, 2, z, y, x) of one in evaluation: the
                loss is then that of the lesions.
            segmentation: (batch, 2, z, y, x) as stored; in evaluation the organs' channel may be missing.

        Returns:
            A scalar.
        """
        output = output.float()
        loss = self.lesion_loss(output[:, :LESION_CLASSES], segmentation)
        if output.shape[1] > LESION_CLASSES:
            loss = loss + self.organ_weight * self.loss(output[:, LESION_CLASSES:], organ_target(segmentation))
        return loss

    def lesion_loss(self, output: torch.Tensor, segmentation: torch.Tensor) -> torch.Tensor:
        """The lesions' part, of their logits (batch, 2, z, y, x) and the stored segmentation."""
        loss: torch.Tensor = self.loss(output, lesion_target(segmentation))
        return loss
