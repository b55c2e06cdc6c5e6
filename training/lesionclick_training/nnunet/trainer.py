"""The trainer: nnU-Net's, with clicks drawn online, PET/CT misalignment and organ supervision (arXiv 2508.21680).

The variants in `lesionclick_training.trainers` say how clicks are shown; everything else is here. nnU-Net's command
line has no options for the following, so environment variables set them:

LESIONCLICK_EPOCHS          epochs, default 1000
LESIONCLICK_ITERATIONS      training iterations an epoch, default 250
LESIONCLICK_VAL_ITERATIONS  validation iterations an epoch, default 50
LESIONCLICK_INITIAL_LR      initial learning rate, default 0.001, the published one, for fine-tuning; nnU-Net's own, for
                            networks that start from nothing, is 0.01
LESIONCLICK_OPTIMIZER       SGD, the published one and the default, or AdamW, with which a short training finds lesions
                            sooner (initial learning rate 0.001)
LESIONCLICK_OVERSAMPLE_FOREGROUND
                            share of the patches that lie round a lesion, default 0.33, nnU-Net's own; with 1 a short
                            training finds lesions sooner
LESIONCLICK_ORGAN_WEIGHT    of the organs' loss beside that of the lesions, default 1, the published one; a network that
                            starts from nothing finds lesions far sooner with 0.1
LESIONCLICK_LESION_HEADS    a checkpoint to take the lesion heads from, which nnU-Net's option -pretrained_weights
                            leaves fresh; default none. `lesionclick-train train --pretrained` and `table` set it for a
                            network of ours
LESIONCLICK_SEED            seed of weights, patches, augmentation and clicks, default none. Two trainings are alike,
                            but for rounding, only on the CPU and with nnUNet_n_proc_DA=0, since nnU-Net leaves the
                            seeds of its augmentation processes to chance
"""

import json
import math
import os
import random
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTransform
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import nn

from lesionclick.errors import LesionClickError
from lesionclick.model.checkpoint import read_checkpoint
from lesionclick.model.encoding import Encoding
from lesionclick_training.augmentation.draw_clicks import DrawClicks
from lesionclick_training.augmentation.misalignment import PETCTMisalignment
from lesionclick_training.nnunet.organ_supervision import (
    LESION_HEADS,
    LesionOrganLoss,
    add_organ_heads,
    expect_few_lesions,
    lesion_target,
)

INITIAL_LR = 1e-3  # arXiv 2508.21680

CLICK_CHANNELS = 2  # tumour clicks, background clicks


class LesionClickTrainer(nnUNetTrainer):
    """Trains a network of CT, PET and two channels of clicks for lesions, with organs as a second task.

    Attributes:
        encoding: how clicks are shown; None for a network of CT and PET alone.
        custom_probability: share of the training samples whose clicks follow the custom scheme; the others follow the
            challenge's.
    """

    encoding: ClassVar[Encoding | None] = None
    custom_probability: ClassVar[float] = 0.0

    num_epochs: int
    num_iterations_per_epoch: int
    num_val_iterations_per_epoch: int
    oversample_foreground_percent: float

    def initialize(self) -> None:
        """Builds network, optimizer and loss, with the numbers that the environment gives.

        Raises:
            LesionClickError: a variable of the environment is not of its kind, or names a checkpoint of other heads.
        """
        self.num_epochs = _whole_number("LESIONCLICK_EPOCHS", self.num_epochs)
        self.num_iterations_per_epoch = _whole_number("LESIONCLICK_ITERATIONS", self.num_iterations_per_epoch)
        self.num_val_iterations_per_epoch = _whole_number(
            "LESIONCLICK_VAL_ITERATIONS", self.num_val_iterations_per_epoch
        )
        self.initial_lr = _share("LESIONCLICK_INITIAL_LR", INITIAL_LR)
        self.oversample_foreground_percent = _share(
            "LESIONCLICK_OVERSAMPLE_FOREGROUND", self.oversample_foreground_percent
        )
        if "LESIONCLICK_SEED" in os.environ:
            _seed_everything(_whole_number("LESIONCLICK_SEED", 0, minimum=0) + self.local_rank)
        super().initialize()
        if "LESIONCLICK_LESION_HEADS" in os.environ:
            _take_lesion_heads(self.network, Path(os.environ["LESIONCLICK_LESION_HEADS"]))
        if self.device.type == "cpu":
            self._autocast_on_cpu()

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, Any]:
        """nnU-Net's SGD or, if the environment says so, AdamW; with its schedule of learning rates in either case."""
        name = os.environ.get("LESIONCLICK_OPTIMIZER", "SGD")
        if name not in ("SGD", "AdamW"):
            raise LesionClickError(f"LESIONCLICK_OPTIMIZER is {name!r}, expected SGD or AdamW")
        if name == "SGD":
            sgd: tuple[torch.optim.Optimizer, Any] = super().configure_optimizers()
            return sgd
        optimizer = torch.optim.AdamW(self.network.parameters(), self.initial_lr, weight_decay=self.weight_decay)
        return optimizer, PolyLRScheduler(optimizer, self.initial_lr, self.num_epochs)

    def _autocast_on_cpu(self) -> None:
        """Lets the network compute in bfloat16 where the CPU can, which nnU-Net does on CUDA alone.

        The weights stay channels first: with the channels last, which is a fifth faster, oneDNN's bfloat16 gradients of
        kernels on small grids are at times NaN (torch 2.15).
        """
        if torch.cpu._is_avx512_bf16_supported():
            self.network.forward = torch.autocast("cpu", torch.bfloat16)(self.network.forward)
            self.print_to_log_file("The network computes in bfloat16 where autocast allows it.")
        else:
            self.print_to_log_file("The network computes in float32: this CPU has no bfloat16 instructions.")

    @classmethod
    def build_network_architecture(
        cls,
        plans_manager: Any,
        configuration_manager: Any,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """The network of the plans, with channels for clicks and heads for organs.

        Args:
            plans_manager: nnU-Net's.
            configuration_manager: nnU-Net's.
            num_input_channels: those of the dataset, CT and PET; the clicks' come on top.
            num_output_channels: lesion classes, background included.
            enable_deep_supervision: whether the network returns a list of outputs, finest first.
        """
        channels = num_input_channels + (CLICK_CHANNELS if cls.encoding is not None else 0)
        network = nnUNetTrainer.build_network_architecture(
            plans_manager, configuration_manager, channels, num_output_channels, enable_deep_supervision
        )
        expect_few_lesions(network)
        add_organ_heads(network)
        return network

    def _build_loss(self) -> nn.Module:
        """nnU-Net's Dice + cross-entropy with deep supervision, its Dice with smooth 0, for lesions and for organs."""
        loss = super()._build_loss()
        loss.loss.dc.smooth = 0.0
        loss.loss = LesionOrganLoss(loss.loss, _share("LESIONCLICK_ORGAN_WEIGHT", 1.0))
        return loss

    @classmethod
    def get_training_transforms(cls, *arguments: Any, **named_arguments: Any) -> BasicTransform:
        """nnU-Net's augmentation, after misalignment and with clicks.

        nnU-Net's loader makes its batches of the shapes that come out: images of 4 channels.
        """
        pipeline = nnUNetTrainer.get_training_transforms(*arguments, **named_arguments)
        pipeline.transforms.insert(0, PETCTMisalignment())
        return cls._with_clicks(pipeline)

    @classmethod
    def get_validation_transforms(cls, *arguments: Any, **named_arguments: Any) -> BasicTransform:
        """nnU-Net's own, with clicks drawn as in training."""
        return cls._with_clicks(nnUNetTrainer.get_validation_transforms(*arguments, **named_arguments))

    @classmethod
    def _with_clicks(cls, pipeline: ComposeTransforms) -> ComposeTransforms:
        """Draws clicks after all that changes the image, while label -1 still tells what lies outside of it."""
        if cls.encoding is not None:
            (end,) = (i for i, each in enumerate(pipeline.transforms) if isinstance(each, RemoveLabelTransform))
            pipeline.transforms.insert(end, DrawClicks(cls.encoding, cls.custom_probability))
        return pipeline

    def on_train_start(self) -> None:
        """Adds to plans.json and dataset.json, which make a model folder, how clicks are shown: prompt.json."""
        super().on_train_start()
        if self.encoding is not None and self.local_rank == 0:
            document = json.dumps(self.encoding.to_json())
            Path(self.output_folder_base, "prompt.json").write_text(document + "\n")

    def validation_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """nnU-Net's loss and pseudo Dice of one batch, for lesions alone."""
        return super().validation_step({**batch, "target": [lesion_target(each) for each in batch["target"]]})

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """Says how to validate: nnU-Net's own sliding window knows of no clicks, the engine of `lesionclick` does."""
        self.print_to_log_file(
            "Not validated on whole images, since nnU-Net's validation gives no clicks:"
            " `lesionclick-train validate` does it, with clicks."
        )


def _whole_number(name: str, default: int, minimum: int = 1) -> int:
    """A setting from the environment, or its default."""
    text = os.environ.get(name)
    if text is None:
        return default
    if not text.isdecimal() or int(text) < minimum:
        raise LesionClickError(f"{name} is {text!r}, expected a whole number of at least {minimum}")
    return int(text)


def _share(name: str, default: float) -> float:
    """A setting from the environment, or its default."""
    text = os.environ.get(name, str(default))
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0 < share <= 1:
        raise LesionClickError(f"{name} is {text!r}, expected a number above 0 and at most 1")
    return share


def _take_lesion_heads(network: nn.Module, checkpoint: Path) -> None:
    """Takes them from a checkpoint of another training, whatever nnU-Net wraps the network in."""
    for wrapping in ("module", "_orig_mod"):
        network = getattr(network, wrapping, network)
    weights = read_checkpoint(checkpoint)["network_weights"]
    heads = {name: value for name, value in weights.items() if name.startswith(LESION_HEADS)}
    own = {name: value for name, value in network.state_dict().items() if name.startswith(LESION_HEADS)}
    if {name: value.shape for name, value in heads.items()} != {name: value.shape for name, value in own.items()}:
        raise LesionClickError(f"{checkpoint}: has other lesion heads than the network to train")
    network.load_state_dict(heads, strict=False)


def _seed_everything(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
