"""Tiny trainings: four small cases, preprocessed within seconds, and a network of four stages."""

import contextlib
import multiprocessing
import os
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import SimpleITK as sitk
import torch
from nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor import DatasetFingerprintExtractor
from nnunetv2.run.run_training import get_trainer_from_args

from lesionclick_training.data.nnunet_layout import stack_label, write_case, write_dataset_json
from lesionclick_training.data.splits import write_splits
from lesionclick_training.nnunet.job import Device, TrainingJob
from lesionclick_training.nnunet.network_sizes import CONFIGURATION, PLANS, NetworkPlan, NetworkSize
from lesionclick_training.nnunet.preprocessing import preprocess
from lesionclick_training.nnunet.settings import TrainingSettings
from lesionclick_training.nnunet.trainer import LesionClickTrainer
from lesionclick_training.nnunet.variants import Variant
from lesionclick_training.nnunet.workspace import Workspace

DATASET = 901

SHAPE = (26, 30, 28)

TINY = NetworkPlan("TinyPlans", (5.0, 5.0, 5.0), (16, 16, 16), features=(4, 8, 8, 8), blocks=(1, 1, 1, 1))

CASES = ("case_0", "case_1", "case_2", "case_3")

SPLIT = {"train": CASES[:3], "val": CASES[3:]}

SHORT = TrainingSettings(epochs=2, iterations=2, val_iterations=1)


def make_volumes(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """CT, PET and stored label of a case: a hot lesion in a liver, and a lung; that of seed 0 has no lesion."""
    generator = np.random.default_rng(seed)
    z, y, x = np.indices(SHAPE)
    liver = (z - 12) ** 2 + (y - 15) ** 2 + (x - 14) ** 2 <= 64
    lesion = (z - 12) ** 2 + (y - 15) ** 2 + (x - 14 - seed) ** 2 <= (9 if seed else -1)
    organ = np.where(liver, 3, np.where(z > 21, 5, 0)).astype(np.uint8)
    ct = generator.normal(0, 20, SHAPE) + 60 * liver - 800 * (z > 21)
    pet = generator.gamma(2, 0.5, SHAPE) + 2 * liver + 10 * lesion
    return ct.astype(np.float32), pet.astype(np.float32), stack_label(lesion, organ)


def make_image(array_zyx: np.ndarray) -> sitk.Image:
    """An image with the spacing of the tiny plan."""
    image = sitk.GetImageFromArray(array_zyx)
    image.SetSpacing(TINY.spacing[::-1])
    return image


def write_tiny_dataset(dataset: Path, names: Sequence[str] = CASES, first_seed: int = 0) -> None:
    """Writes cases of `make_volumes` with their dataset.json, which describes them as "for tests"."""
    for seed, name in enumerate(names, first_seed):
        ct, pet, label = make_volumes(seed)
        write_case(dataset, name, make_image(ct), make_image(pet), label)
    write_dataset_json(dataset, "for tests")


def make_workspace(root: Path) -> Workspace:
    """A workspace with the cases `CASES`, split in two folds that are alike, preprocessed for the tiny network."""
    workspace = Workspace(root)
    dataset = workspace.raw / f"Dataset{DATASET}_Tiny"
    write_tiny_dataset(dataset)
    write_splits(dataset, [SPLIT, SPLIT])
    with tiny_environment(), quick_preprocessing():
        preprocess(workspace, DATASET, NetworkSize.small, processes=1)
    return workspace


@contextlib.contextmanager
def tiny_environment() -> Iterator[None]:
    """Takes the tiny plan for the small one and one thread for everything, as long as the block runs.

    What the block does to the environment is undone in the end.
    """
    threads = torch.get_num_threads()
    with mock.patch.dict(PLANS, {NetworkSize.small: TINY}), mock.patch.dict(os.environ):
        os.environ.update(nnUNet_n_proc_DA="0", MPLBACKEND="agg")
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


@contextlib.contextmanager
def quick_fingerprints() -> Iterator[None]:
    """Lets nnU-Net take intensities from 40 000 voxels in place of 100 million, however few a dataset has."""
    init = DatasetFingerprintExtractor.__init__

    def init_for_few_voxels(self: Any, *arguments: Any, **named_arguments: Any) -> None:
        init(self, *arguments, **named_arguments)
        self.num_foreground_voxels_for_intensitystats = 40_000

    with mock.patch.object(DatasetFingerprintExtractor, "__init__", init_for_few_voxels):
        yield


@contextlib.contextmanager
def quick_preprocessing() -> Iterator[None]:
    """Lets nnU-Net preprocess in threads, where each process would load torch anew, with quick fingerprints."""
    pools = SimpleNamespace(Pool=ThreadPool)
    with quick_fingerprints(), mock.patch.object(multiprocessing, "get_context", return_value=pools):
        yield


def make_job(variant: Variant, fold: int | str = 0, pretrained: Path | None = None) -> TrainingJob:
    """A training of the tiny network on the CPU."""
    return TrainingJob(DATASET, str(fold), variant, NetworkSize.small, Device.cpu, pretrained)


def make_trainer(
    workspace: Workspace, variant: Variant = Variant.EDT2_Custom, settings: TrainingSettings | None = None
) -> LesionClickTrainer:
    """An initialized trainer of fold 0; without settings its seed is 3 and all else has its default."""
    with workspace.exported(), (settings or TrainingSettings(seed=3)).exported():
        trainer: LesionClickTrainer = get_trainer_from_args(
            str(DATASET), CONFIGURATION, 0, variant.trainer_name, TINY.plans_name, device=torch.device("cpu")
        )
        trainer.initialize()
    return trainer


def make_batch(seed: int = 0) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """A random batch: input of 4 channels and targets for deep supervision, at full, half and quarter size."""
    generator = torch.Generator().manual_seed(seed)
    data = torch.randn((2, 4, 16, 16, 16), generator=generator)
    targets = []
    for size in (16, 8, 4):
        lesion = torch.randint(0, 2, (2, 1, size, size, size), generator=generator)
        organ = torch.randint(1, 12, (2, 1, size, size, size), generator=generator)
        targets.append(torch.cat([lesion, torch.where(organ == 1, 0, organ)], dim=1).to(torch.int16))
    return data, targets


def read_weights(model: Path, fold: int | str = 0) -> dict[str, torch.Tensor]:
    """The weights of a trained network."""
    path = model / f"fold_{fold}" / "checkpoint_final.pth"
    weights: dict[str, torch.Tensor] = torch.load(path, weights_only=False)["network_weights"]
    return weights


def write_multitalent(
    path: Path, network: Mapping[str, torch.Tensor], stems: Mapping[int, int]
) -> dict[str, torch.Tensor]:
    """Writes a MultiTalent-format checkpoint: stems (number -> input channels), lesion heads of other datasets."""
    generator = torch.Generator().manual_seed(7)
    weights: dict[str, torch.Tensor] = {}
    for name, value in network.items():
        before, is_stem, after = name.partition("encoder.stem.")
        if is_stem:
            for number, channels in stems.items():
                shape = (value.shape[0], channels, *value.shape[2:]) if value.ndim == 5 else value.shape
                weights[f"{before}encoder.stem.{number}.{after}"] = torch.randn(shape, generator=generator)
        elif "organ_seg_layers" not in name:
            weights[name] = torch.randn(value.shape, generator=generator)
    torch.save({"network_weights": weights, "trainer_name": "MultiTalent", "current_epoch": np.float64(1)}, path)
    return weights
