"""Adaptive networks: what it changes that not all networks see every tile, for several counts and thresholds.

    python -m benchmarks.adaptive_networks DATASET [--model DIR] [--counts 1 2 3 4] [--probabilities 0.01 0.05 ...]
                                           [--click-counts 0 3 10] [--count N]

DATASET is one that `lesionclick evaluate` takes; cases are segmented without mirroring by the first official clicks of
each label. Every network sees every tile once; for each count of first networks and each probability up to which a
tile is quiet, the mask is then blended from what would have been computed, and compared with that of all networks.
"""

import argparse
import itertools
import math
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.launch import ROOT
from benchmarks.masks import dice
from lesionclick import Ensemble, Session
from lesionclick.case.clicks import Click
from lesionclick.case.dataset import Dataset
from lesionclick.inference.passes import first_networks
from lesionclick.inference.tile_cache import TileCache
from lesionclick.inference.tile_sums import TileSum, blend
from lesionclick.inference.tiles import Tile, TileGrid
from lesionclick.model.folder import ModelFolder
from lesionclick.simulation.readers import first_clicks

CPU = torch.device("cpu")
CACHE_BYTES = 1 << 30  # a network

Choice = tuple[int, float]
"""How many networks see every tile, and the lesion probability up to which a tile is quiet."""


@dataclass(frozen=True)
class Row:
    """What one choice gives for a case with some clicks.

    Attributes:
        passes: forward passes.
        all_passes: those of all networks.
        agreement: Dice of the mask with that of all networks.
        truth_dice: Dice with the truth; NaN where that is empty.
        all_truth_dice: likewise of all networks.
    """

    passes: int
    all_passes: int
    agreement: float
    truth_dice: float
    all_truth_dice: float


class Networks:
    """The networks of a model folder, each by itself, and what each gave for the tiles of one case."""

    def __init__(self, model: ModelFolder, session: Session) -> None:
        """Nothing is computed yet."""
        self.count = len(model.folds)
        self._ensembles = [Ensemble(model.select([fold.name]), session.ensemble.engine) for fold in model.folds]
        self._caches = [TileCache(CACHE_BYTES) for _ in model.folds]
        self._session = session

    def tile_sums(self, clicks: Sequence[Click], tiles: Sequence[Tile]) -> list[list[TileSum]]:
        """A list a network of one sum a tile."""
        inputs = self._session.open_case.inputs(clicks)
        keys = inputs.keys(tiles)
        sums = []
        for ensemble, cache in zip(self._ensembles, self._caches, strict=True):
            ensemble.predict_logits(inputs, tiles=tiles, cache=cache)
            sums.append([found for found in map(cache.get, keys) if found is not None])
        return sums


def measure(
    networks: Networks, session: Session, clicks: Sequence[Click], lesion: np.ndarray, choices: Sequence[Choice]
) -> Iterator[tuple[Choice, Row]]:
    """Segments a case by all networks, and as each choice would have it.

    Args:
        networks: at work on that session.
        session: the open case.
        clicks: to go by.
        lesion: the truth, boolean on the case's grid.
        choices: to compare.
    """
    grid = TileGrid(session.open_case.grid.shape, session.ensemble.model.patch)
    tiles = session.open_case.tiles(clicks)
    sums, importance = networks.tile_sums(clicks, tiles), grid.sum_importance(tiles)

    def mask(seen: Sequence[Sequence[int]]) -> np.ndarray:
        """Blends what the networks that see a tile gave for it."""
        chosen = [add([sums[network][place] for network in each], grid.patch) for place, each in enumerate(seen)]
        logit = grid.crop(blend(chosen, tiles, importance, CPU)).contiguous().numpy()
        return session.ensemble.model.preprocessing.to_image(logit, session.open_case.grid) > 0

    everything = mask([range(networks.count)] * len(tiles))
    for count, probability in choices:
        first = first_networks(networks.count, count)
        limit = math.log(probability / (1 - probability))
        active = [any(sums[network][place].peak > limit for network in first) for place in range(len(tiles))]
        found = mask([range(networks.count) if each else first for each in active])
        row = Row(
            passes=len(tiles) * len(first) + sum(active) * (networks.count - len(first)),
            all_passes=len(tiles) * networks.count,
            agreement=dice(found, everything),
            truth_dice=dice(found, lesion) if lesion.any() else math.nan,
            all_truth_dice=dice(everything, lesion) if lesion.any() else math.nan,
        )
        yield (count, probability), row


def add(sums: Sequence[TileSum], patch: Sequence[int]) -> TileSum:
    """The sum of what several networks gave for a tile."""
    result = TileSum(CPU, patch)
    for each in sums:
        result.total += each.total
        result.weight += each.weight
    return result


def format_row(choice: Choice, rows: Sequence[Row]) -> str:
    """A line of the Markdown table over cases."""
    changes = [row.truth_dice - row.all_truth_dice for row in rows if not math.isnan(row.truth_dice)]
    truth_dice = [row.truth_dice for row in rows if not math.isnan(row.truth_dice)]
    return (
        f"| {choice[0]} | {choice[1]:g} | {sum(row.passes for row in rows)} of {sum(row.all_passes for row in rows)} | "
        f"{statistics.fmean(truth_dice):.4f} | {statistics.fmean(changes):+.5f} | {max(map(abs, changes)):.4f} | "
        f"{min(row.agreement for row in rows):.4f} |"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints Markdown."""
    parser = argparse.ArgumentParser(prog="benchmarks.adaptive_networks", description="--networks adaptive against all")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--model", type=Path, default=ROOT / "resources" / "model", help="default: the bundled one")
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 2, 3, 4], help="of networks that see every tile")
    parser.add_argument("--probabilities", type=float, nargs="+", default=[0.01, 0.05, 0.1, 0.5])
    parser.add_argument("--click-counts", type=int, nargs="+", default=[0, 3, 10])
    parser.add_argument("--count", type=int, help="of cases, the first ones; default: all")
    options = parser.parse_args(arguments)
    choices = list(itertools.product(options.counts, options.probabilities))
    dataset, ensemble = Dataset.find(options.dataset), Ensemble.load(options.model)
    rows: dict[tuple[int, Choice], list[Row]] = {}
    for name in dataset.names[: options.count]:
        labelled = dataset.read(name)
        session = Session(ensemble, labelled.case)
        networks = Networks(ensemble.model, session)
        for clicks in options.click_counts:
            shown = first_clicks(labelled.case.clicks, clicks)
            for choice, row in measure(networks, session, shown, labelled.lesion_zyx > 0, choices):
                rows.setdefault((clicks, choice), []).append(row)
        print(f"{name} done", file=sys.stderr, flush=True)
    for clicks in options.click_counts:
        print(f"\n{clicks} clicks a label, {len(rows[clicks, choices[0]])} cases, {ensemble.engine}:\n")
        print(
            "| first networks | quiet up to | forward passes | Dice | change | largest change | least Dice of masks |"
        )
        print("| --- " * 7 + "|")
        for choice in choices:
            print(format_row(choice, rows[clicks, choice]), flush=True)


if __name__ == "__main__":
    main()
