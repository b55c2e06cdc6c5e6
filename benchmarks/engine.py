"""Whole runs of process.py against stock nnU-Net, on the same weights and the same case.

    python -m benchmarks.engine [--model DIR | --mid-size] [--case DIR] [--rounds N] [--folds ...] [--no-mirroring]
                                [--levers] [--device cpu|cuda]
    python -m benchmarks.engine --one-tile [--device cpu|cuda]

The peer is `nnUNetPredictor` with the click maps as image channels (`benchmarks.stock`). Both sides run in fresh
processes, in turn; the tables show medians. Weights are packed to float16 first and stock nnU-Net gets the packed
values, without an optimizer's state, which would only slow it down. The default case is a phantom in a field of view of
70 cm, on the model's spacing.

The machine's limit is the rate of a large matrix product in the number format of our networks. FLOPs are those of the
tiles that our run computed. A stage "network" of ours includes reading and compiling the networks. Masks of random
networks depend on where tiles stand, so that they tell little of looking at the body alone.
"""

import argparse
import dataclasses
import itertools
import json
import math
import os
import platform
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from torch.utils.flop_counter import FlopCounterMode

from lesionclick.case.case import Case, mask_path
from lesionclick.case.images import read_mask
from lesionclick.inference import tiles
from lesionclick.inference.body import TISSUE_HU
from lesionclick.inference.engine import Engine
from lesionclick.model import unet as network
from lesionclick.model.checkpoint import CHECKPOINT
from lesionclick.model.folder import ModelFolder
from lesionclick.model.pack import pack
from lesionclick.testing import FULL_SIZE, make_plans, write_model

ROOT = Path(__file__).resolve().parent.parent
MID_SIZE: dict[str, Any] = {  # 28.1 M parameters
    "patch": (96, 96, 96),
    "features": (32, 64, 128, 256, 320),
    "blocks": (1, 2, 2, 3, 2),
    "spacing": (5.0, 5.0, 5.0),
}
FIELD_MM = 700.0
AIR_HU, AIR_SUV = -1000.0, 1 / 128  # an SUV of exactly 0 might be cropped
LARGE_CASE = (326, 400, 400)
PUBLISHED_PASSES = 10 * 8  # networks x mirrorings
STAGES = ("import", "load", "preprocessing", "network", "export")

# Starts a command, notes when each line of its stderr comes, and asks the kernel for its peak memory. A small process
# does this: a child's peak is never below what its parent held when it started it.
LAUNCHER = """
import json, os, subprocess, sys, time
start = time.monotonic()
os.environ["BENCHMARK_STARTED"] = str(start)
process = subprocess.Popen(sys.argv[2:], stdout=open(sys.argv[1], "w"), stderr=subprocess.PIPE, text=True)
lines = [(time.monotonic() - start, line.rstrip()) for line in process.stderr]
_, status, usage = os.wait4(process.pid, 0)
seconds = time.monotonic() - start
print(json.dumps({"lines": lines, "seconds": seconds, "memory": usage.ru_maxrss * 1024 / 1e9, "status": status}))
"""
# process.py, with a line about the GPU at its end
OURS_ON_CUDA = """
import atexit, runpy, sys, torch
def report():
    print(f"INFO gpu memory: {torch.cuda.max_memory_reserved() / 1e9:.3f} GB", file=sys.stderr)
atexit.register(report)
runpy.run_path("process.py", run_name="__main__")
"""


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


def launch(command: Sequence[object]) -> tuple[dict[str, Any], str]:
    """Runs Python with arguments: what `LAUNCHER` prints of it, and its stdout; a failure ends the benchmark."""
    with tempfile.NamedTemporaryFile() as stdout:
        launcher = [sys.executable, "-c", LAUNCHER, stdout.name, sys.executable, *map(str, command)]
        done = subprocess.run(launcher, check=True, capture_output=True, text=True, cwd=ROOT)
        found: dict[str, Any] = json.loads(done.stdout)
        output = Path(stdout.name).read_text()
    if found["status"]:
        raise SystemExit("\n".join(line for _, line in found["lines"][-15:]) + f"\nfailed: {launcher[4:]}")
    return found, output


def run_stock(case: Path, model: Path, mask: Path, device: str, mirroring: bool) -> Run:
    """One run of stock nnU-Net on a folder of `write_checkpoints`."""
    options = [] if mirroring else ["--no-mirroring"]
    found, output = launch(
        ["-m", "benchmarks.stock", case.resolve(), model.resolve(), mask.resolve(), device, *options]
    )
    figures = json.loads(output.splitlines()[-1])
    return Run(_complete({**figures, "total": found["seconds"], "memory": found["memory"]}))


def run_ours(case: Path, model: Path, output: Path, device: str, mirroring: bool, *options: str) -> Run:
    """One run of process.py."""
    program = ["-c", OURS_ON_CUDA] if device == "cuda" else ["process.py"]
    places = ["--input", case.resolve(), "--output", output.resolve(), "--model", model.resolve(), "--device", device]
    found, _ = launch([*program, *places, "--mirroring" if mirroring else "--no-mirroring", *options])
    run = read_log(found["lines"])
    return dataclasses.replace(
        run, figures=_complete({**run.figures, "total": found["seconds"], "memory": found["memory"]})
    )


def read_log(lines: Iterable[tuple[float, str]]) -> Run:
    """What process.py says of its stages.

    Args:
        lines: of its stderr, with the seconds since its start at which they came.
    """
    said: dict[str, tuple[float, str]] = {}
    for moment, line in lines:
        if found := re.match(r"INFO ([a-z ]+): (.*)", line):
            said.setdefault(found[1], (moment, found[2]))
    reading = float(said["reading the case"][1].removesuffix(" s"))
    ends = {name: moment for name, (moment, _) in said.items()}
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


def write_checkpoints(model: ModelFolder, out: Path, *, stock: bool) -> Path:
    """Writes a model folder with nnU-Net's checkpoints of the same weights.

    Args:
        model: packed or not.
        out: the folder to make.
        stock: whether its dataset and plans list the click maps as channels, as stock nnU-Net needs it and
            `ModelFolder` does not.
    """
    out.mkdir(parents=True)
    plans, dataset = (json.loads((model.path / name).read_text()) for name in ("plans.json", "dataset.json"))
    name = model.folds[0].configuration
    if stock and model.channels == 4:
        dataset["channel_names"].update({"2": "tumor clicks", "3": "background clicks"})
        normalisations = model.preprocessing.normalisations
        plans["configurations"][name] |= {
            "normalization_schemes": [*(type(each).__name__ for each in normalisations), *["NoNormalization"] * 2],
            "use_mask_for_norm": [*(each.use_mask_for_norm for each in normalisations), False, False],
        }
        intensities = plans["foreground_intensity_properties_per_channel"]
        intensities.update(dict.fromkeys("23", intensities["1"]))  # read, then not used
    (out / "plans.json").write_text(json.dumps(plans))
    (out / "dataset.json").write_text(json.dumps(dataset))
    (out / "prompt.json").write_text(json.dumps(model.encoding.to_json()))
    for fold in model.folds:
        path = out / fold.path.parent.name / CHECKPOINT
        path.parent.mkdir()
        checkpoint = {
            "network_weights": _stock_state(model, dict(model.load(fold).named_parameters())),
            "trainer_name": "nnUNetTrainer",
            "init_args": {"plans": plans, "configuration": name, "fold": fold.name},
            "inference_allowed_mirroring_axes": fold.mirror_axes or None,
        }
        torch.save(checkpoint, path)
    return out


def _stock_state(model: ModelFolder, weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The state of nnU-Net's own network with our weights; heads for deep supervision keep their first values."""
    architecture = model.architecture
    theirs = get_network_from_plans(
        *(architecture[key] for key in ("network_class_name", "arch_kwargs", "_kw_requires_import")),
        *(model.channels, network.CLASSES),
        deep_supervision=False,
    )
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if name in weights:
                parameter.copy_(weights[name])
    return theirs.state_dict()


def write_phantom_case(folder: Path, spacing_zyx: tuple[float, float, float], seed: int = 1) -> Path:
    """Writes a phantom with 20 clicks and air around it, 700 mm wide, in container layout."""
    try:
        from lesionclick.simulation.official_clicks import simulate_official
        from lesionclick_training.phantom.files import write_container_case
        from lesionclick_training.phantom.phantom import make_phantom
    except ImportError as error:
        raise SystemExit(f"making a phantom needs the training package (pip install -e training): {error}") from error
    phantom = make_phantom(seed, spacing_zyx=spacing_zyx)
    missing = [max(0, round(FIELD_MM / spacing_zyx[axis]) - phantom.ct_zyx.shape[axis]) for axis in (1, 2)]
    margins = [(0, 0), *((total // 2, total - total // 2) for total in missing)]
    phantom = dataclasses.replace(
        phantom,
        ct_zyx=np.pad(phantom.ct_zyx, margins, constant_values=AIR_HU),
        pet_zyx=np.pad(phantom.pet_zyx, margins, constant_values=AIR_SUV),
        lesion_zyx=np.pad(phantom.lesion_zyx, margins),
        organ_zyx=np.pad(phantom.organ_zyx, margins),
    )
    write_container_case(phantom, folder, simulate_official(phantom.pet_zyx, phantom.lesion_zyx))
    return folder


def tile_flops(architecture: Mapping[str, Any], channels: int, patch: Sequence[int]) -> float:
    """FLOPs of one forward pass over one tile."""
    model = network.build_network(architecture, channels)
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(1, channels, *patch, device="meta"))
    return float(counter.get_total_flops())


def product_rate(device: str, precision: str) -> float:
    """FLOP/s of a large matrix product, best of several."""
    size, best = 8192 if device == "cuda" else 4096, math.inf
    factor = torch.rand(size, size, device=device).to(getattr(torch, precision))
    for _ in range(10):
        start = time.perf_counter()
        torch.mm(factor, factor)
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2.0 * size**3 / best


def _describe_limit(seconds: float, flops: float, device: str, precision: str) -> str:
    rate = product_rate(device, precision)
    limit = flops / rate
    return (
        f"{flops / 1e9:.5g} GFLOP in {precision}; a matrix product makes {rate / 1e9:.0f} GFLOP/s, so the limit is "
        f"{limit:.3g} s. Share of the limit achieved: {limit / seconds:.1%}. Network time over limit: "
        f"{seconds / limit:.2f}."
    )


def dice(first: np.ndarray, second: np.ndarray) -> float:
    """Overlap of two masks; 1 where both are empty."""
    total = int(first.sum(dtype=np.int64) + second.sum(dtype=np.int64))
    return 2 * int(np.count_nonzero(first & second)) / total if total else 1.0


@dataclass(frozen=True)
class Bench:
    """The case, the model in its three forms, and where and how to run."""

    case: Path
    packed: Path
    checkpoints: Path
    stock: Path
    scratch: Path
    device: str
    mirroring: bool
    rounds: int

    def compare(self) -> str:
        """Prints both sides' figures, masks and limit; returns our precision."""
        stock: list[Run] = []
        ours: list[Run] = []
        for _ in range(self.rounds):
            stock.append(run_stock(self.case, self.stock, self.scratch / "stock.mha", self.device, self.mirroring))
            ours.append(run_ours(self.case, self.packed, self.scratch / "ours", self.device, self.mirroring))
        theirs, our = median(stock), median(ours)
        rows = {**{each: f"{each}, s" for each in STAGES}, "total": "whole run, s", "memory": "peak memory, GB"}
        if self.device == "cuda":
            rows["gpu memory"] = "peak GPU memory, GB"
        print(f"\n| median of {self.rounds} | stock nnU-Net | lesionclick | ratio |\n| --- | --- | --- | --- |")
        for name, title in rows.items():
            ratio = f"{theirs[name] / our[name]:.2f}" if our[name] > 0 else "-"
            print(f"| {title} | {theirs[name]:.2f} | {our[name]:.2f} | {ratio} |")
        self._compare_masks()
        model = ModelFolder.read(self.packed)
        flops = ours[-1].passes * tile_flops(model.architecture, model.channels, model.patch)
        print(f"\nNetwork: {ours[-1].passes} passes, ", end="")
        print(_describe_limit(our["network"], flops, self.device, ours[-1].precision), flush=True)
        return ours[-1].precision

    def _compare_masks(self) -> None:
        case = Case.read(self.case)
        reference = read_mask(self.scratch / "stock.mha", case.geometry)
        tissue = case.ct_zyx > TISSUE_HU
        print("\n| mask against stock nnU-Net's | Dice | Dice in tissue |\n| --- | --- | --- |")
        for options in ("", "--field-of-view full", "--field-of-view full --precision float32"):
            output = self.scratch / "ours"
            run_ours(self.case, self.packed, output, self.device, self.mirroring, *options.split())
            mask = read_mask(mask_path(case, output), case.geometry)
            cells = f"{dice(mask, reference):.4f} | {dice(mask[tissue], reference[tissue]):.4f}"
            print(f"| {options or 'default settings'} | {cells} |", flush=True)

    def compare_levers(self, precision: str) -> None:
        """Prints what each lever of ours brings alone.

        Args:
            precision: the one that ours chooses here.
        """
        plain = {"--backend": "torch", "--precision": "float32", "--field-of-view": "full"}
        levers: dict[str, tuple[Path, dict[str, str]]] = {
            "our code around it: loading, export": (self.checkpoints, plain),
            "and packed weights": (self.packed, plain),
            "and the body alone": (self.checkpoints, {**plain, "--field-of-view": "body"}),
        }
        if precision != "float32":
            levers[f"and {precision} in torch"] = (self.checkpoints, {**plain, "--precision": precision})
        if self.device == "cpu":
            levers["and openvino, float32"] = (self.checkpoints, {**plain, "--backend": "openvino"})
            if precision != "float32":
                both = {"--backend": "openvino", "--precision": precision}
                levers[f"and openvino, {precision}"] = (self.checkpoints, {**plain, **both})
        levers["all (the default)"] = (self.packed, {})
        runs: dict[str, list[Run]] = {"none: stock nnU-Net": [], **{name: [] for name in levers}}
        for _ in range(self.rounds):
            stock = run_stock(self.case, self.stock, self.scratch / "stock.mha", self.device, self.mirroring)
            runs["none: stock nnU-Net"].append(stock)
            for name, (model, options) in levers.items():
                words = [word for option in options.items() for word in option]
                output = self.scratch / "lever"
                runs[name].append(run_ours(self.case, model, output, self.device, self.mirroring, *words))
        without = median(runs["none: stock nnU-Net"])
        print("\n| lever | passes | load, s | network, s | export, s | whole run, s | times as fast |")
        print("| --- " * 7 + "|")
        for name, each in runs.items():
            found = median(each)
            seconds = " | ".join(f"{found[stage]:.2f}" for stage in ("load", "network", "export", "total"))
            passes = each[-1].passes or "all"
            print(f"| {name} | {passes} | {seconds} | {without['total'] / found['total']:.2f} |", flush=True)


def measure_one_tile(device: str) -> None:
    """Prints what one tile of the published network costs in this process, and what a large case would.

    On a GPU also with the alternatives: number formats and memory layouts.
    """
    configuration = make_plans(**FULL_SIZE)["configurations"]["3d_fullres"]
    architecture, patch = configuration["architecture"], configuration["patch_size"]
    flops = tile_flops(architecture, 4, patch)
    count = len(tiles.place_tiles(LARGE_CASE, patch))
    layouts = ["contiguous_format"]
    precisions = ["auto"]
    if device == "cuda":
        layouts.append("channels_last_3d")
        precisions += ["bfloat16", "float32"]
    print("One tile of the published network: 102.4 M parameters, patch 192^3.")
    for precision, layout in itertools.product(precisions, layouts):
        engine = Engine.choose(device, precision=precision)
        seconds = _time_tile(engine, architecture, patch, getattr(torch, layout))
        print(f"\n{engine}, {layout}: {seconds:.2f} s.")
        print(_describe_limit(seconds, flops, device, engine.precision))
        print(
            f"A case of 400 x 400 x 326 voxels has {count} tiles in its full field: 10 networks with 8 mirrorings each "
            f"would take {count * PUBLISHED_PASSES * seconds / 60:.0f} min."
        )
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
        print(f"Peak memory of the process so far: {peak:.2f} GB", end="")
        if device == "cuda":
            print(f", of the GPU: {torch.cuda.max_memory_reserved() / 1e9:.2f} GB", end="")
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        print(".", flush=True)


def _time_tile(
    engine: Engine, architecture: Mapping[str, Any], patch: Sequence[int], layout: torch.memory_format
) -> float:
    """Median seconds of three forward passes of a random network over one tile, after one to warm up."""
    model = network.build_network(architecture, 4)
    shapes = network.parameter_shapes(model)
    network.set_weights(
        model, {name: torch.randn(shape) * (2 / math.prod(shape[1:])) ** 0.5 for name, shape in shapes.items()}
    )
    compute = engine.prepare(model.to(memory_format=layout), 4, patch)
    tile = torch.randn(1, 4, *patch, device=engine.device).to(engine.input_dtype, memory_format=layout)
    times = []
    with torch.inference_mode():
        for _ in range(4):
            start = time.perf_counter()
            compute(tile).cpu()
            times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def prepare(scratch: Path, options: argparse.Namespace) -> Bench:
    """Makes the model in its three forms, and the case where none is given."""
    source = options.model
    if options.mid_size:
        source = write_model(scratch / "source", make_plans(**MID_SIZE), options.folds or (0, 1), organ_heads=False)
    model = ModelFolder.read(source)
    chosen = model if options.folds is None else model.select(options.folds)
    checkpoints = write_checkpoints(chosen, scratch / "checkpoints", stock=False)
    packed = pack(checkpoints, scratch / "packed")
    stock = write_checkpoints(packed, scratch / "stock", stock=True)
    spacing = options.spacing or [
        packed.preprocessing.spacing[axis] for axis in np.argsort(model.preprocessing.transpose)
    ]
    case = options.case or write_phantom_case(scratch / "phantom", tuple(spacing))
    size = " x ".join(map(str, Case.read(case).geometry.size))
    print(
        f"{len(packed.folds)} networks of {packed.parameters / 1e6:.2f} M parameters, patch {packed.patch}; a case of "
        f"{size} voxels; mirroring {'on' if options.mirroring else 'off'}; {options.device}, {os.cpu_count()} cores "
        f"({platform.machine()}), torch {torch.__version__}",
        flush=True,
    )
    return Bench(*(case, packed.path, checkpoints, stock, scratch), options.device, options.mirroring, options.rounds)


def main() -> None:
    """Prints Markdown."""
    parser = argparse.ArgumentParser(description="process.py against stock nnU-Net")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--model", type=Path, default=ROOT / "resources" / "model", help="default: the bundled one")
    which.add_argument("--mid-size", action="store_true", help="random networks, 28 M parameters, patch 96^3")
    parser.add_argument("--case", type=Path, help="in container layout; default: a phantom")
    parser.add_argument("--spacing", type=float, nargs=3, help="of the phantom, mm, z y x; default: the model's")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folds", nargs="+")
    parser.add_argument("--no-mirroring", dest="mirroring", action="store_false")
    parser.add_argument("--levers", action="store_true", help="also what each lever brings alone")
    parser.add_argument("--one-tile", action="store_true", help="only one tile of the published network")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    if options.one_tile:
        measure_one_tile(options.device)
        return
    with tempfile.TemporaryDirectory() as scratch:
        bench = prepare(Path(scratch), options)
        precision = bench.compare()
        if options.levers:
            bench.compare_levers(precision)


if __name__ == "__main__":
    main()
