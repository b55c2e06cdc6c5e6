"""Plans of nnU-Net with a network of a given size, for a dataset whose fingerprint nnU-Net has taken.

nnU-Net's planner fits patch and network to the memory of a GPU; here they are given, and all else is as it writes it.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
from nnunetv2.preprocessing.resampling.default_resampling import compute_new_shape

from lesionclick.errors import CaseError
from lesionclick.files import read_json_object, write_json
from lesionclick_training.nnunet.network_sizes import CONFIGURATION, LOW_UPTAKE, NetworkPlan, PETNormalization

PET_CHANNEL = "1"


def write_plans(
    preprocessed: Path, plan: NetworkPlan, pet_normalization: PETNormalization = PETNormalization.published
) -> Path:
    """Writes the plans of a dataset for nnU-Net's preprocessing and training.

    Args:
        preprocessed: the dataset's folder of preprocessed data, with nnU-Net's dataset_fingerprint.json.
        plan: size of the network to train.
        pet_normalization: numbers that the PET is normalized by.

    Returns:
        The file, <plans_name>.json in that folder.

    Raises:
        CaseError: no case of the dataset has a lesion, so that no intensities to normalize with are known; or the
            fingerprint cannot be read, or the plans not be written.
    """
    path = preprocessed / f"{plan.plans_name}.json"
    fingerprint_path = preprocessed / "dataset_fingerprint.json"
    fingerprint = read_json_object(fingerprint_path, CaseError)
    intensities = fingerprint["foreground_intensity_properties_per_channel"]
    if not all(math.isfinite(value) for channel in intensities.values() for value in channel.values()):
        raise CaseError(f"{fingerprint_path}: holds no intensities of lesions, expected a lesion in some case")
    write_json(make_plans(preprocessed.name, fingerprint, plan, pet_normalization), path)
    return path


def make_plans(
    dataset_name: str,
    fingerprint: dict[str, Any],
    plan: NetworkPlan,
    pet_normalization: PETNormalization = PETNormalization.published,
) -> dict[str, Any]:
    """The content of a plans file.

    Args:
        dataset_name: DatasetXXX_Name.
        fingerprint: of that dataset, as nnU-Net's extractor takes it; the intensities are those of lesion voxels.
        plan: size of the network to train.
        pet_normalization: numbers that the PET is normalized by.
    """
    intensities = dict(fingerprint["foreground_intensity_properties_per_channel"])
    if pet_normalization == PETNormalization.low_uptake:
        intensities[PET_CHANNEL] = {**intensities[PET_CHANNEL], **LOW_UPTAKE}
    spacings, shapes = fingerprint["spacings"], fingerprint["shapes_after_crop"]
    resampled = [compute_new_shape(shape, old, plan.spacing) for shape, old in zip(shapes, spacings, strict=True)]
    return {
        "dataset_name": dataset_name,
        "plans_name": plan.plans_name,
        "original_median_spacing_after_transp": np.median(spacings, axis=0).tolist(),
        "original_median_shape_after_transp": np.median(shapes, axis=0).round().astype(int).tolist(),
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {CONFIGURATION: _configuration(plan, np.median(resampled, axis=0).tolist())},
        "experiment_planner_used": "lesionclick_training",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": intensities,
    }


def _configuration(plan: NetworkPlan, median_shape: list[float]) -> dict[str, Any]:
    resampling = "resample_data_or_seg_to_shape"
    arguments = {"is_seg": False, "order_z": 0, "force_separate_z": None}
    return {
        "data_identifier": f"{plan.plans_name}_{CONFIGURATION}",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": plan.batch_size,
        "patch_size": list(plan.patch),
        "median_image_size_in_voxels": median_shape,
        "spacing": list(plan.spacing),
        "normalization_schemes": ["CTNormalization", "CTNormalization"],  # CT and PET alike, arXiv 2508.21680
        "use_mask_for_norm": [False, False],
        "resampling_fn_data": resampling,
        "resampling_fn_data_kwargs": {**arguments, "order": 3},
        "resampling_fn_seg": resampling,
        "resampling_fn_seg_kwargs": {**arguments, "is_seg": True, "order": 1},
        "resampling_fn_probabilities": resampling,
        "resampling_fn_probabilities_kwargs": {**arguments, "order": 1},
        "architecture": _architecture(plan),
        "batch_dice": False,
    }


def _architecture(plan: NetworkPlan) -> dict[str, Any]:
    stages = len(plan.features)
    return {
        "network_class_name": "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet",
        "arch_kwargs": {
            "n_stages": stages,
            "features_per_stage": list(plan.features),
            "conv_op": "torch.nn.modules.conv.Conv3d",
            "kernel_sizes": [[3, 3, 3]] * stages,
            "strides": [[1, 1, 1], *[[2, 2, 2]] * (stages - 1)],
            "n_blocks_per_stage": list(plan.blocks),
            "n_conv_per_stage_decoder": [1] * (stages - 1),
            "conv_bias": True,
            "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
            "norm_op_kwargs": {"eps": 1e-05, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }
