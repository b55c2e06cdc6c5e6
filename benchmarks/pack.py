"""Pack: size and loading time of one full-size network, stock nnU-Net's checkpoint against a float16 pack of it.

    python -m benchmarks.pack [--rounds N] [--size full|small]

Makes a checkpoint of the published architecture (102.4 M parameters, random weights, optimizer state) in a temporary
folder, packs it, and loads both to a float32 network on the CPU, each in a process of its own, alternating. "Stock
nnU-Net" is what `nnUNetPredictor.initialize_from_trained_model_folder` does: `torch.load` of the whole checkpoint, a
freshly initialized network from the plans, `load_state_dict`. Imports and the reading of plans.json are outside the
clock; checking the sha256 sums is inside. Files are in the page cache, as a second run finds them.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.launch import launch
from benchmarks.sizes import SIZES
from lesionclick.model.files import CHECKPOINT_FILE, PACKED_FILE
from lesionclick.model.pack import pack
from lesionclick.testing import make_plans, write_model


def measure(side: str, folder: Path) -> dict[str, float]:
    """What `benchmarks.processes.load_network` prints of a folder's first network."""
    output = launch(["-m", "benchmarks.processes.load_network", side, folder]).output
    figures: dict[str, float] = json.loads(output.splitlines()[-1])
    return figures


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a Markdown table."""
    parser = argparse.ArgumentParser(prog="benchmarks.pack", description="loading a network, checkpoint against pack")
    parser.add_argument("--rounds", type=int, default=7, help="default: 7")
    parser.add_argument("--size", choices=list(SIZES), default="full", help="of the network; default: as published")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        plain = write_model(Path(temporary) / "plain", make_plans(**SIZES[options.size]), organ_heads=False)
        packed = pack(plain, Path(temporary) / "packed")
        ways = {
            "stock nnU-Net, checkpoint": ("stock", plain, CHECKPOINT_FILE),
            "lesionclick, checkpoint": ("lesionclick", plain, CHECKPOINT_FILE),
            "lesionclick, float16 pack": ("lesionclick", packed.path, PACKED_FILE),
        }
        found: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
        for _ in range(options.rounds):
            for name, (side, folder, _file) in ways.items():
                found[name].append(measure(side, folder))
        stock = statistics.median(figures["seconds"] for figures in found["stock nnU-Net, checkpoint"])
        network = f"one network of {packed.parameters / 1e6:.1f} M parameters"
        print(f"| {network} | file, MB | loading, s (range) | times as fast | peak memory, GB |")
        print("| --- " * 5 + "|")
        for name, (_, folder, file) in ways.items():
            times = sorted(figures["seconds"] for figures in found[name])
            median = statistics.median(times)
            peak = statistics.median(figures["memory"] for figures in found[name])
            size = (folder / "fold_0" / file).stat().st_size / 1e6
            print(
                f"| {name} | {size:.1f} | {median:.2f} ({times[0]:.2f} to {times[-1]:.2f}) | {stock / median:.1f} "
                f"| {peak:.2f} |"
            )


if __name__ == "__main__":
    main()
