"""Resampling: a channel of 400 x 400 x 326 voxels to 5 mm and back, by nnU-Net's function and ours.

    python -m benchmarks.resampling [--rounds N] [--shrink FACTOR]

Time and peak memory; each run is a process of its own; medians.
"""

import argparse
import json
import statistics
from collections.abc import Sequence

from benchmarks.launch import launch

SHAPE, SPACING = (326, 400, 400), (3.0, 2.0364201, 2.0364201)
NEW_SHAPE, NEW_SPACING = (196, 163, 163), (5.0, 5.0, 5.0)
SIDES = ("nnunet", "lesionclick")


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a Markdown table."""
    parser = argparse.ArgumentParser(prog="benchmarks.resampling", description="resampling to 5 mm and back")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    parser.add_argument("--shrink", type=int, default=1, help="divides the edges of the volume, for a quick look")
    options = parser.parse_args(arguments)
    shape, new_shape = ([edge // options.shrink for edge in each] for each in (SHAPE, NEW_SHAPE))
    ways = {
        "in, cubic": (shape, new_shape, SPACING, NEW_SPACING, 3),
        "back, linear": (new_shape, shape, NEW_SPACING, SPACING, 1),
    }
    print(f"| medians of {options.rounds} | nnU-Net, s | ours, s | times as fast | nnU-Net, GB | ours, GB |")
    print("| --- " * 6 + "|")
    for name, way in ways.items():
        seconds: dict[str, list[float]] = {side: [] for side in SIDES}
        memory: dict[str, list[float]] = {side: [] for side in SIDES}
        for _ in range(options.rounds):
            for side in SIDES:
                launched = launch(["-m", "benchmarks.processes.resample_volume", side, json.dumps(way)])
                seconds[side].append(float(launched.output))
                memory[side].append(launched.memory)
        theirs, ours = (statistics.median(seconds[side]) for side in SIDES)
        peaks = (f"{statistics.median(memory[side]):.2f}" for side in SIDES)
        print(f"| {name} | {theirs:.2f} | {ours:.2f} | {theirs / ours:.1f} | {' | '.join(peaks)} |", flush=True)


if __name__ == "__main__":
    main()
