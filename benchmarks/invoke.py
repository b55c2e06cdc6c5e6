"""Invoke: a case of a process that stays awake against a process of its own, and iterations with a memory without one.

    python -m benchmarks.invoke [--case DIR] [--model DIR | --full-size [--folds N]] [--rounds N] [--iterations [N]]

Everything is process.py as the container runs it, without a time limit (where no variable of the environment says
otherwise). First the case is segmented by two processes,
one after the other, and twice by one that stays awake; the second of each is compared, so that files are in the page
cache for both. With --iterations, autoPET V's way follows: the same images six times, with none and then one more of
the case's clicks each time, tumor and background in turn, fresh, with a state, and with a state in a process that stays
awake. All masks have to be the same. --full-size takes networks of the published architecture (102.4 M parameters a
network, random weights, packed) instead of a model; it takes hours on a small machine.
"""

import argparse
import re
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.awake import Awake, awake
from benchmarks.launch import ROOT, launch
from benchmarks.machine import describe_machine
from benchmarks.session import in_turn
from lesionclick import Case, Click
from lesionclick.case.clicks import write_clicks
from lesionclick.case.images import read_mask
from lesionclick.model.pack import pack
from lesionclick.testing import FULL_SIZE, make_plans, write_model

Options = tuple[object, ...]


@dataclass(frozen=True)
class Figures:
    """Of one case in one way.

    Attributes:
        seconds: from the call to its end.
        tiles: how many were computed, of how many.
        mask_zyx: what came out.
    """

    seconds: float
    tiles: tuple[int, int]
    mask_zyx: np.ndarray


def tiles_of(log: str) -> tuple[int, int]:
    """What the last case of a log says of its tiles."""
    computed, there = re.findall(r"^INFO network: (\d+) of (\d+) tiles", log, re.MULTILINE)[-1]
    return int(computed), int(there)


def read_result(case: Case, output: Path) -> np.ndarray:
    """The mask in an output folder, which is emptied."""
    (path,) = output.rglob("*.mha")
    mask_zyx = read_mask(path, case.geometry)
    shutil.rmtree(output)
    return mask_zyx


def run_alone(case: Case, folder: Path, output: Path, options: Options) -> Figures:
    """A case in a process of its own."""
    launched = launch(["process.py", "--input", folder, "--output", output, *options])
    log = "\n".join(line for _, line in launched.lines)
    return Figures(launched.seconds, tiles_of(log), read_result(case, output))


def run_awake(case: Case, process: Awake, output: Path) -> Figures:
    """A case in a process that stays awake."""
    seconds = process.process_case()
    return Figures(seconds, tiles_of(process.log.read_text()), read_result(case, output))


def require_same_masks(figures: Sequence[Figures]) -> None:
    """Ends the benchmark where masks of one case differ."""
    if any(not np.array_equal(each.mask_zyx, figures[0].mask_zyx) for each in figures):
        raise SystemExit("failed: the masks of one case differ")


def compare_second_cases(case: Case, folder: Path, scratch: Path, rounds: int, options: Options) -> None:
    """Prints a table of seconds, medians over rounds in turn."""
    output = scratch / "output"
    rows: dict[str, list[float]] = {}
    for _ in range(rounds):
        alone = [run_alone(case, folder, output, options) for _ in range(2)]
        with awake("--input", folder, "--output", output, *options) as process:
            asked = [run_awake(case, process, output) for _ in range(2)]
        require_same_masks([*alone, *asked])
        for name, seconds in (
            ("exec, first case", alone[0].seconds),
            ("exec, second case", alone[1].seconds),
            ("invoke, from the start until /health answers 200", process.seconds),
            ("invoke, first case", asked[0].seconds),
            ("invoke, second case", asked[1].seconds),
        ):
            rows.setdefault(name, []).append(seconds)
    print("| | seconds |\n| --- | --- |")
    for name, values in rows.items():
        print(f"| {name} | {statistics.median(values):.2f} |")
    ratio = statistics.median(rows["exec, second case"]) / statistics.median(rows["invoke, second case"])
    print(f"| second case, exec over invoke | {ratio:.2f} |", flush=True)


def compare_iterations(case: Case, folder: Path, scratch: Path, count: int, options: Options) -> None:
    """Prints a table of iterations with more and more clicks."""
    clicks = in_turn(case.clicks, count - 1)
    if len(clicks) < count - 1:
        raise SystemExit(f"failed: {folder}: has {len(clicks)} clicks, expected {count - 1} or more")
    given, output, state = scratch / "input", scratch / "output", scratch / "state"
    shutil.copytree(folder, given)
    state.mkdir()
    places: Options = ("--input", given, "--output", output, *options)
    print("\n| clicks | fresh, s | with state, s | with state, awake, s | tiles computed |\n" + "| --- " * 5 + "|")
    total = [0.0, 0.0, 0.0]
    with awake(*places, "--state", scratch / "other-state") as process:
        for shown in (clicks[:number] for number in range(count)):
            figures = run_iteration(case, given, output, state, process, shown, options)
            require_same_masks(figures)
            total = [one + figure.seconds for one, figure in zip(total, figures, strict=True)]
            seconds = " | ".join(f"{figure.seconds:.2f}" for figure in figures)
            print(f"| {len(shown)} | {seconds} | {figures[1].tiles[0]} of {figures[1].tiles[1]} |", flush=True)
    print(f"| all | {' | '.join(f'{seconds:.2f}' for seconds in total)} | |")
    print(f"| fresh over | 1.00 | {total[0] / total[1]:.2f} | {total[0] / total[2]:.2f} | |")


def run_iteration(
    case: Case, given: Path, output: Path, state: Path, process: Awake, clicks: Sequence[Click], options: Options
) -> list[Figures]:
    """A case with some of its clicks fresh, with a state, and in a process that stays awake and has one."""
    write_clicks(clicks, given / "lesion-clicks.json")
    return [
        run_alone(case, given, output, options),
        run_alone(case, given, output, (*options, "--state", state)),
        run_awake(case, process, output),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints Markdown."""
    parser = argparse.ArgumentParser(prog="benchmarks.invoke", description="cases of a process that stays awake")
    parser.add_argument("--case", type=Path, default=ROOT / "test" / "cases" / "psma", help="default: a sample case")
    parser.add_argument("--model", type=Path, default=ROOT / "resources" / "model", help="default: the bundled one")
    parser.add_argument("--full-size", action="store_true", help="random networks of the published size, packed")
    parser.add_argument("--folds", type=int, default=10, help="how many of them; default: 10")
    parser.add_argument("--rounds", type=int, default=3, help="of the first table; 0 leaves it out; default: 3")
    parser.add_argument(
        "--iterations", type=int, nargs="?", const=6, default=0, help="how many; 6 if no number is given"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        scratch, model = Path(temporary), options.model.resolve()
        if options.full_size:
            plain = write_model(scratch / "plain", make_plans(**FULL_SIZE), range(options.folds))
            model = pack(plain, scratch / "model").path
            shutil.rmtree(plain)
        folder = options.case.resolve()
        case = Case.read(folder)
        size = " x ".join(map(str, case.geometry.size))
        networks = f"{options.folds} random networks of the published size" if options.full_size else str(options.model)
        print(f"{networks}, a case of {size} voxels; {describe_machine(options.device)}.\n", flush=True)
        given: Options = ("--model", model, "--device", options.device)
        if options.rounds:
            compare_second_cases(case, folder, scratch, options.rounds, given)
        if options.iterations:
            compare_iterations(case, folder, scratch, options.iterations, given)


if __name__ == "__main__":
    main()
