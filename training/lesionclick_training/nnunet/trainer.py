"""Trainer: nnU-Net's, with clicks drawn online, PET/CT misalignment and organ supervision (arXiv 2508.21680).

The variants in `lesionclick_training.trainers` say how clicks are shown; everything else is here. nnU-Net's command
line has no options for the settings of `TrainingSettings`, so the trainer takes them from the environment.
"""

import json
import random
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.random import RandomTransform
from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTransform
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import nn

from lesionclick.errors import LesionClickError
from lesionclick.files import replacing
from lesionclick.model.checkpoint import read_checkpoint
from lesionclick.model.encoding import Encoding
from lesionclick.model.files import PROMPT_FILE
from lesionclick_training.augmentation.choices import Augmentation
from lesionclick_training.augmentation.draw_clicks import DrawClicks
from lesionclick_training.augmentation.intensities import PET_CHANNEL, Intensities
from lesionclick_training.augmentation.misalignment import PETCTMisalignment
from lesionclick_training.augmentation.strong import strong_transforms
from lesionclick_training.augmentation.unknown_outside import UnknownOutside
from lesionclick_training.augmentation.vary_contours import VaryContours
from lesionclick_training.data.nnunet_layout import UNKNOWN
from lesionclick_training.nnunet.balanced_components import BalancedComponents
from lesionclick_training.nnunet.corrective_clicks import with_corrective_clicks
from lesionclick_training.nnunet.hot_background import HotBackground
from lesionclick_training.nnunet.lesion_free_loss import LesionFreeLoss
from lesionclick_training.nnunet.organ_supervision import (
    LESION_HEADS,
    LesionOrganLoss,
    add_organ_heads,
    init_lesion_bias,
    leave_out_unknown,
    lesion_target,
)
from lesionclick_training.nnunet.repeated_cases import RepeatedCases, parse_repetition
from lesionclick_training.nnunet.settings import Optimizer, TrainingSettings
from lesionclick_training.nnunet.taught_loss import TaughtLoss
from lesionclick_training.nnunet.teacher import Teacher

CLICK_CHANNELS = 2  # tumor clicks, background clicks


class LesionClickTrainer(nnUNetTrainer):  # type: ignore[misc]  # nnU-Net has no types
    """Trains a network of CT, PET and two channels of clicks for lesions, with organs as a second task.

    Attributes:
        encoding: how clicks are shown; None for a network of CT and PET alone.
        custom_probability: share of the training samples whose clicks follow the custom scheme; the others follow the
            challenge's.
    """

    encoding: ClassVar[Encoding | None] = None
    custom_probability: ClassVar[float] = 0.0

    def initialize(self) -> None:
        """Builds network, optimizer and loss, with the settings that the environment gives.

        Raises:
            LesionClickError: a variable of the environment is not of its kind, or names a checkpoint of other heads or
                a teacher that takes other inputs.
        """
        self.settings = TrainingSettings.from_environment()
        self.num_epochs = self.settings.epochs
        self.num_iterations_per_epoch = self.settings.iterations
        self.num_val_iterations_per_epoch = self.settings.val_iterations
        self.save_every: int = min(50, max(1, self.num_epochs // 10))  # nnU-Net's 50; a short training is killed, too
        self.initial_lr = self.settings.initial_lr
        self.oversample_foreground_percent = self.settings.oversample_foreground
        if self.settings.seed is not None:
            _seed_everything(self.settings.seed + self.local_rank)
        super().initialize()
        self.print_to_log_file(f"Settings: {self.settings}", also_print_to_console=False)
        if self.settings.lesion_heads is not None:
            _load_lesion_heads(self.network, self.settings.lesion_heads)
        self.teacher: Teacher | None = None
        if self.settings.teacher is not None:
            self.teacher = Teacher.load(self.settings.teacher, self.plans_manager.plans, self.encoding, self.device)
        if self.device.type == "cpu":
            self._autocast_on_cpu()

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, Any]:
        """nnU-Net's SGD or, if the settings say so, AdamW; with its schedule of learning rates in either case."""
        if self.settings.optimizer == Optimizer.SGD:
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
        network: nn.Module = nnUNetTrainer.build_network_architecture(
            plans_manager, configuration_manager, channels, num_output_channels, enable_deep_supervision
        )
        init_lesion_bias(network)
        add_organ_heads(network)
        return network

    def _build_loss(self) -> nn.Module:
        """nnU-Net's Dice + cross-entropy with deep supervision, its Dice with smooth 0, for lesions and for organs.

        Voxels that are unknown to one of the two tasks are left out of its loss. Where the settings say so, a teacher
        has a share of the lesions' loss, and lesions made up in patches without any are penalized on top.
        """
        loss = super()._build_loss()
        loss.loss.dc.smooth = 0.0
        leave_out_unknown(loss.loss)
        organ_weight, teacher_weight = self.settings.organ_weight, self.settings.teacher_weight
        if self.settings.teacher is None:
            loss.loss = LesionOrganLoss(loss.loss, organ_weight)
        else:
            loss.loss = TaughtLoss(loss.loss, organ_weight, teacher_weight)
        of_both: nn.Module = loss
        weight = self.settings.lesion_free_loss
        return LesionFreeLoss(of_both, weight) if weight else of_both

    def get_tr_and_val_datasets(self) -> tuple[Any, Any]:
        """nnU-Net's own; where the settings say so, cases are repeated and patches lie elsewhere in training."""
        training, validation = super().get_tr_and_val_datasets()
        if self.settings.repeat_cases is not None:
            training = RepeatedCases(training, *parse_repetition(self.settings.repeat_cases))
        if self.settings.balance_components:
            training = BalancedComponents(training)
        if self.settings.hot_background:
            training = HotBackground(training, self.settings.hot_background)
        return training, validation

    def get_training_transforms(self, *arguments: Any, **named_arguments: Any) -> BasicTransform:
        """nnU-Net's augmentation, after misalignment and with clicks; with strong changes where the settings say so.

        nnU-Net's loader makes its batches of the shapes that come out: images of 4 channels.
        """
        pipeline = nnUNetTrainer.get_training_transforms(*arguments, **named_arguments)
        if self.settings.augmentation == Augmentation.strong:
            (turn,) = (i for i, each in enumerate(pipeline.transforms) if isinstance(each, SpatialTransform))
            intensities = self.plans_manager.foreground_intensity_properties_per_channel
            pipeline.transforms[turn + 1 : turn + 1] = strong_transforms(intensities)
        pipeline.transforms.insert(0, PETCTMisalignment())
        self._with_clicks(pipeline)
        share = self.settings.contour_variation
        if share:
            (clicks,) = (i for i, each in enumerate(pipeline.transforms) if isinstance(each, UnknownOutside))
            pipeline.transforms.insert(clicks, RandomTransform(VaryContours(), apply_probability=share))
        return pipeline

    def get_validation_transforms(self, *arguments: Any, **named_arguments: Any) -> BasicTransform:
        """nnU-Net's own, with clicks drawn as in training."""
        return self._with_clicks(nnUNetTrainer.get_validation_transforms(*arguments, **named_arguments))

    def _with_clicks(self, pipeline: ComposeTransforms) -> ComposeTransforms:
        """Draws clicks after all that changes the image, while label -1 still tells what lies outside of it."""
        (end,) = (i for i, each in enumerate(pipeline.transforms) if isinstance(each, RemoveLabelTransform))
        if self.encoding is not None:
            clicks = DrawClicks(
                self.encoding,
                self.custom_probability,
                offset=self.settings.click_offset,
                counts=self.settings.click_counts,
                dropout=self.settings.click_dropout,
                scribbles=self.settings.scribbles,
                pet=self._pet_intensities() if self.encoding.needs_suv else None,
            )
            pipeline.transforms.insert(end, clicks)
        pipeline.transforms.insert(end, UnknownOutside())
        return pipeline

    def _pet_intensities(self) -> Intensities:
        return Intensities.from_plans(self.plans_manager.foreground_intensity_properties_per_channel[str(PET_CHANNEL)])

    def on_train_start(self) -> None:
        """Adds to plans.json and dataset.json, which make a model folder, how clicks are shown: prompt.json."""
        super().on_train_start()
        if self.encoding is not None and self.local_rank == 0:
            with replacing(Path(self.output_folder_base, PROMPT_FILE)) as temporary:
                temporary.write_text(json.dumps(self.encoding.to_json()) + "\n")

    def save_checkpoint(self, filename: str) -> None:
        """Writes a checkpoint whole or not at all: a killed training goes on from the one before."""
        partial = Path(f"{filename}.partial")  # always the same name, so that kills do not pile files up
        super().save_checkpoint(str(partial))
        if self.local_rank == 0 and not self.disable_checkpointing:
            partial.replace(filename)

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """nnU-Net's own; with clicks in the network's own errors, and a teacher, where the settings say so."""
        share = self.settings.corrective_clicks
        if share and self.encoding is not None:
            data = batch["data"].to(self.device, non_blocking=True)
            lesion = lesion_target(batch["target"][0])[:, 0]
            generator = np.random.default_rng(np.random.randint(2**32, size=4, dtype=np.uint32))
            pet = self._pet_intensities() if self.encoding.needs_suv else None
            data = with_corrective_clicks(self.network, data, lesion, self.encoding, share, generator, pet)
            batch = {**batch, "data": data}
        if self.teacher is not None:
            data, *targets = (each.to(self.device, non_blocking=True) for each in (batch["data"], *batch["target"]))
            batch = {**batch, "data": data, "target": self.teacher.append_to(targets, data)}
        done: dict[str, Any] = super().train_step(batch)
        return done

    def validation_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The loss and what nnU-Net's pseudo Dice counts in one batch, for lesions alone, without what is unknown.

        Returns:
            As nnU-Net's own, whose counts would fail at an unknown voxel: `loss`, and lesion voxels found (`tp_hard`),
            made up (`fp_hard`) and missed (`fn_hard`).
        """
        targets = [lesion_target(each).to(self.device, non_blocking=True) for each in batch["target"]]
        with torch.autocast(self.device.type, enabled=self.device.type == "cuda"):
            outputs = self.network(batch["data"].to(self.device, non_blocking=True))
            loss = self.loss(outputs, targets)
        predicted, true = outputs[0].argmax(1, keepdim=True) == 1, targets[0] == 1
        known = targets[0] != UNKNOWN
        counts = {"tp_hard": predicted & true, "fp_hard": predicted & ~true & known, "fn_hard": ~predicted & true}
        return {
            "loss": loss.detach().cpu().numpy(),
            **{name: voxels.sum().reshape(1).cpu().numpy() for name, voxels in counts.items()},
        }

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """Says how to validate: nnU-Net's own sliding window knows of no clicks, the engine of `lesionclick` does."""
        self.print_to_log_file(
            "Not validated on whole images, since nnU-Net's validation gives no clicks:"
            " `lesionclick-train validate` does it, with clicks."
        )


def _load_lesion_heads(network: nn.Module, checkpoint: Path) -> None:
    """Gives a network, whatever nnU-Net wraps it in, the lesion heads of a checkpoint of another training."""
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
