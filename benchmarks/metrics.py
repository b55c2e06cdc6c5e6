"""Metrics: time of the challenge's metrics on a whole-body pair, a mask a component against `lesionclick`.

    python -m benchmarks.metrics [--rounds N] [--planes N]

The peer computes Dice, FPvol and FNvol the way the challenge's script does it: components by cc3d, then for each of
them a mask of the whole volume and a sum over its overlap with the other mask. The detection F1, which `lesionclick`
gives as well, is not asked of it. The pair: 400 x 400 x 326 voxels, 60 true lesions, 50 of them found, and 10 false
ones; with fewer planes fewer of each.
"""

import argparse
import statistics
import time
from collections.abc import Sequence

import cc3d
import numpy as np

from lesionclick.evaluation.metrics import score_mask

PLANES, ROWS, COLUMNS = 326, 400, 400
SPACING = (3.0, 2.04, 2.04)


def make_pair(planes: int = PLANES) -> tuple[np.ndarray, np.ndarray]:
    """Prediction and truth, uint8: balls on a lattice, the predicted ones moved by a voxel, a sixth of each alone."""
    lattice = [(z, y, x) for z in range(30, planes - 20, 50) for y in (80, 200, 320) for x in (60, 160, 260, 360)]
    alone = len(lattice) // 7
    up, back, left = np.ogrid[-12:13, -12:13, -12:13]
    ball = (up**2 + back**2 + left**2 <= 100).astype(np.uint8)
    prediction, truth = (np.zeros((planes, ROWS, COLUMNS), dtype=np.uint8) for _ in range(2))
    for mask, chosen, shift in ((truth, lattice[: 6 * alone], 0), (prediction, lattice[alone : 7 * alone], 1)):
        for z, y, x in chosen:
            mask[z - 12 : z + 13, y - 12 : y + 13, x - 12 + shift : x + 13 + shift] |= ball
    return prediction, truth


def volume_by_volume(prediction: np.ndarray, truth: np.ndarray) -> tuple[float, float, float]:
    """Dice, FPvol and FNvol in ml, masking the whole volume once a component."""
    voxel_ml = float(np.prod(SPACING)) / 1000
    dice = 2 * np.sum(prediction * truth) / (np.sum(prediction) + np.sum(truth))
    lone = []
    for mask, other in ((prediction, truth), (truth, prediction)):
        labels = cc3d.connected_components(mask, connectivity=18)
        volume = 0.0
        for component in range(1, labels.max() + 1):
            alone = np.isin(labels, component)
            if (alone * other).sum() == 0:
                volume += float(alone.sum()) * voxel_ml
        lone.append(volume)
    return float(dice), lone[0], lone[1]


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a Markdown table of medians."""
    parser = argparse.ArgumentParser(prog="benchmarks.metrics", description="time of the challenge's metrics")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    parser.add_argument("--planes", type=int, default=PLANES, help="of the volumes; default: 326")
    options = parser.parse_args(arguments)
    prediction, truth = make_pair(options.planes)
    theirs, ours = [], []
    for _ in range(options.rounds):
        start = time.perf_counter()
        expected = volume_by_volume(prediction, truth)
        theirs.append(time.perf_counter() - start)
        start = time.perf_counter()
        found = score_mask(prediction, truth, SPACING)
        ours.append(time.perf_counter() - start)
        same = (found.dice, found.false_positive_ml, found.false_negative_ml)
        np.testing.assert_allclose(same, expected, rtol=1e-7)
    lesions = int(cc3d.connected_components(truth).max())
    shape = " x ".join(map(str, truth.shape[::-1]))
    print(f"| {shape} voxels, {lesions} lesions | seconds (range) | times as fast |")
    print("| --- | --- | --- |")
    for name, seconds_of in (("whole volume once a component", theirs), ("lesionclick", ours)):
        middle = statistics.median(seconds_of)
        ratio = statistics.median(theirs) / middle
        print(f"| {name} | {middle:.2f} ({min(seconds_of):.2f} to {max(seconds_of):.2f}) | {ratio:.1f} |")


if __name__ == "__main__":
    main()
