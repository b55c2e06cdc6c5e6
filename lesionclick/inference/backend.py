"""Backends and precisions by name, and what a network ready to compute is."""

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    pass


Network = Callable[[torch.Tensor], torch.Tensor]
"""From a batch (n, channel, z, y, x), float32 or the engine's `input_dtype`, to float32 logits (n, 2, z, y, x), all on
the engine's device."""


class Backend(StrEnum):
    """Libraries that compute networks; `auto` is OpenVINO on the CPU and torch elsewhere."""

    auto = "auto"
    torch = "torch"
    openvino = "openvino"


class Precision(StrEnum):
    """Number formats of a network's convolutions.

    `auto` is float16 on CUDA and, on the CPU, what OpenVINO takes there: bfloat16 where the CPU has instructions for
    it, else float32; float32 in torch.
    """

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"
