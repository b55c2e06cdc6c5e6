"""Models of tests: damage done to their folders, one that marks what is hot, and what a network gives for noise."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lesionclick.testing import make_plans, write_model


def edit_json(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Changes the content of a JSON file in place."""
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def edit_checkpoint(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Changes the content of a checkpoint in place; it is unpickled without restriction."""
    checkpoint = torch.load(path, weights_only=False)
    edit(checkpoint)
    torch.save(checkpoint, path)


def flip_bit(path: Path) -> None:
    """Damages a file: one bit of the byte in its middle is turned over."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def output_of_noise(network: nn.Module, channels: int, patch: Sequence[int]) -> torch.Tensor:
    """What a network makes of the same random patch each time: logits of shape (1, classes, z, y, x)."""
    noise = torch.randn(1, channels, *patch, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        output: torch.Tensor = network(noise)
    return output


def write_threshold_model(folder: Path, threshold: float = 2.0) -> Path:
    """A model that marks what is hot: PET, and a little of the CT, above the patch's mean by some standard deviations.

    All weights are 0 but for one feature, which residual blocks and skip connections hand on as it is. Patches of
    144 x 384 x 384 mm hold the whole of a phantom's body, so that their means are much alike.
    """
    plans = make_plans(patch=(24, 64, 64), features=(2, 4), spacing=(6.0, 6.0, 6.0))
    write_model(folder, plans, organ_heads=False)

    def keep_one_feature(checkpoint: dict[str, Any]) -> None:
        weights = checkpoint["network_weights"]
        for name, weight in weights.items():
            if weight.ndim > 1 or name.endswith("bias"):
                weight.zero_()
            else:
                weight.fill_(1.0)  # of normalization
        for prefix in ("encoder.", "decoder.encoder."):
            for layer in ("conv", "all_modules.0"):
                weights[f"{prefix}stem.convs.0.{layer}.weight"][0, :2, 1, 1, 1] = torch.tensor([0.1, 1.0])  # CT, PET
        for layer in ("conv", "all_modules.0"):
            weights[f"decoder.stages.0.convs.0.{layer}.weight"][0, 2, 1, 1, 1] = 1.0  # behind 2 features from below
        weights["decoder.seg_layers.0.weight"][1, 0] = 1.0
        weights["decoder.seg_layers.0.bias"][1] = -threshold

    edit_checkpoint(folder / "fold_0" / "checkpoint_final.pth", keep_one_feature)
    return folder
