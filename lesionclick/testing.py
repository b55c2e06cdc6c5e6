"""Model folders for tests and benchmarks: random weights in all that nnU-Net leaves behind, optimizer state included.

python -m lesionclick.testing full-size OUT [FOLDS]    the published architecture, 102.4 M parameters, patch 192^3
python -m lesionclick.testing small OUT [FOLDS]        0.15 M parameters, patch 64^3
"""

import argparse
import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet
from torch import nn

from lesionclick.case.organs import ORGAN_CLASSES
from lesionclick.model.files import CHECKPOINT_FILE, DATASET_FILE, PLANS_FILE, fold_folder
from lesionclick.model.plans import read_configuration

CONFIGURATION = "3d_fullres"

# arXiv 2508.21680 and the published plans: spacing, patch and network of the autoPET/CT IV ensemble
FULL_SIZE: dict[str, Any] = {
    "patch": (192, 192, 192),
    "features": (32, 64, 128, 256, 320, 320),
    "blocks": (1, 3, 4, 6, 6, 6),
}

SMALL: dict[str, Any] = {"patch": (64, 64, 64), "features": (8, 16, 32), "blocks": (1, 2, 2)}

INTENSITIES = {
    "0": {"mean": 107.7344, "std": 286.344, "percentile_00_5": -832.0627, "percentile_99_5": 1127.7585},
    "1": {"mean": 7.0638, "std": 7.9604, "percentile_00_5": 1.0433, "percentile_99_5": 51.2112},
}


def make_plans(
    patch: Sequence[int] = (16, 16, 16),
    features: Sequence[int] = (4, 8),
    blocks: Sequence[int] = (1, 1),
    spacing: Sequence[float] = (3.0, 2.0364201, 2.0364201),
    transpose: Sequence[int] = (0, 1, 2),
) -> dict[str, Any]:
    """A plans.json as nnU-Net 2.8 writes it, for a residual U-Net.

    Args:
        patch: voxels of the sliding window, in the order of the network's axes.
        features: channels of each stage of the encoder.
        blocks: residual blocks of each stage of the encoder.
        spacing: of the network's grid, mm, in the order of its axes.
        transpose: the image's axis (of z, y, x) behind each of the network's axes.
    """
    resampling = {"is_seg": False, "order_z": 0, "force_separate_z": None}
    return {
        "dataset_name": "Dataset999_Random",
        "plans_name": "nnUNetResEncUNetLPlans",
        "transpose_forward": list(transpose),
        "transpose_backward": [list(transpose).index(axis) for axis in range(3)],
        "configurations": {
            CONFIGURATION: {
                "preprocessor_name": "DefaultPreprocessor",
                "batch_size": 2,
                "patch_size": list(patch),
                "spacing": list(spacing),
                "normalization_schemes": ["CTNormalization", "CTNormalization"],
                "use_mask_for_norm": [False, False],
                "resampling_fn_data": "resample_data_or_seg_to_shape",
                "resampling_fn_data_kwargs": {**resampling, "order": 3},
                "resampling_fn_seg": "resample_data_or_seg_to_shape",
                "resampling_fn_seg_kwargs": {**resampling, "is_seg": True, "order": 1},
                "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
                "resampling_fn_probabilities_kwargs": {**resampling, "order": 1},
                "architecture": {
                    "network_class_name": "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet",
                    "arch_kwargs": {
                        "n_stages": len(features),
                        "features_per_stage": list(features),
                        "conv_op": "torch.nn.modules.conv.Conv3d",
                        "kernel_sizes": [[3, 3, 3]] * len(features),
                        "strides": [[1, 1, 1]] + [[2, 2, 2]] * (len(features) - 1),
                        "n_blocks_per_stage": list(blocks),
                        "n_conv_per_stage_decoder": [1] * (len(features) - 1),
                        "conv_bias": True,
                        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
                        "norm_op_kwargs": {"eps": 1e-05, "affine": True},
                        "dropout_op": None,
                        "dropout_op_kwargs": None,
                        "nonlin": "torch.nn.LeakyReLU",
                        "nonlin_kwargs": {"inplace": True},
                    },
                    "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
                },
            }
        },
        "foreground_intensity_properties_per_channel": copy.deepcopy(INTENSITIES),
    }


def to_old_style(plans: Mapping[str, Any]) -> dict[str, Any]:
    """The same plans as nnU-Net 2.1 to 2.3 writes them, with the network's numbers among those of the configuration."""
    old: dict[str, Any] = copy.deepcopy(dict(plans))
    configuration = old["configurations"][CONFIGURATION]
    network = configuration.pop("architecture")["arch_kwargs"]
    features, strides = network["features_per_stage"], network["strides"]
    configuration |= {
        "UNet_class_name": "ResidualEncoderUNet",
        "UNet_base_num_features": features[0],
        "unet_max_num_features": max(features),
        "n_conv_per_stage_encoder": network["n_blocks_per_stage"],
        "n_conv_per_stage_decoder": network["n_conv_per_stage_decoder"],
        "num_pool_per_axis": [sum(stage[axis] > 1 for stage in strides) for axis in range(3)],
        "pool_op_kernel_sizes": strides,
        "conv_kernel_sizes": network["kernel_sizes"],
    }
    return old


def write_model(
    folder: Path,
    plans: Mapping[str, Any],
    folds: Sequence[int | str] = (0,),
    channels: int = 4,
    organ_heads: bool = True,
    mirror_axes: Sequence[int] = (0, 1, 2),
    seed: int = 0,
) -> Path:
    """Writes a model folder as nnU-Net v2 leaves it after training.

    Args:
        folder: the folder to make.
        plans: as `make_plans` makes them, also in the old style.
        folds: numbers of its folds, or "all".
        channels: input channels, 4 or, without clicks, 2.
        organ_heads: whether the networks have the heads for organs that training adds.
        mirror_axes: spatial axes along which the networks may be mirrored.
        seed: of the weights.

    Returns:
        The folder.
    """
    folder.mkdir(parents=True)
    labels = {"background": 0, "tumor": 1}
    dataset = {"channel_names": {"0": "CT", "1": "PET"}, "labels": labels, "file_ending": ".nii.gz"}
    (folder / PLANS_FILE).write_text(json.dumps(plans, indent=1))
    (folder / DATASET_FILE).write_text(json.dumps(dataset, indent=1))
    generator = torch.Generator().manual_seed(seed)
    for fold in folds:
        network = _random_network(plans, channels, organ_heads, generator)
        optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.99, nesterov=True)
        for parameter in network.parameters():
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        path = folder / fold_folder(fold) / CHECKPOINT_FILE
        path.parent.mkdir()
        checkpoint = {
            "network_weights": network.state_dict(),
            "optimizer_state": optimizer.state_dict(),
            "grad_scaler_state": None,
            "logging": {"mean_fg_dice": [np.float64(0.5)], "train_losses": [np.float32(0.5)], "lrs": [1e-3]},
            "_best_ema": np.float64(0.5),
            "current_epoch": 1000,
            "init_args": {"plans": plans, "configuration": CONFIGURATION, "fold": fold, "device": torch.device("cpu")},
            "trainer_name": "nnUNetTrainer",
            "inference_allowed_mirroring_axes": tuple(mirror_axes) or None,
        }
        torch.save(checkpoint, path)
    return folder


def _random_network(
    plans: Mapping[str, Any], channels: int, organ_heads: bool, generator: torch.Generator
) -> ResidualEncoderUNet:
    arguments = copy.deepcopy(read_configuration(plans, CONFIGURATION)["architecture"]["arch_kwargs"])
    arguments.update(conv_op=nn.Conv3d, norm_op=nn.InstanceNorm3d, nonlin=nn.LeakyReLU)
    network = ResidualEncoderUNet(input_channels=channels, num_classes=2, deep_supervision=True, **arguments)
    if organ_heads:
        network.decoder.organ_seg_layers = nn.ModuleList(
            nn.Conv3d(head.in_channels, ORGAN_CLASSES, 1) for head in network.decoder.seg_layers
        )
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, (2 / parameter[0].numel()) ** 0.5, generator=generator)
            elif "norm.weight" not in name:
                parameter.normal_(0, 0.1, generator=generator)
    return network


def main() -> None:
    """Writes the model folder that the command line asks for."""
    sizes = {"full-size": FULL_SIZE, "small": SMALL}
    parser = argparse.ArgumentParser(description="Writes a model folder with random weights.")
    parser.add_argument("size", choices=sizes, help="architecture of the networks")
    parser.add_argument("out", type=Path, help="folder to make")
    parser.add_argument("folds", type=int, nargs="?", default=1, help="number of networks")
    arguments = parser.parse_args()
    write_model(arguments.out, make_plans(**sizes[arguments.size]), range(arguments.folds))


if __name__ == "__main__":
    main()
