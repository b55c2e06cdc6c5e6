"""Time and peak memory of resampling a channel of 400 x 400 x 326 voxels to 5 mm and back: nnU-Net's function and ours.

    python -m benchmarks.resampling [ROUNDS]

Each run is a process of its own; medians.
"""

import json
import statistics
import sys

from benchmarks.engine import launch

SHAPE, SPACING = (326, 400, 400), (3.0, 2.0364201, 2.0364201)
NEW_SHAPE, NEW_SPACING = (196, 163, 163), (5.0, 5.0, 5.0)
WAYS = {
    "in, cubic": (SHAPE, NEW_SHAPE, SPACING, NEW_SPACING, 3),
    "back, linear": (NEW_SHAPE, SHAPE, NEW_SPACING, SPACING, 1),
}
RUN = """
import json, sys, time
import numpy as np
from lesionclick.resampling import resample, resample_data_or_seg_to_shape
side, shape, new_shape, spacing, new_spacing, order = json.loads(sys.argv[1])
options = {"is_seg": False, "order": order, "order_z": 0, "force_separate_z": None}
volume = np.random.default_rng(0).normal(size=shape).astype(np.float32)
start = time.perf_counter()
if side == "lesionclick":
    resample(volume, new_shape, spacing, new_spacing, options)
else:
    resample_data_or_seg_to_shape(volume[None], new_shape, spacing, new_spacing, **options)
print(time.perf_counter() - start)
"""


def main() -> None:
    """Prints a Markdown table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    print(f"| medians of {rounds} | nnU-Net, s | lesionclick, s | times as fast | nnU-Net, GB | lesionclick, GB |")
    print("| --- " * 6 + "|")
    for name, way in WAYS.items():
        seconds: dict[str, list[float]] = {"nnU-Net": [], "lesionclick": []}
        memory: dict[str, list[float]] = {"nnU-Net": [], "lesionclick": []}
        for _ in range(rounds):
            for side in seconds:
                found, output = launch(["-c", RUN, json.dumps([side, *way])])
                seconds[side].append(float(output))
                memory[side].append(found["memory"])
        theirs, ours = (statistics.median(seconds[side]) for side in seconds)
        peaks = (f"{statistics.median(memory[side]):.2f}" for side in memory)
        print(f"| {name} | {theirs:.2f} | {ours:.2f} | {theirs / ours:.1f} | {' | '.join(peaks)} |", flush=True)


if __name__ == "__main__":
    main()
