"""Engine: where and how networks compute, torch on any device or OpenVINO on the CPU."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from lesionclick.errors import DeviceError
from lesionclick.inference.backend import Backend, Network, Precision
from lesionclick.inference.openvino_backend import OpenVINONetwork, openvino_precision
from lesionclick.inference.torch_backend import TorchNetwork


@dataclass(frozen=True)
class Engine:
    """Where and how networks compute.

    Attributes:
        device: their inputs and outputs are there.
        backend: torch or openvino.
        precision: any but auto.
    """

    device: torch.device
    backend: Backend
    precision: Precision

    @classmethod
    def choose(cls, device: str = "auto", backend: str = "auto", precision: str = "auto") -> "Engine":
        """The engine behind names of a device, a `Backend` and a `Precision`.

        Raises:
            DeviceError: there is no such device, or it has no such backend or precision.
        """
        where = _resolve_device(device)
        chosen_backend, chosen_precision = Backend(backend), Precision(precision)
        if chosen_backend == Backend.auto:
            chosen_backend = Backend.openvino if where.type == "cpu" else Backend.torch
        if chosen_backend == Backend.openvino and where.type != "cpu":
            raise DeviceError(f"backend openvino computes on the CPU alone, not on {where}")
        if chosen_backend == Backend.openvino:
            chosen_precision = openvino_precision(chosen_precision)
        elif chosen_precision == Precision.auto:
            chosen_precision = Precision.float16 if where.type == "cuda" else Precision.float32
        return cls(where, chosen_backend, chosen_precision)

    def __str__(self) -> str:
        return f"{self.device}, {self.backend}, {self.precision}"

    @property
    def input_dtype(self) -> torch.dtype:
        """In which networks' inputs may be kept: torch's first convolution rounds them to its precision anyway."""
        if self.backend == Backend.openvino:
            return torch.float32
        dtype: torch.dtype = getattr(torch, self.precision)
        return dtype

    def prepare(self, network: nn.Module, channels: int, patch: Sequence[int]) -> Network:
        """Makes a network ready to compute here.

        Args:
            network: for inference, as `ModelFolder.load` gives it; not to be used otherwise afterwards.
            channels: those of its input.
            patch: the size of the tiles to come, z, y, x.
        """
        if self.backend == Backend.openvino:
            return OpenVINONetwork(network, (1, channels, *patch), self.precision)
        return TorchNetwork(network, self.device, self.precision)


def _resolve_device(name: str) -> torch.device:
    """The device behind "auto" (CUDA where there is some), "cpu", "cuda" or "cuda:N"."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, colon, index = name.partition(":")
    if name != "cpu" and not (kind == "cuda" and (not colon or index.isdecimal())):
        raise DeviceError(f"device {name!r} is unknown, expected auto, cpu, cuda or cuda:N")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if kind == "cuda" and int(index or 0) >= count:
        raise DeviceError(f"device {name!r} does not exist, this machine has {count} CUDA device(s)")
    return torch.device(name)
