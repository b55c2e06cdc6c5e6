"""Session: how long a reader waits, after opening a case and after a further click, against a fresh run.

    python -m benchmarks.session [--case DIR] [--model DIR | --mid-size] [--precision auto|float32|bfloat16]
                                 [--clicks N] [--networks adaptive|all]

Everything happens in this process, in turn: the case is opened by networks that nobody has read yet, and the automatic
mask is awaited; then the case's clicks are made one after the other, tumor and background in turn, and each time the
mask is awaited, as is that of a fresh run with the same clicks, which opens the case anew with nothing kept but the
networks. Waiting ends with a mask on the case's grid that obeys clicks. A last table counts, for the published patch
and a large image, the tiles that a click touches: nothing is computed for it.
"""

import argparse
import itertools
import math
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.launch import ROOT
from benchmarks.machine import describe_machine
from benchmarks.sizes import MID_SIZE
from lesionclick import Case, Click, Ensemble, InferenceSettings, PostProcessing, Session
from lesionclick.inference.settings import DEFAULT_SETTINGS, Networks
from lesionclick.inference.tiles import tiles_along_axis
from lesionclick.session.prediction import Prediction
from lesionclick.testing import make_plans, write_model

MID_SIZE_NETWORKS = 4

LARGE_PATCH = (192, 192, 192)

LARGE_SHAPE = (326, 400, 400)

CLICK_RADIUS = 2
"""Of a click's ball on the networks' grid, voxels, as published."""


@dataclass(frozen=True)
class Wait:
    """How long a reader waits for a mask.

    Attributes:
        first: seconds until there is one by the first network.
        final: seconds until there is the final one.
        passes: forward passes made.
    """

    first: float
    final: float
    passes: int


def await_mask(session: Session, start: float) -> Wait:
    """Predicts by a session's clicks, from a moment of time.perf_counter on."""
    first: list[float] = []
    passes = 0

    def show(prediction: Prediction) -> None:
        prediction.mask  # noqa: B018 - which computes it
        first.append(time.perf_counter() - start)

    def count(done: int, _: int) -> None:
        nonlocal passes
        passes = done

    session.predict(on_update=show, on_progress=count).mask  # noqa: B018 - likewise
    final = time.perf_counter() - start
    return Wait(first[0] if first else final, final, passes)


def open_case(folder: Path, ensemble: Ensemble, settings: InferenceSettings, clicks: Sequence[Click]) -> Session:
    """Reads a case and opens it with these clicks alone."""
    session = Session(ensemble, Case.read(folder), settings)
    session.history.replace(clicks)
    return session


def in_turn(clicks: Sequence[Click], count: int) -> list[Click]:
    """The first clicks, tumor and background by turns as long as there are both."""
    labels = ([click for click in clicks if click.label == label] for label in ("tumor", "background"))
    pairs = itertools.zip_longest(*labels)
    return [click for pair in pairs for click in pair if click is not None][:count]


def touched_along_axis(size: int, length: int) -> list[int]:
    """How many tiles along an axis a click's ball reaches, for a click at each voxel."""
    tiles = tiles_along_axis(size, length)
    return [
        sum(tile.start <= at + CLICK_RADIUS and at - CLICK_RADIUS < tile.stop for tile in tiles) for at in range(size)
    ]


def print_count(shape: Sequence[int], patch: Sequence[int]) -> None:
    """A table of the tiles of an image and of those that a click touches, wherever it is."""
    axes = list(zip(shape, patch, strict=True))
    tiles = math.prod(len(tiles_along_axis(*axis)) for axis in axes)
    touched = [touched_along_axis(*axis) for axis in axes]
    mean = math.prod(statistics.fmean(counts) for counts in touched)
    print(f"\nA click among tiles of {' x '.join(map(str, patch))} in {' x '.join(map(str, shape))} voxels, counted:\n")
    print("| tiles | touched at the most | on average | a click is cheaper by, at the least | on average |")
    print("| --- " * 5 + "|")
    most = math.prod(map(max, touched))
    print(f"| {tiles} | {most} | {mean:.1f} | {tiles / most:.1f} | {tiles / mean:.1f} |")


def print_waits(rows: Sequence[tuple[str, Wait, Wait | None]]) -> None:
    """A table of waits, with those of fresh runs beside them."""
    print("| | first network's mask, s | final mask, s | forward passes | fresh run, s | cheaper by | passes |")
    print("| --- " * 7 + "|")
    for name, wait, fresh in rows:
        compared = ["", "", ""]
        if fresh is not None:
            compared = [f"{fresh.final:.2f}", f"{fresh.final / wait.final:.1f}", f"{fresh.passes}"]
        print(f"| {name} | {wait.first:.2f} | {wait.final:.2f} | {wait.passes} | {' | '.join(compared)} |")


def measure(options: argparse.Namespace, model: Path) -> None:
    """Prints the tables."""
    settings = InferenceSettings(networks=Networks(options.networks), post_processing=PostProcessing(obey_clicks=True))
    ensemble = Ensemble.load(model, "cpu", precision=options.precision)
    patch = " x ".join(map(str, ensemble.model.patch))
    print(
        f"{len(ensemble.model.folds)} networks of patch {patch} on {ensemble.engine}, --networks {settings.networks};"
    )
    print(f"{describe_machine('cpu')}.\n", flush=True)
    start = time.perf_counter()
    session = open_case(options.case, ensemble, settings, [])
    opened = time.perf_counter() - start
    rows: list[tuple[str, Wait, Wait | None]] = [("automatic mask, from opening on", await_mask(session, start), None)]
    waits = []
    for number, click in enumerate(in_turn(session.case.clicks, options.clicks), start=1):
        start = time.perf_counter()
        session.add_click(click)
        wait = await_mask(session, start)
        start = time.perf_counter()
        fresh = await_mask(open_case(options.case, ensemble, settings, session.clicks), start)
        waits.append((wait, fresh))
        rows.append((f"click {number}, {click.label}", wait, fresh))
    if waits:
        middle = [
            Wait(*(statistics.median(getattr(each, name) for each in column) for name in ("first", "final", "passes")))
            for column in zip(*waits, strict=True)
        ]
        rows.append(("median click", middle[0], middle[1]))
    start = time.perf_counter()
    session.undo()
    rows.append(("undo", await_mask(session, start), None))
    print_waits(rows)
    print(f"\nOpening alone, reading and preprocessing: {opened:.2f} s.")
    print_count(LARGE_SHAPE, LARGE_PATCH)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints Markdown."""
    parser = argparse.ArgumentParser(prog="benchmarks.session", description="what a reader waits for")
    parser.add_argument("--case", type=Path, default=ROOT / "test" / "cases" / "psma", help="default: a sample case")
    parser.add_argument("--model", type=Path, default=ROOT / "resources" / "model", help="default: the bundled one")
    parser.add_argument("--mid-size", action="store_true", help="random networks of patch 96^3 instead of a model")
    parser.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument("--clicks", type=int, default=4, help="how many to make of the case's; default: 4")
    parser.add_argument("--networks", choices=[*Networks], default=DEFAULT_SETTINGS.networks)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        model = options.model
        if options.mid_size:
            model = write_model(Path(scratch) / "model", make_plans(**MID_SIZE), range(MID_SIZE_NETWORKS))
        measure(options, model)


if __name__ == "__main__":
    main()
