"""Machine: what computes here, and how fast it could at best."""

import math
import os
import platform
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import openvino
import torch
from torch.utils.flop_counter import FlopCounterMode

from lesionclick.model import unet

CPU_INFO = Path("/proc/cpuinfo")


def describe_machine(device: str) -> str:
    """Device, cores, whether the CPU has bfloat16 instructions, and the versions of the libraries that compute."""
    try:
        found = re.search(r"\b\w*bf16\b", CPU_INFO.read_text())  # avx512_bf16, amx_bf16, bf16 on ARM
        instructions = f"bfloat16 instructions: {found[0] if found else 'none'}"
    except OSError:
        instructions = "bfloat16 instructions: unknown"
    gpu = f", {torch.cuda.get_device_name()}" if device == "cuda" else ""
    return (
        f"{device}{gpu}, {os.cpu_count()} cores ({platform.machine()}, {instructions}), torch {torch.__version__}, "
        f"openvino {openvino.__version__.partition('-')[0]}"
    )


def tile_flops(architecture: Mapping[str, Any], channels: int, patch: Sequence[int]) -> float:
    """FLOPs of one forward pass over one tile."""
    model = unet.build_network(architecture, channels)
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(1, channels, *patch, device="meta"))
    return float(counter.get_total_flops())


def product_rate(device: str, precision: str) -> float:
    """FLOP/s of a large matrix product, best of several."""
    size, best = 8192 if device == "cuda" else 2048, math.inf
    factor = torch.rand(size, size, device=device).to(getattr(torch, precision))
    for _ in range(10):
        start = time.perf_counter()
        torch.mm(factor, factor)
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2.0 * size**3 / best


def describe_limit(seconds: float, flops: float, device: str, precision: str) -> str:
    """How near so many FLOPs in so many seconds come to the rate of a matrix product in that number format."""
    rate = product_rate(device, precision)
    limit = flops / rate
    return (
        f"{flops / 1e9:.5g} GFLOP in {precision}; a matrix product makes {rate / 1e9:.0f} GFLOP/s, so the limit is "
        f"{limit:.3g} s. Share of the limit achieved: {limit / seconds:.1%}. Network time over limit: "
        f"{seconds / limit:.2f}."
    )
