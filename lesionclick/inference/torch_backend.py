"""torch backend: networks on any device, in the precision asked for."""

import threading

import torch
from torch import nn

from lesionclick.inference.backend import Precision

MODULES_LOCK = threading.Lock()
"""Held while torch's modules compute or are traced: tracing changes how all modules of the process are called, and the
flags of cuDNN are those of the process too."""


class TorchNetwork:
    """A network that torch computes with autocast, as nnU-Net does it.

    Kernels are kept in the number format to which autocast would round them for each tile.
    """

    def __init__(self, network: nn.Module, device: torch.device, precision: Precision) -> None:
        """Takes a network to a device; it is not to be used otherwise afterwards."""
        self._dtype = getattr(torch, precision)
        for module in network.modules():
            if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
                module.to(self._dtype)
        self._network = network.to(device)

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """See `Network`."""
        reduced = self._dtype != torch.float32
        # cuDNN tries its algorithms once for each shape; float32 means float32, not TF32
        with (
            MODULES_LOCK,
            torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False),
            torch.autocast(batch.device.type, self._dtype if reduced else None, enabled=reduced),
        ):
            if batch.device.type == "cpu":  # how oneDNN splits a sum depends on the size of the batch
                return torch.cat([self._network(sample[None]) for sample in batch]).float()
            result: torch.Tensor = self._network(batch)
        return result.float()
