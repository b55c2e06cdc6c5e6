"""Job: which network to train, and what to start it from."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lesionclick_training.nnunet.network_sizes import NetworkSize
from lesionclick_training.nnunet.variants import Variant

AUTOPET_STEM = 221
"""Number of autoPET among the datasets of MultiTalent, each of which has a stem of its own (arXiv 2508.21680)."""


class Device(StrEnum):
    """Where a network is trained, by torch's names."""

    cpu = "cpu"
    cuda = "cuda"


@dataclass(frozen=True)
class TrainingJob:
    """One network to train.

    Attributes:
        dataset: number of a preprocessed dataset.
        fold: number of a fold of its cross-validation, or "all".
        variant: how clicks are drawn and shown.
        size: of the network.
        device: where to train.
        pretrained: a checkpoint of MultiTalent or of this project to start from; None to start from nothing.
        stem: number of the dataset whose stem is taken, where that checkpoint has one a dataset.
        num_gpus: number of GPUs that nnU-Net splits each batch over, which is no more than the batch has samples.
    """

    dataset: int
    fold: str
    variant: Variant
    size: NetworkSize = NetworkSize.published
    device: Device = Device.cuda
    pretrained: Path | None = None
    stem: int = AUTOPET_STEM
    num_gpus: int = 1
