"""Plans and datasets that say impossible things: each is refused by one sentence that names the entry."""

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_model import edit_checkpoint, edit_json

from lesionclick.errors import CaseError, ModelError
from lesionclick.model import grid as network_grid
from lesionclick.model.folder import ModelFolder
from lesionclick.testing import make_plans, to_old_style, write_model

Plans = dict[str, Any]
CHECKPOINT = Path("fold_0", "checkpoint_final.pth")


def of_configuration(**changes: Any) -> Callable[[Plans], object]:
    return lambda plans: plans["configurations"]["3d_fullres"].update(changes)


def of_network(**changes: Any) -> Callable[[Plans], object]:
    return lambda plans: plans["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"].update(changes)


def of_intensities(**changes: Any) -> Callable[[Plans], object]:
    return lambda plans: plans["foreground_intensity_properties_per_channel"]["1"].update(changes)


def of_resampling(**changes: Any) -> Callable[[Plans], object]:
    return lambda plans: plans["configurations"]["3d_fullres"]["resampling_fn_data_kwargs"].update(changes)


PLANS: dict[str, tuple[Callable[[Plans], object], str]] = {
    "huge patch": (of_configuration(patch_size=[1_000_000] * 3), "patch_size is 1000000, expected whole numbers"),
    "patch beyond memory": (of_configuration(patch_size=[1024] * 3), "makes 4,294,967,296 numbers a feature map"),
    "patch of halves": (of_configuration(patch_size=[16.5, 16, 16]), "patch_size is 16.5, expected whole numbers"),
    "patch of words": (of_configuration(patch_size=["16"] * 3), "patch_size is '16', expected whole numbers"),
    "patch of truths": (of_configuration(patch_size=[True] * 3), "patch_size is True, expected whole numbers"),
    "patch empty": (of_configuration(patch_size=[0, 16, 16]), "patch_size is 0, expected whole numbers"),
    "patch a word": (of_configuration(patch_size="888"), "patch_size is '888', expected a list"),
    "stride 0": (of_network(strides=[[1, 1, 1], [0, 2, 2]]), "strides is 0, expected whole numbers from 1 to 8"),
    "stride -2": (of_network(strides=[[1, 1, 1], [-2, 2, 2]]), "strides is -2, expected whole numbers from 1 to 8"),
    "two axes": (of_network(strides=[[1, 1], [2, 2]]), "strides is [1, 1], expected one for each of 3"),
    "too few strides": (of_network(strides=[[1, 1, 1]]), "strides is [[1, 1, 1]], expected one for each of 2 stages"),
    "many blocks": (
        of_network(n_blocks_per_stage=[1, 100_000]),
        "n_blocks_per_stage is 100000, expected whole numbers",
    ),
    "many stages": (of_network(n_stages=100_000), "n_stages is 100000, expected whole numbers from 2 to 10"),
    "many features": (of_network(features_per_stage=[4, 10**9]), "features_per_stage is 1000000000, expected whole"),
    "kernel": (of_network(kernel_sizes=[[3, 3, 3], [3, 3, 999]]), "kernel_sizes is 999, expected whole numbers"),
    "decoder": (of_network(n_conv_per_stage_decoder=[10**6]), "n_conv_per_stage_decoder is 1000000, expected"),
    "conv 5": (of_network(conv_op=5), "conv_op is 5, which is not a class of torch.nn that it can be: Conv3d"),
    "conv 2D": (of_network(conv_op="torch.nn.Conv2d"), "conv_op is 'torch.nn.Conv2d', which is not a class"),
    "norm": (of_network(norm_op="torch.nn.Transformer"), "norm_op is 'torch.nn.Transformer', which is not a class"),
    "options": (of_network(norm_op_kwargs={"eps": math.inf}), "norm_op_kwargs.eps is inf, expected a finite number"),
    "statistics": (
        of_network(norm_op_kwargs={"track_running_stats": True}),
        "supported are networks that keep no stat",
    ),
    "options a list": (of_network(nonlin_kwargs=[1]), "nonlin_kwargs is [1], expected entries with names"),
    "unknown argument": (of_network(no_such=1), "arch_kwargs has the entry 'no_such', which no network has"),
    "bias": (of_network(conv_bias="yes"), "conv_bias is 'yes', expected true or false"),
    "spacing inf": (of_configuration(spacing=[math.inf, 1, 1]), "spacing is inf, expected numbers from 0.1 to 50"),
    "spacing NaN": (of_configuration(spacing=[math.nan, 1, 1]), "spacing is nan, expected numbers from 0.1 to 50"),
    "spacing 1e9": (of_configuration(spacing=[1e9, 1, 1]), "spacing is 1000000000.0, expected numbers"),
    "spacing fine": (of_configuration(spacing=[1e-3, 1, 1]), "spacing is 0.001, expected numbers from 0.1 to 50"),
    "spacing negative": (of_configuration(spacing=[-3, 2, 2]), "spacing is -3, expected numbers"),
    "spacing of words": (of_configuration(spacing=["3", "2", "2"]), "spacing is '3', expected numbers"),
    "std 0": (of_intensities(std=0), "foreground_intensity_properties_per_channel.1.std is 0, expected a positive"),
    "std -1": (of_intensities(std=-1), "foreground_intensity_properties_per_channel.1.std is -1, expected a positive"),
    "std inf": (of_intensities(std=math.inf), "foreground_intensity_properties_per_channel.1.std is inf, expected num"),
    "mean NaN": (of_intensities(mean=math.nan), "per_channel.1.mean is nan, expected numbers"),
    "mean a word": (of_intensities(mean="7"), "per_channel.1.mean is '7', expected numbers"),
    "percentiles": (of_intensities(percentile_00_5=60), "percentile_00_5 is 60, expected less than percentile_99_5"),
    "axes": (lambda plans: plans.update(transpose_forward=[0, 0, 1]), "transpose_forward is [0, 0, 1], expected an"),
    "axes a word": (lambda plans: plans.update(transpose_forward="012"), "transpose_forward is '012', expected a list"),
    "scheme": (of_configuration(normalization_schemes=["CTNormalization", 5]), "normalization scheme 5 is not one"),
    "mask": (of_configuration(use_mask_for_norm=[False, "no"]), "use_mask_for_norm is [False, 'no'], expected true or"),
    "order": (of_resampling(order=99), "resampling_fn_data_kwargs.order is 99, expected whole numbers from 0 to 5"),
    "segmentation": (of_resampling(is_seg=True), "resampling_fn_data_kwargs.is_seg is true, expected false"),
    "separate": (of_resampling(force_separate_z="maybe"), "force_separate_z is 'maybe', expected true or false"),
    "unknown option": (of_resampling(other=1), "has the entry 'other', which nnU-Net's resampling has not"),
}


OLD_PLANS: dict[str, tuple[Callable[[Plans], object], str]] = {
    "many stages": (of_configuration(n_conv_per_stage_encoder=[1] * 100_000), "n_conv_per_stage_encoder is "),
    "many features": (of_configuration(UNet_base_num_features=10**9), "UNet_base_num_features is 1000000000, expected"),
    "pooling": (of_configuration(pool_op_kernel_sizes=[[1, 1, 1]] * 1000), "pool_op_kernel_sizes is "),
}


def long_chain(plans: Plans) -> None:
    configurations = plans["configurations"]
    for number in range(30):
        configurations[f"c{number}"] = {"inherits_from": f"c{number + 1}"}
    configurations["c30"] = configurations["3d_fullres"]
    configurations["3d_fullres"] = {"inherits_from": "c0"}


@pytest.mark.parametrize(
    ("plans", "spoil", "message"),
    [
        *((make_plans(), *each) for each in PLANS.values()),
        *((to_old_style(make_plans()), *each) for each in OLD_PLANS.values()),
        (make_plans(), long_chain, "inherits from more than 20 others"),
    ],
    ids=[*PLANS, *(f"old: {name}" for name in OLD_PLANS), "long chain"],
)
def test_plans_beyond_their_bounds_are_refused(
    plans: Plans, spoil: Callable[[Plans], object], message: str, own_model_folder: Path
) -> None:
    spoil(plans)
    path = own_model_folder / "plans.json"
    path.write_text(json.dumps(plans))
    with pytest.raises(ModelError) as error:
        ModelFolder.read(own_model_folder)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_plans_as_nnunet_has_them_are_within_their_bounds(tmp_path: Path) -> None:
    published = make_plans((192, 192, 192), (32, 64, 128, 256, 320, 320), (1, 3, 4, 6, 6, 6))
    from lesionclick.model.network_plan import NetworkPlan

    configuration = published["configurations"]["3d_fullres"]
    assert NetworkPlan.read(configuration["architecture"]).read_patch(configuration) == (192, 192, 192)
    plans = make_plans()
    of_network(kernel_sizes=3, n_conv_per_stage_decoder=1, n_blocks_per_stage=1, nonlin="torch.nn.ReLU")(plans)
    of_resampling(separate_z_anisotropy_threshold=3)(plans)
    edit = plans["foreground_intensity_properties_per_channel"]["1"]
    edit.update(mean=np.float64(7).item(), min=-1e30, max=math.inf)
    model = ModelFolder.read(write_model(tmp_path / "model", plans))
    assert model.load(model.folds[0]) is not None


DATASETS: dict[str, tuple[dict[str, Any], str]] = {
    "background 1": ({"labels": {"background": 1, "tumor": 0}}, "expected background as 0 and one lesion label as 1"),
    "no background": ({"labels": {"nothing": 0, "tumor": 1}}, "expected background as 0 and one lesion label as 1"),
    "truths": ({"labels": {"background": False, "tumor": True}}, "expected background as 0 and one lesion label as 1"),
    "regions": ({"labels": {"background": 0, "tumor": [1, 2]}}, "expected background as 0 and one lesion label as 1"),
    "MR": ({"channel_names": {"0": "CT", "1": "MR"}}, "expected CT as 0 and PET as 1"),
    "numbers": ({"channel_names": {"0": "CT", "1": 5}}, "expected CT as 0 and PET as 1"),
    "from 1": ({"channel_names": {"1": "CT", "2": "PET"}}, "expected CT as 0 and PET as 1"),
}


@pytest.mark.parametrize(("changes", "message"), DATASETS.values(), ids=DATASETS)
def test_datasets_of_other_things_are_refused(changes: dict[str, Any], message: str, own_model_folder: Path) -> None:
    edit_json(own_model_folder / "dataset.json", lambda dataset: dataset.update(changes))
    with pytest.raises(ModelError, match=f"dataset.json: .*{message}"):
        ModelFolder.read(own_model_folder)


@pytest.mark.parametrize(
    "axes", ["012", [0, 0, 1], list(range(3)) * 1000, [math.inf], [0.0], [True], [3], [-1], {"0": 1}, 5, ["0"]]
)
def test_mirror_axes_are_axes_each_once(axes: Any, own_model_folder: Path) -> None:
    edit_checkpoint(own_model_folder / CHECKPOINT, lambda stored: stored.update(inference_allowed_mirroring_axes=axes))
    with pytest.raises(ModelError, match=r"checkpoint_final\.pth: .*ax[ie]s"):
        ModelFolder.read(own_model_folder)


def test_images_that_take_too_many_passes_are_refused(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ModelFolder.read(model_folder)
    image = np.ones((2, 20, 20, 20), np.float32)
    _, grid = model.preprocessing.to_network(image, (3.0, 2.0364201, 2.0364201))
    model.require_few_passes(grid)
    with pytest.raises(
        CaseError, match=r"take 59,319 tiles of 16 x 16 x 16 and 949,104 forward passes of .*expected at"
    ):
        model.require_few_passes(dataclasses.replace(grid, shape=(320, 320, 320)))
    monkeypatch.setattr(network_grid, "available_memory", lambda: 1 << 20)
    with pytest.raises(
        CaseError, match=r"voxels on the networks' grid of 3 x 2\.03642 x 2\.03642 mm, which take .* GB"
    ):
        model.preprocessing.to_network(image, (50.0, 50.0, 50.0))
