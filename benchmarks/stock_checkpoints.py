"""Stock checkpoints: the networks of a model folder as nnU-Net itself reads them."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

from lesionclick.model import unet
from lesionclick.model.files import CHECKPOINT_FILE, DATASET_FILE, PLANS_FILE, PROMPT_FILE
from lesionclick.model.folder import ModelFolder


def write_checkpoints(model: ModelFolder, out: Path, *, stock: bool) -> Path:
    """Writes a model folder with nnU-Net's checkpoints of the same weights.

    Args:
        model: packed or not.
        out: the folder to make.
        stock: whether its dataset and plans list the click maps as channels, as stock nnU-Net needs it and
            `ModelFolder` does not.

    Returns:
        The folder. Its checkpoints hold no optimizer's state, which would only slow stock nnU-Net down.
    """
    out.mkdir(parents=True)
    plans, dataset = (json.loads((model.path / name).read_text()) for name in (PLANS_FILE, DATASET_FILE))
    name = model.folds[0].configuration
    if stock and model.channels == 4:
        dataset["channel_names"].update({"2": "tumor clicks", "3": "background clicks"})
        normalizations = model.preprocessing.normalizations
        plans["configurations"][name] |= {
            "normalization_schemes": [*(type(each).__name__ for each in normalizations), *["NoNormalization"] * 2],
            "use_mask_for_norm": [*(each.use_mask_for_norm for each in normalizations), False, False],
        }
        intensities = plans["foreground_intensity_properties_per_channel"]
        intensities.update(dict.fromkeys("23", intensities["1"]))  # read, then not used
    (out / PLANS_FILE).write_text(json.dumps(plans))
    (out / DATASET_FILE).write_text(json.dumps(dataset))
    (out / PROMPT_FILE).write_text(json.dumps(model.encoding.to_json()))
    for fold in model.folds:
        path = out / fold.path.parent.name / CHECKPOINT_FILE
        path.parent.mkdir()
        checkpoint = {
            "network_weights": _stock_state(model, dict(model.load(fold).named_parameters())),
            "trainer_name": "nnUNetTrainer",
            "init_args": {"plans": plans, "configuration": name, "fold": fold.name},
            "inference_allowed_mirroring_axes": fold.mirror_axes or None,
        }
        torch.save(checkpoint, path)
    return out


def _stock_state(model: ModelFolder, weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The state of nnU-Net's own network with our weights; heads for deep supervision keep their first values."""
    keys = ("network_class_name", "arch_kwargs", "_kw_requires_import")
    theirs: torch.nn.Module = get_network_from_plans(
        *(model.architecture[key] for key in keys), model.channels, unet.CLASSES, deep_supervision=False
    )
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if name in weights:
                parameter.copy_(weights[name])
    return theirs.state_dict()
