"""The trainers on nnU-Net's own machinery: four tiny cases, preprocessed once, and a network of 4 stages."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from batchgeneratorsv2.transforms.utils.deep_supervision_downsampling import DownsampleSegForDSTransform
from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTransform
from nnunetv2.run.load_pretrained_weights import load_pretrained_weights
from nnunetv2.run.run_training import get_trainer_from_args
from nnunetv2.training.loss.compound_losses import DC_and_CE_loss
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss

from lesionclick import Case, Click, Ensemble, ModelError, Session
from lesionclick.errors import LesionClickError
from lesionclick.model.encoding import EDTEncoding, GaussianEncoding
from lesionclick.model.folder import ModelFolder
from lesionclick_training.augmentation.draw_clicks import DrawClicks
from lesionclick_training.augmentation.misalignment import PETCTMisalignment
from lesionclick_training.cli import main as cli
from lesionclick_training.data.nnunet_layout import stack_label, write_case, write_dataset_json, write_splits
from lesionclick_training.nnunet.organ_supervision import LESION_LOGIT, LesionOrganLoss, organ_target
from lesionclick_training.nnunet.plans import NetworkPlan
from lesionclick_training.nnunet.pretrained import STEM_KERNEL, transfer_weights, write_pretrained
from lesionclick_training.nnunet.trainer import LesionClickTrainer
from lesionclick_training.nnunet.workspace import set_paths

NAME = "Dataset901_Tiny"
SIZE = (26, 30, 28)
TINY = NetworkPlan("TinyPlans", (5.0, 5.0, 5.0), (16, 16, 16), features=(4, 8, 8, 8), blocks=(1, 1, 1, 1))
CASES = [f"case_{index}" for index in range(4)]
SPLIT = {"train": CASES[:3], "val": CASES[3:]}

ENCODINGS = {
    "NoClicks": (None, 0.0),
    "Gaussian3": (GaussianEncoding(3.0), 0.0),
    "Gaussian2": (GaussianEncoding(2.0), 0.0),
    "Gaussian1": (GaussianEncoding(1.0), 0.0),
    "Gaussian0p75": (GaussianEncoding(0.75), 0.0),
    "Gaussian0p5": (GaussianEncoding(0.5), 0.0),
    "Gaussian0p25": (GaussianEncoding(0.25), 0.0),
    "Gaussian0p1": (GaussianEncoding(0.1), 0.0),
    "EDT4": (EDTEncoding(4), 0.0),
    "EDT3": (EDTEncoding(3), 0.0),
    "EDT2": (EDTEncoding(2), 0.0),
    "EDT2_Custom": (EDTEncoding(2), 0.2),
}


def image_from(array_zyx: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(array_zyx)
    image.SetSpacing((5.0, 5.0, 5.0))
    return image


def volumes(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """CT, PET and stored label: a hot lesion in a liver, a lung; case 0 has no lesion."""
    generator = np.random.default_rng(seed)
    z, y, x = np.indices(SIZE)
    liver = (z - 12) ** 2 + (y - 15) ** 2 + (x - 14) ** 2 <= 64
    lesion = (z - 12) ** 2 + (y - 15) ** 2 + (x - 14 - seed) ** 2 <= (9 if seed else -1)
    organ = np.where(liver, 3, np.where(z > 21, 5, 0)).astype(np.uint8)
    ct = generator.normal(0, 20, SIZE) + 60 * liver - 800 * (z > 21)
    pet = generator.gamma(2, 0.5, SIZE) + 2 * liver + 10 * lesion
    return ct.astype(np.float32), pet.astype(np.float32), stack_label(lesion, organ)


@contextlib.contextmanager
def own_environment() -> Iterator[None]:
    """The tiny plan as the small one, one thread, and whatever a command sets for nnU-Net forgotten in the end."""
    before, threads, plan = dict(os.environ), torch.get_num_threads(), cli.PLANS[cli.Plan.small]
    os.environ.update(nnUNet_n_proc_DA="0", MPLBACKEND="agg")
    torch.set_num_threads(1)
    cli.PLANS[cli.Plan.small] = TINY
    yield
    cli.PLANS[cli.Plan.small] = plan
    torch.set_num_threads(threads)
    os.environ.clear()
    os.environ.update(before)


SHORT = ("--epochs", 2, "--iterations", 2, "--val-iterations", 1)


@pytest.fixture(autouse=True)
def each_in_its_own_environment() -> Iterator[None]:
    with own_environment():
        yield


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four cases, preprocessed by our command."""
    root = tmp_path_factory.mktemp("root")
    dataset = root / "raw" / NAME
    for seed, name in enumerate(CASES):
        ct, pet, label = volumes(seed)
        write_case(dataset, name, image_from(ct), image_from(pet), label)
    write_dataset_json(dataset, "for tests")
    write_splits(dataset, [SPLIT, SPLIT])
    with own_environment():
        run("preprocess", 901, "--plan", "small", "--root", root, "--processes", 1)
    return root


@pytest.fixture(scope="module")
def model(root: Path) -> Path:
    """A trained model of four channels."""
    with own_environment():
        return train(root, "EDT2")


def run(*arguments: object) -> None:
    """Runs our command line and expects it to succeed."""
    with pytest.raises(SystemExit) as stopped:
        cli.main([str(argument) for argument in arguments])
    assert stopped.value.code == 0


def train(root: Path, variant: str, *options: object, fold: int = 0) -> Path:
    """Two epochs of two iterations by our command; the model folder."""
    run(
        "train", 901, fold, "--variant", variant, "--plan", "small", "--root", root, "--device", "cpu", *SHORT, *options
    )
    return results(root, variant)


def results(root: Path, variant: str) -> Path:
    return root / "results" / NAME / f"LesionClickTrainer_{variant}__TinyPlans__3d_fullres"


def weights_of(model: Path, fold: int = 0) -> dict[str, torch.Tensor]:
    path = model / f"fold_{fold}" / "checkpoint_final.pth"
    return torch.load(path, weights_only=False)["network_weights"]


@pytest.fixture
def make_trainer(root: Path, tmp_path: Path) -> Callable[..., LesionClickTrainer]:
    """Makes an initialised trainer of a variant whose results go to a folder of the test."""

    def make(variant: str = "EDT2_Custom", **settings: str) -> LesionClickTrainer:
        set_paths(root)
        os.environ.update(nnUNet_results=str(tmp_path / "results"), LESIONCLICK_SEED="3", **settings)
        trainer = get_trainer_from_args(
            "901", "3d_fullres", 0, f"LesionClickTrainer_{variant}", "TinyPlans", device=torch.device("cpu")
        )
        trainer.initialize()
        return trainer

    return make


def batch(trainer: LesionClickTrainer, seed: int = 0) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """A random batch: input of 4 channels and targets for deep supervision, at full, half and quarter size."""
    generator = torch.Generator().manual_seed(seed)
    data = torch.randn((2, 4, 16, 16, 16), generator=generator)
    targets = []
    for size in (16, 8, 4):
        lesion = torch.randint(0, 2, (2, 1, size, size, size), generator=generator)
        organ = torch.randint(1, 12, (2, 1, size, size, size), generator=generator)
        targets.append(torch.cat([lesion, torch.where(organ == 1, 0, organ)], dim=1).to(torch.int16))
    return data, targets


# ---- variants


def test_the_variants_are_the_rows_of_the_table() -> None:
    found = {name: (trainer.encoding, trainer.custom_probability) for name, trainer in cli.VARIANTS.items()}
    assert found == ENCODINGS


@pytest.mark.parametrize("variant", list(ENCODINGS))
def test_every_variant_trains_and_its_model_predicts(root: Path, tmp_path: Path, variant: str) -> None:
    model = train(root, variant)
    encoding, _ = ENCODINGS[variant]

    prompt = model / "prompt.json"
    assert prompt.exists() == (encoding is not None)
    if encoding is not None:
        assert json.loads(prompt.read_text()) == encoding.to_json()
    folder = ModelFolder.read(model)
    assert folder.channels == (2 if encoding is None else 4)
    assert encoding is None or folder.encoding == encoding
    assert folder.folds[0].trainer == f"LesionClickTrainer_{variant}"
    assert folder.description == "for tests"

    ct, pet, _ = volumes(1)
    for modality, array in (("ct", ct), ("pet", pet)):
        path = tmp_path / "input" / "images" / modality / "case.mha"
        path.parent.mkdir(parents=True)
        sitk.WriteImage(image_from(array), str(path))
    document = {"version": {"major": 1, "minor": 0}, "type": "Multiple points", "points": []}
    (tmp_path / "input" / "lesion-clicks.json").write_text(json.dumps(document))
    session = Session(Ensemble.load(model, "cpu"), Case.read(tmp_path / "input"))
    before = session.predict().probability
    after = session.predict([Click(14, 15, 12, "tumor")]).probability
    assert before.shape == SIZE
    assert np.isfinite(before).all()
    assert np.array_equal(before, after) == (encoding is None)


def test_the_checkpoint_holds_organ_heads_under_their_names(model: Path) -> None:
    heads = {name: tuple(value.shape) for name, value in weights_of(model).items() if "seg_layers" in name}
    expected: dict[str, tuple[int, ...]] = {}
    for index, features in enumerate((8, 8, 4)):
        for heads_name, classes in (("seg_layers", 2), ("organ_seg_layers", 11)):
            expected[f"decoder.{heads_name}.{index}.weight"] = (classes, features, 1, 1, 1)
            expected[f"decoder.{heads_name}.{index}.bias"] = (classes,)
    assert heads == expected


def test_a_training_says_how_to_validate(model: Path) -> None:
    (log, *_) = (model / "fold_0").glob("training_log_*.txt")
    assert "`lesionclick-train validate`" in log.read_text()


def test_equal_seeds_train_equal_networks(root: Path, model: Path) -> None:
    unseeded = weights_of(model)
    first, second = (weights_of(train(root, "EDT2_Custom", "--seed", 5)) for _ in range(2))
    for name, value in first.items():
        torch.testing.assert_close(value, second[name], rtol=0, atol=1e-4)
        if name.endswith("conv.weight"):
            assert (value - unseeded[name]).abs().max() > 1e-2


def test_a_training_goes_on_where_it_ended(root: Path, model: Path) -> None:
    train(root, "EDT2", "--resume", "--epochs", 3)
    checkpoint = torch.load(model / "fold_0" / "checkpoint_final.pth", weights_only=False)
    assert len(checkpoint["logging"]["train_losses"]) == 3


# ---- data


def test_patches_are_sampled_round_lesions_alone(make_trainer: Callable[..., LesionClickTrainer]) -> None:
    training, _ = make_trainer().get_tr_and_val_datasets()
    counts = []
    for name in training.identifiers:
        _, segmentation, _, properties = training.load_case(name)
        assert list(properties["class_locations"]) == [1]
        locations = np.array(properties["class_locations"][1]).reshape(-1, 4).astype(int)
        assert np.all(segmentation[:][tuple(locations.T)] == 1)
        assert np.all(locations[:, 0] == 0)
        counts.append(len(locations))
    assert counts[0] == 0
    assert min(counts[1:]) > 50


def test_transforms_stand_in_their_order(make_trainer: Callable[..., LesionClickTrainer]) -> None:
    trainer = make_trainer("Gaussian1")
    for loader, first in zip(trainer.get_dataloaders(), (PETCTMisalignment, DrawClicks), strict=True):
        transforms = loader.data_loader.transforms.transforms
        kinds = [type(each) for each in transforms]
        assert kinds[0] is first
        assert kinds[-3:] == [DrawClicks, RemoveLabelTransform, DownsampleSegForDSTransform]
        assert kinds.count(DrawClicks) == 1
        assert transforms[-3].encoding == GaussianEncoding(1.0)
        assert transforms[-3].custom_probability == 0


@pytest.mark.parametrize(("variant", "channels"), [("EDT2_Custom", 4), ("NoClicks", 2)])
def test_batches_hold_clicks_lesions_and_organs(
    make_trainer: Callable[..., LesionClickTrainer], variant: str, channels: int
) -> None:
    loaders = make_trainer(variant).get_dataloaders()
    for loader in loaders:
        lesions, organs, clicks = set(), set(), 0.0
        for _ in range(12):
            drawn = next(loader)
            assert drawn["data"].shape == (2, channels, 16, 16, 16)
            assert [tuple(each.shape) for each in drawn["target"]] == [(2, 2, n, n, n) for n in (16, 8, 4)]
            lesions |= set(drawn["target"][0][:, 0].unique().tolist())
            organs |= set(drawn["target"][0][:, 1].unique().tolist())
            clicks = max(clicks, float(drawn["data"][:, 2:].max()) if channels == 4 else 1.0)
        assert lesions == {0, 1}
        assert organs == {0, 4, 6}  # nothing, liver (3) and lungs (5), stored one higher
        assert clicks == 1


# ---- network and loss


def test_organs_are_predicted_in_training_alone(make_trainer: Callable[..., LesionClickTrainer]) -> None:
    trainer = make_trainer()
    data, _ = batch(trainer)
    trainer.network.train()
    assert [each.shape[1] for each in trainer.network(data)] == [13, 13, 13]
    lesions = [each[:, :2] for each in trainer.network(data)]
    trainer.network.eval()
    assert all(torch.equal(a, b) for a, b in zip(trainer.network(data), lesions, strict=True))
    trainer.set_deep_supervision_enabled(False)
    assert torch.equal(trainer.network(data), lesions[0])


def test_the_loss_is_nnunets_for_lesions_plus_the_same_for_organs(
    make_trainer: Callable[..., LesionClickTrainer],
) -> None:
    trainer = make_trainer()
    _, targets = batch(trainer)
    generator = torch.Generator().manual_seed(1)
    outputs = [torch.randn((2, 13, *target.shape[2:]), generator=generator) for target in targets]
    dice = {"batch_dice": False, "smooth": 0, "do_bg": False, "ddp": False}
    one = DC_and_CE_loss(dice, {}, dice_class=MemoryEfficientSoftDiceLoss)

    lesions = sum(
        weight * one(output[:, :2], target[:, :1])
        for weight, output, target in zip((2 / 3, 1 / 3), outputs, targets, strict=False)
    )
    organs = sum(
        weight * one(output[:, 2:], torch.where(target[:, 1:] > 0, target[:, 1:] - 1, 0))
        for weight, output, target in zip((2 / 3, 1 / 3), outputs, targets, strict=False)
    )
    torch.testing.assert_close(trainer.loss(outputs, targets), lesions + organs)
    torch.testing.assert_close(trainer.loss([each[:, :2] for each in outputs], targets), lesions)


def test_the_loss_of_perfect_logits_is_minus_the_dice_of_both() -> None:
    organ = torch.arange(11).repeat(1, 1, 4, 4, 1)
    stored = torch.cat([(organ > 5).long(), torch.where(organ > 0, organ + 1, 0)], dim=1)
    assert torch.equal(organ_target(stored), organ)
    output = torch.zeros((1, 13, 4, 4, 11))
    output[:, :2].scatter_(1, stored[:, :1], 100.0)
    output[:, 2:].scatter_(1, organ, 100.0)
    dice = {"batch_dice": False, "smooth": 0, "do_bg": False, "ddp": False}
    loss = LesionOrganLoss(DC_and_CE_loss(dice, {}, dice_class=MemoryEfficientSoftDiceLoss))
    assert loss(output, stored).item() == pytest.approx(-2)
    assert LesionOrganLoss(loss.loss, 0.25)(output, stored).item() == pytest.approx(-1.25)
    assert loss(output.to(torch.bfloat16), stored).dtype == torch.float32


def test_lesions_and_organs_are_learnt(make_trainer: Callable[..., LesionClickTrainer]) -> None:
    trainer = make_trainer(LESIONCLICK_INITIAL_LR="0.05")
    trainer.dataloader_train, _ = trainer.get_dataloaders()
    trainer.network.train()
    start = {name: value.detach().clone() for name, value in trainer.network.decoder.named_parameters()}
    drawn = next(trainer.dataloader_train)
    while not (drawn["target"][0][:, 0].any() and drawn["target"][0][:, 1].any()):
        drawn = next(trainer.dataloader_train)

    def losses() -> tuple[float, float]:
        with torch.no_grad():
            output, target = trainer.network(drawn["data"])[0].float(), drawn["target"][0].long()
        rare = (target[:, 0] == 0).sum() / (target[:, 0] == 1).sum()  # lesions count as much as all else
        lesions = torch.nn.functional.cross_entropy(output[:, :2], target[:, 0], torch.tensor([1.0, rare]))
        organs = torch.nn.functional.cross_entropy(output[:, 2:], organ_target(target)[:, 0])
        return lesions.item(), organs.item()

    before = losses()
    for _ in range(60):
        trainer.train_step(drawn)
    after = losses()
    assert after[0] < 0.9 * before[0]
    assert after[1] < 0.9 * before[1]
    moved = {name for name, value in trainer.network.decoder.named_parameters() if not torch.equal(value, start[name])}
    # the coarsest heads count nothing in nnU-Net's deep supervision, beyond the decay of their weights
    for index in (1, 2):
        assert {f"organ_seg_layers.{index}.{kind}" for kind in ("weight", "bias")} <= moved
        assert {f"seg_layers.{index}.{kind}" for kind in ("weight", "bias")} <= moved


def test_the_pseudo_dice_is_that_of_lesions(make_trainer: Callable[..., LesionClickTrainer]) -> None:
    trainer = make_trainer()
    data, targets = batch(trainer)
    trainer.network.eval()
    with torch.no_grad():
        predicted = trainer.network(data)[0].argmax(1) == 1
        found = trainer.validation_step({"data": data, "target": targets})
    lesion = targets[0][:, 0] == 1
    assert found["tp_hard"].tolist() == [(predicted & lesion).sum().item()]
    assert found["fp_hard"].tolist() == [(predicted & ~lesion).sum().item()]
    assert found["fn_hard"].tolist() == [(~predicted & lesion).sum().item()]


@pytest.mark.parametrize(("supported", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_the_cpu_computes_in_bfloat16_where_it_can(
    make_trainer: Callable[..., LesionClickTrainer],
    monkeypatch: pytest.MonkeyPatch,
    supported: bool,
    dtype: torch.dtype,
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: supported)
    trainer = make_trainer()
    data, targets = batch(trainer)
    output = trainer.network(data)
    assert output[0].dtype == dtype
    assert trainer.loss(output, targets).dtype == torch.float32
    assert trainer.network.encoder.stem.convs[0].conv.weight.dtype == torch.float32
    assert f"computes in {str(dtype).removeprefix('torch.')}" in Path(trainer.log_file).read_text()


# ---- settings


def test_numbers_are_nnunets_and_the_papers_by_default(make_trainer: Callable[..., LesionClickTrainer]) -> None:
    trainer = make_trainer()
    numbers = (trainer.num_epochs, trainer.num_iterations_per_epoch, trainer.num_val_iterations_per_epoch)
    assert numbers == (1000, 250, 50)
    assert trainer.optimizer.param_groups[0]["lr"] == 1e-3
    assert trainer.oversample_foreground_percent == 0.33
    assert trainer.loss.loss.organ_weight == 1


def test_settings_for_short_trainings(make_trainer: Callable[..., LesionClickTrainer]) -> None:
    trainer = make_trainer(LESIONCLICK_OVERSAMPLE_FOREGROUND="1", LESIONCLICK_ORGAN_WEIGHT="0.1")
    assert trainer.oversample_foreground_percent == 1
    assert trainer.loss.loss.organ_weight == 0.1


def test_fresh_networks_expect_few_lesions(make_trainer: Callable[..., LesionClickTrainer]) -> None:
    trainer = make_trainer()
    data, _ = batch(trainer)
    with torch.no_grad():
        for head in trainer.network.decoder.seg_layers:
            assert (head.bias[1] - head.bias[0]).item() == LESION_LOGIT
        lesions = trainer.network(data)[0].float()[:, :2]
    assert abs((lesions[:, 1] - lesions[:, 0]).mean().item() - LESION_LOGIT) < 0.5
    assert trainer.network.decoder.organ_seg_layers[-1].bias.abs().max() == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LESIONCLICK_EPOCHS", "0"),
        ("LESIONCLICK_ITERATIONS", "many"),
        ("LESIONCLICK_VAL_ITERATIONS", "-1"),
        ("LESIONCLICK_INITIAL_LR", "nan"),
        ("LESIONCLICK_INITIAL_LR", "fast"),
        ("LESIONCLICK_OVERSAMPLE_FOREGROUND", "1.5"),
        ("LESIONCLICK_ORGAN_WEIGHT", "0"),
    ],
)
def test_a_wrong_setting_is_named(make_trainer: Callable[..., LesionClickTrainer], name: str, value: str) -> None:
    with pytest.raises(LesionClickError, match=f"{name} is '{value}', expected"):
        make_trainer(**{name: value})


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["preprocess", "902"], "holds 0 folders Dataset902_*, expected one"),
        (["train", "902", "0", "--variant", "EDT2"], "holds 0 folders Dataset902_*, expected one"),
        (
            ["train", "901", "0", "--variant", "EDT2", "--plan", "published"],
            "PublishedPlans.json: is missing",
        ),
        (["train", "901", "0", "--variant", "EDT9"], "'EDT9' is none of NoClicks,"),
    ],
)
def test_what_a_user_can_mend_is_one_sentence(
    root: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main([*arguments, "--root", str(root)])
    assert stopped.value.code == 2
    assert sentence in " ".join(capsys.readouterr().err.replace("│", " ").split())


# ---- plans


def test_plans_hold_the_datasets_own_intensities_of_lesions(root: Path) -> None:
    plans = json.loads((root / "preprocessed" / NAME / "TinyPlans.json").read_text())
    voxels = np.concatenate([pet[label[0] > 0] for _, pet, label in map(volumes, range(1, 4))])
    found = plans["foreground_intensity_properties_per_channel"]["1"]
    assert found["mean"] == pytest.approx(voxels.mean(), rel=0.02)
    assert found["percentile_99_5"] == pytest.approx(np.percentile(voxels, 99.5), rel=0.05)
    assert plans["configurations"]["3d_fullres"]["normalization_schemes"] == ["CTNormalization"] * 2
    assert json.loads((root / "preprocessed" / NAME / "splits_final.json").read_text()) == [SPLIT, SPLIT]


def test_datasets_with_the_same_plans_make_one_ensemble(root: Path) -> None:
    other = root / "raw" / "Dataset903_More"
    for seed, name in enumerate(("a", "b")):
        ct, pet, label = volumes(seed + 5)
        write_case(other, name, image_from(ct), image_from(pet), label)
    write_dataset_json(other, "for tests")
    run("preprocess", 903, "--plan", "small", "--plans-of", 901, "--root", root, "--processes", 1)
    theirs = json.loads((root / "preprocessed" / NAME / "TinyPlans.json").read_text())
    plans = json.loads((root / "preprocessed" / "Dataset903_More" / "TinyPlans.json").read_text())
    assert plans == {**theirs, "dataset_name": "Dataset903_More"}
    assert (root / "preprocessed" / "Dataset903_More" / "TinyPlans_3d_fullres" / "a.b2nd").is_file()


# ---- the table


def test_the_papers_table_goes_on_row_by_row(root: Path, tmp_path: Path) -> None:
    run("train", 901, "all", "--variant", "NoClicks", "--plan", "small", "--root", root, "--device", "cpu", *SHORT)
    start = root / "results" / NAME / "LesionClickTrainer_NoClicks__TinyPlans__3d_fullres/fold_all/checkpoint_final.pth"
    os.environ.update(LESIONCLICK_EPOCHS="1", LESIONCLICK_ITERATIONS="1", LESIONCLICK_VAL_ITERATIONS="1")
    options = ("--start", start, "--root", root, "--plan", "small", "--device", "cpu", "--out", tmp_path / "table.md")
    for name in ("autoPET III model (no clicks)", "EDT 2"):
        run("table", 901, 901, *options, "--row", name)
    trained = [path.parent.parent.name for path in (root / "table").glob("*/*/fold_0/checkpoint_final.pth")]
    assert sorted(name.split("__")[0] for name in trained) == ["LesionClickTrainer_EDT2", "LesionClickTrainer_NoClicks"]
    text = (tmp_path / "table.md").read_text()
    assert "Each row: 1 epochs of 1 steps from the same network without clicks" in text
    assert "SGD with an initial learning rate of 0.001" in text
    assert text.count("not run") == 3 * 11  # EDT 2 with the same dataset as "more data" shares its figures


# ---- pretrained weights


def multitalent(path: Path, trainer: LesionClickTrainer, stems: dict[int, int]) -> dict[str, torch.Tensor]:
    """Writes a MultiTalent-format checkpoint: stems (number -> input channels), lesion heads of other datasets."""
    generator = torch.Generator().manual_seed(7)
    weights: dict[str, torch.Tensor] = {}
    for name, value in trainer.network.state_dict().items():
        before, is_stem, after = name.partition("encoder.stem.")
        if is_stem:
            for number, channels in stems.items():
                shape = (value.shape[0], channels, *value.shape[2:]) if value.ndim == 5 else value.shape
                weights[f"{before}encoder.stem.{number}.{after}"] = torch.randn(shape, generator=generator)
        elif "organ_seg_layers" not in name:
            weights[name] = torch.randn(value.shape, generator=generator)
    torch.save({"network_weights": weights, "trainer_name": "MultiTalent", "current_epoch": np.float64(1)}, path)
    return weights


def test_multitalents_trunk_and_autopet_stem_come_across(
    make_trainer: Callable[..., LesionClickTrainer], tmp_path: Path
) -> None:
    network = make_trainer().network
    fresh = {name: value.detach().clone() for name, value in network.named_parameters()}
    source = multitalent(tmp_path / "multitalent.pth", make_trainer(), {4: 1, 221: 2, 223: 2})

    report = transfer_weights(tmp_path / "multitalent.pth", network)

    heads = {name for name in fresh if name.startswith(("decoder.seg_layers.", "decoder.organ_seg_layers."))}
    assert set(report.fresh) == heads
    assert report.widened == (STEM_KERNEL,)
    assert set(report.taken) == set(fresh) - heads - {STEM_KERNEL}
    for name, value in network.named_parameters():
        if name in heads:
            assert torch.equal(value, fresh[name])
        elif name == STEM_KERNEL:
            assert torch.equal(value[:, :2], source["encoder.stem.221.convs.0.conv.weight"])
            assert torch.equal(value[:, 2:], fresh[name][:, 2:])
        else:
            assert torch.equal(value, source[name.replace("encoder.stem.", "encoder.stem.221.")])


def test_another_stem_can_be_taken(make_trainer: Callable[..., LesionClickTrainer], tmp_path: Path) -> None:
    network = make_trainer().network
    source = multitalent(tmp_path / "multitalent.pth", make_trainer(), {221: 2, 223: 2})
    transfer_weights(tmp_path / "multitalent.pth", network, stem=223)
    kernel = network.encoder.stem.convs[0].conv.weight
    assert torch.equal(kernel[:, :2], source["encoder.stem.223.convs.0.conv.weight"])


@pytest.mark.parametrize(
    ("stem", "change", "sentence"),
    [
        (5, {}, r"has no stem for dataset 5, it has those of \[221\]"),
        (221, {"encoder.stages.0.blocks.0.conv1.conv.weight": None}, "lacks the tensor encoder.stages.0.blocks.0"),
        (221, {"encoder.stages.1.blocks.0.conv1.conv.bias": torch.zeros(9)}, r"has the shape \(9,\), the network"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(
    make_trainer: Callable[..., LesionClickTrainer],
    tmp_path: Path,
    stem: int,
    change: dict[str, Any],
    sentence: str,
) -> None:
    path = tmp_path / "multitalent.pth"
    weights = multitalent(path, make_trainer(), {221: 2}) | change
    torch.save({"network_weights": {name: value for name, value in weights.items() if value is not None}}, path)
    with pytest.raises(ModelError, match=sentence):
        transfer_weights(path, make_trainer().network, stem)


def test_a_checkpoint_that_would_run_code_is_refused(
    make_trainer: Callable[..., LesionClickTrainer], tmp_path: Path
) -> None:
    path = tmp_path / "checkpoint.pth"
    torch.save({"network_weights": {}, "extra": subprocess.Popen}, path)
    with pytest.raises(ModelError, match="could run code"):
        transfer_weights(path, make_trainer().network)


def test_nnunets_loader_takes_what_is_written_of_a_click_free_model(
    root: Path, make_trainer: Callable[..., LesionClickTrainer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = train(root, "NoClicks")
    trainer = make_trainer("EDT2")
    fresh = {name: value.detach().clone() for name, value in trainer.network.named_parameters()}
    plans = root / "preprocessed" / NAME / "TinyPlans.json"
    out = tmp_path / "pretrained.pth"
    report = write_pretrained(model / "fold_0" / "checkpoint_final.pth", plans, type(trainer), out)
    load_pretrained_weights(trainer.network, str(out))

    source, written = weights_of(model), torch.load(out)["network_weights"]
    assert not report.fresh
    heads = {name for name in fresh if name.startswith("decoder.seg_layers.")}
    for name, value in trainer.network.named_parameters():
        if name in heads:  # nnU-Net leaves them out
            assert torch.equal(value, fresh[name])
        elif name == STEM_KERNEL:
            assert torch.equal(value[:, :2], source[name])
            assert torch.equal(value[:, 2:], written[name][:, 2:])
            assert value[:, 2:].std() > 0.05
        else:
            assert torch.equal(value, source[name])
    assert "decoder.organ_seg_layers.2.weight" in report.taken
    monkeypatch.setenv("LESIONCLICK_LESION_HEADS", str(out))
    other = make_trainer("EDT2").network.state_dict()
    assert heads
    assert all(torch.equal(other[name], source[name]) for name in heads)


def test_a_training_goes_on_from_all_that_another_learnt(root: Path) -> None:
    source = train(root, "EDT2") / "fold_0" / "checkpoint_final.pth"
    # so slow that the weights stay where they began
    slow = ["--epochs", 1, "--iterations", 1, "--val-iterations", 1, "--initial-lr", 1e-30, "--device", "cpu"]
    options = ["--variant", "EDT3", "--plan", "small", "--root", root, "--pretrained", source]
    run("train", 901, 2, *options, *slow)
    given = torch.load(source, weights_only=False)["network_weights"]
    trained = weights_of(results(root, "EDT3"), fold=2)
    for name, value in trained.items():
        assert torch.equal(value, given[name]), name
    assert "LESIONCLICK_LESION_HEADS" not in os.environ


def test_lesion_heads_of_another_size_are_refused(
    make_trainer: Callable[..., LesionClickTrainer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "other.pth"
    torch.save({"network_weights": {"decoder.seg_layers.0.weight": torch.zeros(3, 4, 1, 1, 1)}}, path)
    monkeypatch.setenv("LESIONCLICK_LESION_HEADS", str(path))
    with pytest.raises(LesionClickError, match="other lesion heads"):
        make_trainer("EDT2")


def test_nnunets_own_command_trains_from_a_pretrained_checkpoint(
    root: Path, make_trainer: Callable[..., LesionClickTrainer], tmp_path: Path
) -> None:
    source = multitalent(tmp_path / "multitalent.pth", make_trainer(), {221: 2})
    start = tmp_path / "start.pth"
    run("pretrained", tmp_path / "multitalent.pth", start, 901, "--variant", "EDT3", "--plan", "small", "--root", root)
    set_paths(root)
    # so slow that the weights stay where they began
    settings = {"EPOCHS": "2", "ITERATIONS": "2", "VAL_ITERATIONS": "1", "INITIAL_LR": "1e-30"}
    environment = {**os.environ, **{f"LESIONCLICK_{key}": value for key, value in settings.items()}}
    command = [str(Path(sys.executable).with_name("nnUNetv2_train")), "901", "3d_fullres", "1", "-device", "cpu"]
    options = ["-tr", "LesionClickTrainer_EDT3", "-p", "TinyPlans", "-pretrained_weights", str(start)]
    done = subprocess.run([*command, *options], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

    model = results(root, "EDT3")
    trained, written = weights_of(model, fold=1), torch.load(start)["network_weights"]
    kernel = trained[STEM_KERNEL]
    assert torch.equal(kernel[:, :2], source["encoder.stem.221.convs.0.conv.weight"])
    assert torch.equal(kernel[:, 2:], written[STEM_KERNEL][:, 2:])
    name = "encoder.stages.2.blocks.0.conv1.conv.weight"
    assert torch.equal(trained[name], source[name])
    assert [fold.trainer for fold in ModelFolder.read(model).folds if fold.path.parent.name == "fold_1"] == [
        "LesionClickTrainer_EDT3"
    ]


def test_our_command_trains_from_a_pretrained_checkpoint(
    root: Path, make_trainer: Callable[..., LesionClickTrainer], tmp_path: Path
) -> None:
    source = multitalent(tmp_path / "multitalent.pth", make_trainer(), {221: 2, 4: 1})
    model = train(root, "EDT2", "--pretrained", tmp_path / "multitalent.pth", "--initial-lr", 1e-30, fold=1)
    kernel = weights_of(model, fold=1)[STEM_KERNEL]
    assert torch.equal(kernel[:, :2], source["encoder.stem.221.convs.0.conv.weight"])
