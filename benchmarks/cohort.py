"""Cohort: what it adds to a plain loop over its cases, and how many times as fast as a process a case it is.

    python -m benchmarks.cohort [--case DIR] [--model DIR] [--cases N] [--rounds N] [--ray]

The case is segmented N times over, under N names, on the CPU. In each round, one after the other: a loop over Session
with the model loaded once, which reads each case and writes its mask; `lesionclick cohort`, which also takes digests,
checks, measures and writes tables; `lesionclick predict` case by case; with --ray also `cohort --ray local`,
Ray's own start and end included. Each is a process of its own (or N of them), timed from its start to its end.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.launch import ROOT, launch
from benchmarks.machine import describe_machine

COMMAND = ("-c", "from lesionclick.cli.main import main; main()")


def copy_case(case: Path, folder: Path, count: int) -> None:
    """Puts a case into a folder under so many names."""
    for number in range(count):
        (folder / f"case-{number:02d}").symlink_to(case.resolve(), target_is_directory=True)


def run_cohort(cases: Path, out: Path, model: Path, *options: str) -> float:
    """Seconds of `lesionclick cohort`."""
    return launch([*COMMAND, "cohort", cases, "--out", out, "--model", model, "--device", "cpu", *options]).seconds


def run_predict(cases: Path, out: Path, model: Path) -> float:
    """Seconds of `lesionclick predict`, once a case."""
    fixed = ("--model", model, "--device", "cpu")
    return sum(
        launch([*COMMAND, "predict", "--input", case, "--output", out / case.name, *fixed]).seconds
        for case in sorted(cases.iterdir())
    )


def run_loop(cases: Path, out: Path, model: Path) -> float:
    """Seconds of the plain loop."""
    return launch(["-m", "benchmarks.processes.session_loop", cases, out, model]).seconds


def measure(options: argparse.Namespace, scratch: Path) -> dict[str, list[float]]:
    """Seconds of each round, by what was run."""
    cases = scratch / "cases"
    cases.mkdir()
    copy_case(options.case, cases, options.cases)
    runs: dict[str, Callable[[Path], float]] = {
        "loop over Session": lambda out: run_loop(cases, out, options.model.resolve()),
        "cohort": lambda out: run_cohort(cases, out, options.model.resolve()),
        "predict, case by case": lambda out: run_predict(cases, out, options.model.resolve()),
    }
    if options.ray:
        runs["cohort --ray local"] = lambda out: run_cohort(cases, out, options.model.resolve(), "--ray", "local")
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(options.rounds):
        for place, (name, run) in enumerate(runs.items()):
            seconds[name].append(run(scratch / f"out-{number}-{place}"))
    return seconds


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints Markdown."""
    parser = argparse.ArgumentParser(prog="benchmarks.cohort", description="what a cohort adds to a plain loop")
    parser.add_argument("--case", type=Path, default=ROOT / "test" / "cases" / "psma", help="default: a sample case")
    parser.add_argument("--model", type=Path, default=ROOT / "resources" / "model", help="default: the bundled one")
    parser.add_argument("--cases", type=int, default=10, help="how many times it is segmented; default: 10")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ray", action="store_true", help="also on a Ray cluster of this machine")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        seconds = measure(options, Path(scratch))
    print(f"{options.cases} cases, medians of {options.rounds} alternating rounds; {describe_machine('cpu')}.\n")
    loop = statistics.median(seconds["loop over Session"])
    print("| | seconds | range | times the loop |\n| --- | --- | --- | --- |")
    for name, values in seconds.items():
        middle = statistics.median(values)
        print(f"| {name} | {middle:.2f} | {min(values):.2f} to {max(values):.2f} | {middle / loop:.3f} |")
    faster = statistics.median(seconds["predict, case by case"]) / statistics.median(seconds["cohort"])
    print(f"\nThe cohort is {faster:.2f} times as fast as predict case by case.")


if __name__ == "__main__":
    main()
