"""Obedience: how many clicks a mask obeys, and its Dice, with and without the rule that clicks are obeyed.

    python -m benchmarks.obedience DATASET [--model DIR] [--click-counts 1 2 ... 10] [--count N] [--folds ...]

DATASET is one that `lesionclick evaluate` takes. Each case is segmented by the first official clicks of each label; a
tumor click is obeyed where its voxel is in the mask, a background click where it is not. The networks are asked
once: obedience changes what the mask is made of, and nothing else.
"""

import argparse
import dataclasses
import math
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.launch import ROOT
from benchmarks.masks import dice
from lesionclick import Click, Ensemble, PostProcessing, Session
from lesionclick.case.dataset import Dataset
from lesionclick.simulation.readers import first_clicks

RULES = (PostProcessing(), PostProcessing(obey_clicks=True))


@dataclass(frozen=True)
class Row:
    """What a case with some clicks gives, each without and with obedience.

    Attributes:
        clicks: by label, how many there are.
        obeyed: by label, how many are obeyed.
        truth_dice: Dice with the truth; NaN where that is empty.
    """

    clicks: dict[str, int]
    obeyed: tuple[dict[str, int], ...]
    truth_dice: tuple[float, ...]


def measure(session: Session, clicks: Sequence[Click], lesion: np.ndarray) -> Row:
    """Segments a case, and looks at its clicks.

    Args:
        session: the open case.
        clicks: to go by.
        lesion: the truth, boolean on the case's grid.
    """
    prediction = session.predict(clicks)
    masks = [dataclasses.replace(prediction, post_processing=rule).mask for rule in RULES]
    return Row(
        clicks=count_by_label(clicks),
        obeyed=tuple(count_by_label(click for click in clicks if is_obeyed(click, mask)) for mask in masks),
        truth_dice=tuple(dice(mask > 0, lesion) if lesion.any() else math.nan for mask in masks),
    )


def is_obeyed(click: Click, mask: np.ndarray) -> bool:
    """Whether a mask (z, y, x) says at a click what the click says."""
    return bool(mask[click.z, click.y, click.x]) == (click.label == "tumor")


def count_by_label(clicks: Iterator[Click] | Sequence[Click]) -> dict[str, int]:
    """How many clicks there are of each label."""
    labels = [click.label for click in clicks]
    return {label: labels.count(label) for label in ("tumor", "background")}


def format_row(count: int, rows: Sequence[Row]) -> str:
    """A line of the Markdown table over cases."""
    cells = [str(count)]
    for label in ("tumor", "background"):
        clicks = sum(row.clicks[label] for row in rows)
        cells += [f"{sum(row.obeyed[rule][label] for row in rows)}" for rule in (0, 1)] + [f"{clicks}"]
    known = [row.truth_dice for row in rows if not math.isnan(row.truth_dice[0])]
    changes = [with_rule - without for without, with_rule in known] or [math.nan]
    cells += [f"{statistics.fmean([each[rule] for each in known] or [math.nan]):.4f}" for rule in (0, 1)]
    cells += [f"{statistics.fmean(changes):+.5f}", f"{min(changes):+.4f}", f"{max(changes):+.4f}"]
    return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints Markdown."""
    parser = argparse.ArgumentParser(prog="benchmarks.obedience", description="clicks obeyed, and what it costs")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--model", type=Path, default=ROOT / "resources" / "model", help="default: the bundled one")
    parser.add_argument("--folds", nargs="+", help="networks to take; default: all")
    parser.add_argument("--click-counts", type=int, nargs="+", default=list(range(1, 11)))
    parser.add_argument("--count", type=int, help="of cases, the first ones; default: all")
    options = parser.parse_args(arguments)
    dataset, ensemble = Dataset.find(options.dataset), Ensemble.load(options.model, folds=options.folds)
    rows: dict[int, list[Row]] = {}
    for name in dataset.names[: options.count]:
        labelled = dataset.read(name)
        session = Session(ensemble, labelled.case)
        for count in options.click_counts:
            clicks = tuple(first_clicks(labelled.case.clicks, count))
            rows.setdefault(count, []).append(measure(session, clicks, labelled.lesion_zyx > 0))
        print(f"{name} done", file=sys.stderr, flush=True)
    print(f"{len(next(iter(rows.values()), []))} cases, {len(ensemble.model.folds)} networks on {ensemble.engine}.\n")
    print(
        "| clicks a label | tumor clicks obeyed without the rule | with it | of | background clicks without it | "
        "with it | of | Dice without it | with it | its change | least change | largest change |"
    )
    print("| --- " * 12 + "|")
    for count in options.click_counts:
        print(format_row(count, rows.get(count, [])), flush=True)


if __name__ == "__main__":
    main()
