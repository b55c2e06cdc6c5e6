"""Ideas beyond the paper: each option of training reaches its place in the trainer, and none is on by default."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from batchgeneratorsv2.transforms.utils.random import RandomTransform
from helpers_training import make_batch, make_trainer, make_workspace, tiny_environment

from lesionclick_training.augmentation.choices import Augmentation, ClickCounts
from lesionclick_training.augmentation.draw_clicks import DrawClicks
from lesionclick_training.augmentation.uptake_noise import UptakeNoise
from lesionclick_training.augmentation.vary_contours import VaryContours
from lesionclick_training.nnunet.lesion_free_loss import penalize_made_up
from lesionclick_training.nnunet.settings import TrainingSettings
from lesionclick_training.nnunet.workspace import Workspace


@pytest.fixture(autouse=True)
def tiny() -> Iterator[None]:
    with tiny_environment():
        yield


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return make_workspace(tmp_path_factory.mktemp("root"))


def test_components_are_balanced_in_training_alone(workspace: Workspace) -> None:
    trainer = make_trainer(workspace, settings=TrainingSettings(seed=3, balance_components=True))
    counts = []
    for dataset in trainer.get_tr_and_val_datasets():
        counts.append([len(dataset.load_case(name)[3]["class_locations"][1]) for name in dataset.identifiers])
    assert counts[0] == [0, 1, 1]
    assert counts[1][0] > 50
    for loader in trainer.get_dataloaders():
        assert next(loader)["data"].shape == (2, 4, 16, 16, 16)


def test_cases_are_repeated_in_training_alone(workspace: Workspace) -> None:
    plain = make_trainer(workspace, settings=TrainingSettings(seed=3)).get_tr_and_val_datasets()
    first, *others = plain[0].identifiers
    settings = TrainingSettings(seed=3, repeat_cases=f"{first}=3")
    repeating = make_trainer(workspace, settings=settings).get_tr_and_val_datasets()
    assert sorted(repeating[0].identifiers) == sorted([*[first] * 3, *others])
    assert list(repeating[1].identifiers) == list(plain[1].identifiers)


def test_strong_changes_come_into_training_alone(workspace: Workspace) -> None:
    trainer = make_trainer(workspace, settings=TrainingSettings(seed=3, augmentation=Augmentation.strong))
    training, validation = (
        [
            each.transform if isinstance(each, RandomTransform) else each
            for each in loader.data_loader.transforms.transforms
        ]
        for loader in trainer.get_dataloaders()
    )
    (noise,) = (each for each in training if isinstance(each, UptakeNoise))
    assert not any(isinstance(each, UptakeNoise) for each in validation)
    assert training.index(noise) > [type(each) for each in training].index(SpatialTransform)
    plans = trainer.plans_manager.foreground_intensity_properties_per_channel["1"]
    assert (noise.intensities.mean, noise.intensities.upper) == (plans["mean"], plans["percentile_99_5"])


def test_made_up_lesions_are_penalized_where_the_settings_say_so(workspace: Workspace) -> None:
    plain = make_trainer(workspace)
    trainer = make_trainer(workspace, settings=TrainingSettings(seed=3, lesion_free_loss=1.5))
    _, targets = make_batch()
    outputs = [torch.randn((2, 13, *target.shape[2:])) for target in targets]
    torch.testing.assert_close(trainer.loss(outputs, targets), plain.loss(outputs, targets))  # both have lesions
    for target in targets:
        target[1, 0] = 0
    more = trainer.loss(outputs, targets) - plain.loss(outputs, targets)
    torch.testing.assert_close(more, 1.5 * penalize_made_up(outputs[0], targets[0]), rtol=1e-4, atol=1e-6)
    assert more > 0.5


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_clicks_come_from_the_networks_errors_where_the_settings_say_so(workspace: Workspace, share: float) -> None:
    trainer = make_trainer(workspace, settings=TrainingSettings(seed=3, corrective_clicks=share))
    trainer.network.train()
    data, targets = make_batch()
    seen = []
    trainer.network.register_forward_pre_hook(lambda network, given: seen.append((network.training, given[0][:, 2:])))
    trainer.train_step({"data": data, "target": targets})
    assert [training for training, _ in seen][-1:] == [True]
    assert not any(training for training, _ in seen[:-1])
    assert torch.equal(seen[-1][1], data[:, 2:]) != bool(share)
    assert (len(seen) > 1) == bool(share)
    if share:  # a fresh network finds nothing: each sample's largest lesion is clicked
        assert not seen[0][1].any()
        assert all((sample[0] == 1).sum() >= 1 for sample in seen[-1][1])


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_contours_vary_before_clicks_are_drawn_and_in_training_alone(workspace: Workspace, share: float) -> None:
    trainer = make_trainer(workspace, settings=TrainingSettings(contour_variation=share))
    training, validation = (loader.data_loader.transforms.transforms for loader in trainer.get_dataloaders())
    varying = [
        (index, each.apply_probability)
        for index, each in enumerate(training)
        if isinstance(getattr(each, "transform", None), VaryContours)
    ]
    (clicks,) = (index for index, each in enumerate(training) if isinstance(each, DrawClicks))
    assert [at for _, at in varying] == [share] * bool(share)
    assert all(index < clicks for index, _ in varying)
    assert not any(isinstance(getattr(each, "transform", each), VaryContours) for each in validation)


def test_settings_of_clicks_reach_both_loaders(workspace: Workspace) -> None:
    settings = TrainingSettings(click_offset=1, click_counts=ClickCounts.uniform, click_dropout=0.25, scribbles=0.5)
    trainer = make_trainer(workspace, settings=settings)
    for loader in trainer.get_dataloaders():
        (drawn,) = (each for each in loader.data_loader.transforms.transforms if isinstance(each, DrawClicks))
        assert (drawn.offset, drawn.counts, drawn.dropout, drawn.scribbles) == (1, "uniform", 0.25, 0.5)
    assert "click_offset=1, " in Path(trainer.log_file).read_text()
