"""Backends and precisions by name, and what a network ready to compute is. Loads no torch."""

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch


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


class Network(Protocol):
    """A network ready to compute on an engine's device."""

    def __call__(self, batch: "torch.Tensor") -> "torch.Tensor":
        """Logits of a batch.

        On the CPU what it gives for one input does not depend on the others, bit for bit.

        Args:
            batch: (n, channel, z, y, x) on the device, float32 or the engine's `input_dtype`.

        Returns:
            float32, (n, classes, z, y, x) on the device: background and lesion, or `case.organs.ORGAN_CLASSES`.
        """
        ...
