"""Labels that are unknown in part, from a raw dataset through nnU-Net's preprocessing to a step of training."""

import logging
from collections.abc import Iterator
from logging.handlers import BufferingHandler
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers_training import (
    CASES,
    DATASET,
    SHAPE,
    SPLIT,
    make_image,
    make_trainer,
    make_volumes,
    quick_preprocessing,
    tiny_environment,
)

from lesionclick_training.data.nnunet_layout import (
    UNKNOWN,
    UNKNOWN_ORGAN,
    stack_label,
    write_case,
    write_dataset_json,
)
from lesionclick_training.data.splits import write_splits
from lesionclick_training.nnunet.network_sizes import NetworkSize
from lesionclick_training.nnunet.preprocessing import preprocess
from lesionclick_training.nnunet.settings import TrainingSettings
from lesionclick_training.nnunet.unknown_labels import UnknownLabels, count_unknown
from lesionclick_training.nnunet.workspace import Workspace

SPACING = (4.0, 6.0, 6.0)  # x, y, z; another than the network's, so that labels are resampled

TOP = slice(18, None)  # slices that nobody looked at for lesions, where these are unknown in part


@pytest.fixture(autouse=True)
def tiny() -> Iterator[None]:
    with tiny_environment():
        yield


def make_label(seed: int, *, organs: str = "known", lesions: str = "known") -> np.ndarray:
    """A stored label of which organs or lesions are known, unknown in part, or unknown."""
    _, _, label = make_volumes(seed)
    organ = np.where(label[1] > 0, label[1] - 1, 0)
    if organs == "part":
        organ[organ == 0] = UNKNOWN_ORGAN
    annotated = np.ones(SHAPE, dtype=bool)
    if lesions == "part":
        annotated[TOP] = False
    return stack_label(label[0], None if organs == "unknown" else organ, annotated)


LABELS = (
    make_label(1, organs="unknown"),
    make_label(2, lesions="part"),
    make_label(3, organs="part"),
    make_label(1, organs="unknown", lesions="part"),
)


@pytest.fixture(scope="module")
def warned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, list[str]]:
    """The workspace and the warnings of its preprocessing."""
    workspace = Workspace(tmp_path_factory.mktemp("root"))
    dataset = workspace.raw / f"Dataset{DATASET}_Tiny"
    for seed, (name, label) in enumerate(zip(CASES, LABELS, strict=True), 1):
        ct, pet = (make_image(volume) for volume in make_volumes(seed)[:2])
        for image in (ct, pet):
            image.SetSpacing(SPACING)
        write_case(dataset, name, ct, pet, label)
    write_dataset_json(dataset)
    write_splits(dataset, [SPLIT])
    handler = BufferingHandler(1000)
    handler.setLevel(logging.WARNING)
    logger = logging.getLogger("lesionclick")
    logger.addHandler(handler)
    try:
        with tiny_environment(), quick_preprocessing():
            preprocess(workspace, DATASET, NetworkSize.small, processes=1)
    finally:
        logger.removeHandler(handler)
    return workspace, [record.getMessage() for record in handler.buffer]


@pytest.fixture(scope="module")
def workspace(warned: tuple[Workspace, list[str]]) -> Workspace:
    return warned[0]


def test_preprocessing_warns_with_numbers(warned: tuple[Workspace, list[str]]) -> None:
    (warning,) = (each for each in warned[1] if "unknown" in each)
    assert "of 4 cases, 2 have no organ label and 1 have one that is unknown in part" in warning
    assert "in 2 it is unknown in part where lesions are" in warning


def test_unknown_labels_are_counted(workspace: Workspace) -> None:
    folder = make_trainer(workspace).preprocessed_dataset_folder
    assert count_unknown(Path(folder)) == UnknownLabels(cases=4, no_organs=2, some_organs=1, some_lesions=2)


def test_preprocessing_keeps_what_is_unknown(workspace: Workspace) -> None:
    training, validation = make_trainer(workspace).get_tr_and_val_datasets()
    stored = {}
    for dataset in (training, validation):
        for name in dataset.identifiers:
            _, segmentation, _, properties = dataset.load_case(name)
            stored[name] = segmentation[:]
            locations = np.array(properties["class_locations"][1])
            assert (stored[name][tuple(locations.T)] == 1).all()
    for name, label in zip(CASES, LABELS, strict=True):
        for channel in range(2):
            assert set(np.unique(stored[name][channel])) == set(np.unique(label[channel]))
            share = (stored[name][channel] == UNKNOWN).mean()
            assert abs(share - (label[channel] == UNKNOWN).mean()) < 0.03


def test_training_and_validation_leave_out_what_is_unknown(workspace: Workspace) -> None:
    trainer = make_trainer(workspace, settings=TrainingSettings(initial_lr=0.05, seed=3))
    train, validate = trainer.get_dataloaders()
    trainer.network.train()
    seen: set[int] = set()
    for _ in range(8):
        drawn = next(train)
        for target in drawn["target"]:
            seen |= set(target.unique().tolist())
            for name, each in zip(drawn["keys"], target, strict=True):
                assert name != "case_0" or (each[1] == UNKNOWN).all()
        assert np.isfinite(trainer.train_step(drawn)["loss"])
    assert {UNKNOWN, 0, 1, 4} <= seen <= {UNKNOWN, 0, 1, 4, 6}  # liver (3) and lungs (5), stored one higher
    assert all(value.isfinite().all() for value in trainer.network.parameters())
    trainer.network.eval()
    with torch.no_grad():
        for _ in range(4):
            drawn = next(validate)
            found = trainer.validation_step(drawn)
            lesion = drawn["target"][0][:, 0]
            assert np.isfinite(found["loss"])
            assert found["tp_hard"] + found["fn_hard"] == (lesion == 1).sum().item()
            assert found["tp_hard"] + found["fp_hard"] <= (lesion != UNKNOWN).sum().item()


def test_a_batch_of_unknown_organs_leaves_their_heads_alone(workspace: Workspace) -> None:
    trainer = make_trainer(workspace)
    train, _ = trainer.get_dataloaders()
    drawn = next(train)
    while set(drawn["keys"]) != {"case_0"} or not (drawn["target"][0][:, 0] == 1).any():
        drawn = next(train)
    trainer.network.train()
    trainer.network.zero_grad()
    trainer.loss(trainer.network(drawn["data"]), drawn["target"]).backward()
    for head in trainer.network.decoder.organ_seg_layers[1:]:  # the coarsest heads count nothing
        assert not head.weight.grad.any()
    assert all(head.weight.grad.any() for head in trainer.network.decoder.seg_layers[1:])
