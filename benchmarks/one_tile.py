"""One tile: what a tile of the published network costs here, and what a large case would cost.

    python -m benchmarks.one_tile [--device cpu|cuda]

On a GPU also with the alternatives: number formats and memory layouts. Weights are random; seconds are the median of
three forward passes after one to warm up. The large case has 400 x 400 x 326 voxels, with tiles everywhere.
"""

import argparse
import itertools
import math
import resource
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from benchmarks.machine import describe_limit, describe_machine, tile_flops
from benchmarks.sizes import SIZES
from lesionclick.inference.engine import Engine
from lesionclick.inference.tiles import TileGrid
from lesionclick.model import unet
from lesionclick.testing import make_plans

LARGE_CASE = (326, 400, 400)
NETWORKS, MIRRORINGS = 10, 8


def measure(device: str, size: str) -> None:
    """Prints the figures of a network of a size of `SIZES`."""
    configuration = make_plans(**SIZES[size])["configurations"]["3d_fullres"]
    architecture, patch = configuration["architecture"], tuple(configuration["patch_size"])
    flops = tile_flops(architecture, 4, patch)
    tiles = len(TileGrid(LARGE_CASE, patch).tiles)
    layouts, precisions = ["contiguous_format"], ["auto"]
    if device == "cuda":
        layouts.append("channels_last_3d")
        precisions += ["bfloat16", "float32"]
    print(f"One tile of {' x '.join(map(str, patch))} voxels; {describe_machine(device)}.\n")
    print(
        f"| engine, memory layout | tile, s | {tiles} tiles, {NETWORKS} networks, min | {MIRRORINGS} mirrorings, min | "
        "peak memory, GB |"
    )
    print("| --- " * 5 + "|")
    limits = []
    for precision, layout in itertools.product(precisions, layouts):
        engine = Engine.choose(device, precision=precision)
        seconds = time_tile(engine, architecture, patch, getattr(torch, layout))
        minutes = tiles * NETWORKS * seconds / 60
        print(
            f"| {engine}, {layout} | {seconds:.2f} | {minutes:.0f} | {MIRRORINGS * minutes:.0f} | {_peak(device)} |",
            flush=True,
        )
        limits.append(f"{engine}, {layout}: {describe_limit(seconds, flops, device, engine.precision)}")
    print("\n" + "\n".join(limits))


def _peak(device: str) -> str:
    """Peak memory of the process so far, and that of the GPU since it was asked last."""
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    if device != "cuda":
        return f"{host:.2f}"
    gpu = torch.cuda.max_memory_reserved() / 1e9
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return f"{host:.2f}, GPU {gpu:.2f}"


def time_tile(
    engine: Engine, architecture: Mapping[str, Any], patch: Sequence[int], layout: torch.memory_format
) -> float:
    """Seconds of a forward pass of a random network over one tile."""
    model = unet.build_network(architecture, 4)
    shapes = unet.parameter_shapes(model)
    unet.set_weights(
        model, {name: torch.randn(shape) * (2 / math.prod(shape[1:])) ** 0.5 for name, shape in shapes.items()}
    )
    compute = engine.prepare(model.to(memory_format=layout), 4, patch)
    tile = torch.randn(1, 4, *patch, device=engine.device).to(engine.input_dtype, memory_format=layout)
    times = []
    with torch.inference_mode():
        for _ in range(4):
            start = time.perf_counter()
            compute(tile).cpu()
            times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(prog="benchmarks.one_tile", description="one tile of the published network")
    parser.add_argument("--size", choices=list(SIZES), default="full", help="of the network; default: as published")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args(arguments)
    measure(options.device, options.size)


if __name__ == "__main__":
    main()
