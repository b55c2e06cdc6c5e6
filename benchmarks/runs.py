"""Runs of process.py and of stock nnU-Net: a process each, and how long its stages took."""

import dataclasses
import json
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.launch import launch

STAGES = ("import", "load", "preprocessing", "network", "export")


@dataclass(frozen=True)
class Run:
    """What one process did.

    Attributes:
        figures: seconds by stage and as "total", GB as "memory" and "gpu memory".
        passes: forward passes that its log names; 0 for stock nnU-Net.
        precision: of its networks, by torch's name.
    """

    figures: Mapping[str, float]
    passes: int = 0
    precision: str = "float32"


def run_stock(case: Path, model: Path, mask: Path, device: str, *, mirroring: bool) -> Run:
    """One run of stock nnU-Net on a folder of `stock_checkpoints.write_checkpoints`."""
    options = [] if mirroring else ["--no-mirroring"]
    places = [case.resolve(), model.resolve(), mask.resolve()]
    launched = launch(["-m", "benchmarks.processes.stock", *places, device, *options])
    figures = json.loads(launched.output.splitlines()[-1])
    return Run(_complete({**figures, "total": launched.seconds, "memory": launched.memory}))


def run_ours(case: Path, model: Path, output: Path, device: str, options: Mapping[str, str]) -> Run:
    """One run of process.py, with these options beside those on paths and the device."""
    program = ["-m", "benchmarks.processes.process_on_cuda"] if device == "cuda" else ["process.py"]
    places = {"--input": case.resolve(), "--output": output.resolve(), "--model": model.resolve(), "--device": device}
    launched = launch([*program, *(word for option in {**places, **options}.items() for word in option)])
    run = read_log(launched.lines)
    return dataclasses.replace(
        run, figures=_complete({**run.figures, "total": launched.seconds, "memory": launched.memory})
    )


def read_log(lines: Iterable[tuple[float, str]]) -> Run:
    """What process.py says of its stages.

    Args:
        lines: of its stderr, with the seconds since its start at which they came.
    """
    said: dict[str, tuple[float, str]] = {}  # by the words before the colon
    for moment, line in lines:
        found = re.fullmatch(r"INFO ([a-z ]+): (.*)", line)
        if found and not found[2].endswith(" so far"):
            said.setdefault(found[1], (moment, found[2]))
    ends = {name: moment for name, (moment, _) in said.items()}
    reading = float(said["reading the case"][1].removesuffix(" s"))
    figures = {
        "import": ends["reading the case"] - reading,
        "load": ends["checking the model"] - ends["reading the case"],
        "preprocessing": reading + ends["network"] - ends["checking the model"],
        "network": ends["prediction"] - ends["network"],
        "gpu memory": float(said.get("gpu memory", (0, "0 GB"))[1].removesuffix(" GB")),
    }
    return Run(figures, int(said["forward passes"][1]), said["model"][1].rpartition(", ")[2])


def _complete(figures: dict[str, float]) -> dict[str, float]:
    """Counts all after the networks, the process's end included, as export: the stages then sum up to the whole."""
    before = sum(figures[stage] for stage in STAGES if stage != "export")
    return {**figures, "export": figures["total"] - before}


def median(runs: Sequence[Run]) -> dict[str, float]:
    """Each figure's median."""
    return {name: statistics.median(run.figures[name] for run in runs) for name in runs[0].figures}
