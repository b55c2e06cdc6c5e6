"""Time of the challenge's metrics on a whole-body pair: one mask of the whole volume a component against `lesionclick`.

    python -m benchmarks.metrics [ROUNDS]

The peer computes Dice, FPvol and FNvol the way the challenge's script does it: components by cc3d, then for each of
them a mask of the whole volume and a sum over its overlap with the other mask. The detection F1, which `lesionclick`
gives as well, is not asked of it. The pair: 400 x 400 x 326 voxels, 60 true lesions, 50 of
them found, and 10 false ones.
"""

import statistics
import sys
import time

import cc3d
import numpy as np

from lesionclick.evaluation.metrics import score_mask

SHAPE = (326, 400, 400)
SPACING = (3.0, 2.04, 2.04)
LESIONS = 60


def make_pair() -> tuple[np.ndarray, np.ndarray]:
    """Prediction and truth, uint8: balls on a lattice, the predicted ones moved by a voxel, ten of each alone."""
    lattice = [(z, y, x) for z in range(30, 320, 50) for y in (80, 200, 320) for x in (60, 160, 260, 360)]
    up, back, left = np.ogrid[-12:13, -12:13, -12:13]
    ball = (up**2 + back**2 + left**2 <= 100).astype(np.uint8)
    prediction, truth = np.zeros(SHAPE, dtype=np.uint8), np.zeros(SHAPE, dtype=np.uint8)
    for mask, chosen, shift in ((truth, lattice[:LESIONS], 0), (prediction, lattice[10 : LESIONS + 10], 1)):
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


def main(rounds: int) -> None:
    """Prints a Markdown table of medians."""
    prediction, truth = make_pair()
    theirs, ours = [], []
    for _ in range(rounds):
        start = time.perf_counter()
        expected = volume_by_volume(prediction, truth)
        theirs.append(time.perf_counter() - start)
        start = time.perf_counter()
        found = score_mask(prediction, truth, SPACING)
        ours.append(time.perf_counter() - start)
        same = (found.dice, found.false_positive_ml, found.false_negative_ml)
        np.testing.assert_allclose(same, expected, rtol=1e-7)
    print(f"| {' x '.join(map(str, SHAPE[::-1]))} voxels, {LESIONS} lesions | seconds (range) | times as fast |")
    print("| --- | --- | --- |")
    for name, seconds_of in (("whole volume once a component", theirs), ("lesionclick.evaluation.metrics", ours)):
        middle = statistics.median(seconds_of)
        ratio = statistics.median(theirs) / middle
        print(f"| {name} | {middle:.2f} ({min(seconds_of):.2f} to {max(seconds_of):.2f}) | {ratio:.1f} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
