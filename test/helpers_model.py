"""Damage done to model folders in tests, and what a network gives for noise."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn


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
