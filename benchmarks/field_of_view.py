"""Field of view: what looking at the body alone leaves out, case by case, against looking everywhere.

    python -m benchmarks.field_of_view DATASET [--model DIR] [--folds ...] [--mirroring none|adaptive|all]
                                       [--networks adaptive|all] [--count N]

DATASET is one that `lesionclick evaluate` takes; cases are segmented by the clicks of their files. Lesion voxels
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

from benchmarks.launch import ROOT
from benchmarks.masks import dice
from lesionclick import Ensemble, InferenceSettings, Session
from lesionclick.case.dataset import Dataset
from lesionclick.inference.settings import DEFAULT_SETTINGS, FieldOfView, Mirroring, Networks
from lesionclick.inference.tile_sums import OUTSIDE_LOGIT
from lesionclick.inference.tiles import TileGrid


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


def measure(dataset: Dataset, name: str, ensemble: Ensemble, mirroring: Mirroring, networks: Networks) -> Row:
    """Segments a case twice."""
    labelled = dataset.read(name)
    clicks, lesion = labelled.case.clicks, labelled.lesion_zyx.astype(bool)
    counts, seconds, found = [], [], []
    for view in (FieldOfView.full, FieldOfView.body):
        start = time.perf_counter()
        session = Session(ensemble, labelled.case, InferenceSettings(view, mirroring, networks), tile_cache_bytes=0)
        found.append(session.predict(clicks))
        seconds.append(time.perf_counter() - start)
        grid = TileGrid(session.open_case.grid.shape, ensemble.model.patch)
        counts.append(len(grid.tiles_covering(session.open_case.region(clicks))))
    full, body = found
    seen = body.logit_zyx != OUTSIDE_LOGIT
    return Row(
        tiles=(counts[0], counts[1]),
        seconds=(seconds[0], seconds[1]),
        truth_dice=(_dice(full.mask, lesion), _dice(body.mask, lesion)),
        agreement=dice(full.mask, body.mask),
        change=float(np.abs(full.probability - body.probability)[seen].max(initial=0)),
        voxels=int(np.count_nonzero(lesion)),
        unseen=int(np.count_nonzero(lesion & ~seen)),
    )


def _dice(mask: np.ndarray, lesion: np.ndarray) -> float:
    return dice(mask, lesion) if lesion.any() else math.nan


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


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints Markdown."""
    parser = argparse.ArgumentParser(prog="benchmarks.field_of_view", description="--field-of-view body against full")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--model", type=Path, default=ROOT / "resources" / "model", help="default: the bundled one")
    parser.add_argument("--folds", nargs="+", help="networks to take; default: all")
    parser.add_argument("--mirroring", choices=[*Mirroring], default=DEFAULT_SETTINGS.mirroring)
    parser.add_argument("--networks", choices=[*Networks], default=DEFAULT_SETTINGS.networks)
    parser.add_argument("--count", type=int, help="of cases, the first ones; default: all")
    options = parser.parse_args(arguments)
    mirroring, networks = Mirroring(options.mirroring), Networks(options.networks)
    dataset, ensemble = Dataset.find(options.dataset), Ensemble.load(options.model, folds=options.folds)
    print(
        f"{len(ensemble.model.folds)} networks on {ensemble.engine}, mirroring {mirroring}, networks {networks}",
        flush=True,
    )
    print("| case | tiles full / body | s full / body | Dice full / body | masks' Dice | largest change | unseen |")
    print("| --- " * 7 + "|")
    rows = []
    for name in dataset.names[: options.count]:
        rows.append(measure(dataset, name, ensemble, mirroring, networks))
        print(format_row(name, rows[-1:]), flush=True)
    print(format_row("all", rows))


if __name__ == "__main__":
    main()
