"""Pretrained weights to start a training from: MultiTalent's, or those of a network of this project.

nnU-Net's option -pretrained_weights takes a checkpoint only where every tensor but the lesion heads has the name and
shape of the new network's. `write_pretrained` makes such a checkpoint of

- a MultiTalent checkpoint, which has one stem a dataset, `encoder.stem.<id>.*`: the stem of one dataset is taken, no
  head is (arXiv 2508.21680);
- a checkpoint of this project with two or four input channels: all is taken. nnU-Net's option starts lesion heads
  afresh whatever the file holds; the setting `lesion_heads` takes them too, which a short training needs.

Where the stem has two input channels, CT and PET, and the new network four, the click channels keep their fresh
weights.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from torch import nn

from lesionclick.errors import ModelError
from lesionclick.files import replacing
from lesionclick.model.checkpoint import read_checkpoint
from lesionclick.model.unet import CLASSES as LESION_CLASSES
from lesionclick_training.nnunet.job import AUTOPET_STEM
from lesionclick_training.nnunet.network_sizes import CONFIGURATION
from lesionclick_training.nnunet.organ_supervision import LESION_HEADS, ORGAN_HEADS
from lesionclick_training.nnunet.trainer import LesionClickTrainer

logger = logging.getLogger("lesionclick")

STEM_KERNEL = "encoder.stem.convs.0.conv.weight"

IMAGE_CHANNELS = 2  # CT, PET


@dataclass(frozen=True)
class Transfer:
    """Names of a network's parameters by where their values come from.

    Attributes:
        taken: from the checkpoint.
        widened: from the checkpoint for CT and PET, fresh for the clicks.
        fresh: as the network was initialized.
    """

    taken: tuple[str, ...]
    widened: tuple[str, ...]
    fresh: tuple[str, ...]


def transfer_weights(checkpoint: Path, network: nn.Module, stem: int = AUTOPET_STEM) -> Transfer:
    """Gives a network the weights of a checkpoint, read without running code from it.

    Args:
        checkpoint: of MultiTalent or of this project.
        network: one of a `LesionClickTrainer`; changed in place.
        stem: number of the dataset whose stem is taken, where the checkpoint has one a dataset.

    Returns:
        What came across; it is logged too.

    Raises:
        ModelError: the checkpoint cannot be read, has another architecture or no such stem.
    """
    weights, per_dataset = _choose_stem(checkpoint, read_checkpoint(checkpoint)["network_weights"], stem)
    heads = (LESION_HEADS, ORGAN_HEADS) if per_dataset else ()
    taken: list[str] = []
    widened: list[str] = []
    fresh: list[str] = []
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.startswith(heads):
                fresh.append(name)
                continue
            if name not in weights:
                raise ModelError(f"{checkpoint}: lacks the tensor {name} of the network to train")
            value = weights[name]
            widen = name == STEM_KERNEL and value.shape[1] == IMAGE_CHANNELS < parameter.shape[1]
            target = parameter[:, :IMAGE_CHANNELS] if widen else parameter
            if value.shape != target.shape:
                raise ModelError(
                    f"{checkpoint}: {name} has the shape {tuple(value.shape)}, the network to train has"
                    f" {tuple(target.shape)}"
                )
            target.copy_(value)
            (widened if widen else taken).append(name)
    result = Transfer(tuple(taken), tuple(widened), tuple(fresh))
    logger.info("%s: %d parameters taken", checkpoint, len(taken))
    logger.info("taken for CT and PET, fresh for the clicks: %s", ", ".join(widened) or "none")
    logger.info("fresh: %s", ", ".join(fresh) or "none")
    return result


def _choose_stem(
    checkpoint: Path, weights: Mapping[str, torch.Tensor], stem: int
) -> tuple[dict[str, torch.Tensor], bool]:
    """Weights with one stem, named as nnU-Net's, and whether they came with one a dataset."""
    pattern = re.compile(r"encoder\.stem\.(\d+)\.")
    found = {int(match[1]) for match in map(pattern.match, weights) if match}
    if not found:
        return dict(weights), False
    if stem not in found:
        raise ModelError(f"{checkpoint}: has no stem for dataset {stem}, it has those of {sorted(found)}")
    return {name.replace(f"encoder.stem.{stem}.", "encoder.stem.", 1): value for name, value in weights.items()}, True


def write_pretrained(
    checkpoint: Path, plans: Path, trainer: type[LesionClickTrainer], out: Path, stem: int = AUTOPET_STEM
) -> Transfer:
    """Writes a checkpoint for nnU-Net's option -pretrained_weights.

    Args:
        checkpoint: of MultiTalent or of this project.
        plans: the plans file of the training to come.
        trainer: its trainer.
        out: the file to write.
        stem: as for `transfer_weights`.

    Returns:
        What came across from `checkpoint`.

    Raises:
        ModelError: as `transfer_weights`.
        CaseError: `out` cannot be written.
    """
    manager = PlansManager(str(plans))
    configuration = manager.get_configuration(CONFIGURATION)
    network = trainer.build_network_architecture(manager, configuration, IMAGE_CHANNELS, LESION_CLASSES)
    result = transfer_weights(checkpoint, network, stem)
    with replacing(out) as temporary:
        torch.save({"network_weights": network.state_dict()}, temporary)
    return result
