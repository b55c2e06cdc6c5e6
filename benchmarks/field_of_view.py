"""What `--field-of-view body` leaves out, case by case, against `full`.

    python -m benchmarks.field_of_view DATASET [--model DIR] [--folds ...] [--no-mirroring] [--count N]

DATASET is one that `lesionclick evaluate` takes; cases are segmented by their clicks, at most 10 a label. Lesion voxels
are unseen where no tile stands (exact for cases on the model's spacing alone). Masks are compared with each other and
with the truth.
"""

import argparse
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.engine import ROOT, dice
from lesionclick import Ensemble, Session
from lesionclick.case.dataset import Dataset
from lesionclick.inference.ensemble import OUTSIDE_LOGIT
from lesionclick.inference.tiles import padding, place_tiles


@dataclass(frozen=True)
class Row:
    """Figures of a case; Dice with the truth is NaN where the truth is empty.

    Attributes:
        tiles: number of them, full and body.
        seconds: of the predictions, full and body.
        truth_dice: full and body.
        agreement: Dice of the two masks.
        change: largest difference of the two probabilities where body has tiles.
        voxels: of lesions.
        unseen: those outside all of body's tiles.
    """

    tiles: tuple[int, int]
    seconds: tuple[float, float]
    truth_dice: tuple[float, float]
    agreement: float
    change: float
    voxels: int
    unseen: int


def measure(dataset: Dataset, name: str, ensemble: Ensemble, mirroring: bool) -> Row:
    """Segments a case twice."""
    truth = dataset.read(name)
    lesion = truth.lesion_zyx.astype(bool)
    counts, seconds, found = [], [], []
    for view in ("full", "body"):
        start = time.perf_counter()
        session = Session(ensemble, truth.case, view)
        found.append(session.predict(mirroring=mirroring))
        seconds.append(time.perf_counter() - start)
        clicks, patch = truth.case.clicks, ensemble.model.patch
        region, shape = session.region(clicks), session.channels(clicks).shape[1:]
        around = padding(shape, patch)
        padded = [size + sum(both) for size, both in zip(shape, around, strict=True)]
        counts.append(len(place_tiles(padded, patch, region and region.padded(around))))
    full, body = found
    seen = body.logit_zyx != OUTSIDE_LOGIT
    return Row(
        tiles=(counts[0], counts[1]),
        seconds=(seconds[0], seconds[1]),
        truth_dice=(_dice(full.mask, lesion), _dice(body.mask, lesion)),
        agreement=dice(full.mask, body.mask),
        change=float(np.abs(full.probability - body.probability)[seen].max()),
        voxels=int(np.count_nonzero(lesion)),
        unseen=int(np.count_nonzero(lesion & ~seen)),
    )


def _dice(mask: np.ndarray, lesion: np.ndarray) -> float:
    return dice(mask, lesion.view(np.uint8)) if lesion.any() else math.nan


def format_row(name: str, rows: Sequence[Row]) -> str:
    """A line of the Markdown table: sums of counts and seconds, means of Dice, the largest change."""
    full, body = (
        (
            sum(row.tiles[view] for row in rows),
            sum(row.seconds[view] for row in rows),
            _mean([row.truth_dice[view] for row in rows]),
        )
        for view in (0, 1)
    )
    return (
        f"| {name} | {full[0]} / {body[0]} | {full[1]:.1f} / {body[1]:.1f} | {full[2]:.4f} / {body[2]:.4f} | "
        f"{_mean([row.agreement for row in rows]):.4f} | {max(row.change for row in rows):.4f} | "
        f"{sum(row.unseen for row in rows)} of {sum(row.voxels for row in rows)} |"
    )


def _mean(values: Sequence[float]) -> float:
    """Of those that are not NaN."""
    known = [value for value in values if not math.isnan(value)]
    return statistics.fmean(known) if known else math.nan


def main() -> None:
    """Prints Markdown."""
    parser = argparse.ArgumentParser(description="--field-of-view body against full")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--model", type=Path, default=ROOT / "resources" / "model", help="default: the bundled one")
    parser.add_argument("--folds", nargs="+")
    parser.add_argument("--no-mirroring", dest="mirroring", action="store_false")
    parser.add_argument("--count", type=int, help="of cases, the first ones; default: all")
    options = parser.parse_args()
    dataset, ensemble = Dataset.find(options.dataset), Ensemble.load(options.model, folds=options.folds)
    print(f"{len(ensemble.model.folds)} networks on {ensemble.engine}, mirroring {options.mirroring}", flush=True)
    print("| case | tiles full / body | s full / body | Dice full / body | masks' Dice | largest change | unseen |")
    print("| --- " * 7 + "|")
    rows = []
    for name in dataset.names[: options.count]:
        rows.append(measure(dataset, name, ensemble, options.mirroring))
        print(format_row(name, rows[-1:]), flush=True)
    print(format_row("all", rows))


if __name__ == "__main__":
    main()
