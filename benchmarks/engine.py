"""Engine: whole runs of process.py against stock nnU-Net, on the same weights and the same case.

    python -m benchmarks.engine [--model DIR | --mid-size] [--case DIR] [--rounds N] [--folds ...]
                                [--mirroring none|adaptive|all] [--networks adaptive|all] [--precisions auto float32]
                                [--masks] [--levers] [--device cpu|cuda]

The peer is `nnUNetPredictor` with the click maps as image channels (`benchmarks.processes.stock`); it mirrors every
tile unless mirroring is none, and all its networks see every tile. Both sides run in fresh processes, in turn; the
tables show medians. Weights are packed to float16 first and stock nnU-Net gets the packed values. The default case is
a phantom in a field of view of 70 cm, on the model's spacing.

The machine's limit is the rate of a large matrix product in the number format of our networks. FLOPs are those of the
passes that our run made. A stage "network" of ours includes reading and compiling the networks. Masks of random
networks depend on where tiles stand, so that they tell little of looking at the body alone.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.launch import ROOT
from benchmarks.levers import list_levers
from benchmarks.machine import describe_limit, describe_machine, tile_flops
from benchmarks.masks import dice
from benchmarks.phantom_case import write_phantom_case
from benchmarks.runs import STAGES, Run, median, run_ours, run_stock
from benchmarks.sizes import MID_SIZE
from benchmarks.stock_checkpoints import write_checkpoints
from lesionclick.case.case import Case, mask_path
from lesionclick.case.images import read_mask
from lesionclick.inference.backend import Precision
from lesionclick.inference.body import TISSUE_HU
from lesionclick.inference.settings import DEFAULT_SETTINGS, Mirroring, Networks
from lesionclick.model.folder import ModelFolder
from lesionclick.model.pack import pack
from lesionclick.testing import make_plans, write_model


@dataclass(frozen=True)
class Bench:
    """The case, the model in its three forms, and where and how to run.

    Attributes:
        case: in container layout.
        packed: our model folder.
        checkpoints: the same weights as nnU-Net's checkpoints, for our reader.
        stock: the same for stock nnU-Net.
        scratch: for what runs write.
        device: "cpu" or "cuda".
        mirroring: of ours; stock nnU-Net mirrors every tile unless it is none.
        networks: of ours.
        precisions: of ours, a run each.
        rounds: how often each run is made.
    """

    case: Path
    packed: Path
    checkpoints: Path
    stock: Path
    scratch: Path
    device: str
    mirroring: Mirroring
    networks: Networks
    precisions: tuple[Precision, ...]
    rounds: int

    @property
    def chosen(self) -> dict[str, str]:
        """The options of our side."""
        return {"--mirroring": self.mirroring, "--networks": self.networks}

    @property
    def published(self) -> dict[str, str]:
        """The options with which ours does what stock nnU-Net does: every network and mirroring over every tile."""
        mirroring = Mirroring.none if self.mirroring == Mirroring.none else Mirroring.all
        return {"--mirroring": mirroring, "--networks": Networks.all, "--field-of-view": "full"}

    def run_stock(self) -> Run:
        """One run of stock nnU-Net."""
        mirroring = self.mirroring != Mirroring.none
        return run_stock(self.case, self.stock, self.scratch / "stock.mha", self.device, mirroring=mirroring)

    def run_ours(self, options: Mapping[str, str], model: Path | None = None) -> Run:
        """One run of process.py, on the packed weights unless another folder is given."""
        return run_ours(self.case, model or self.packed, self.scratch / "ours", self.device, options)

    def compare(self) -> str:
        """Prints both sides' figures and the limit; returns the first of our precisions."""
        stock: list[Run] = []
        ours: dict[Precision, list[Run]] = {precision: [] for precision in self.precisions}
        for _ in range(self.rounds):
            stock.append(self.run_stock())
            for precision, runs in ours.items():
                runs.append(self.run_ours({**self.chosen, "--precision": precision}))
        for runs in ours.values():
            self._print_comparison(median(stock), runs)
        return ours[self.precisions[0]][-1].precision

    def _print_comparison(self, theirs: Mapping[str, float], runs: Sequence[Run]) -> None:
        our, last = median(runs), runs[-1]
        rows = {**{each: f"{each}, s" for each in STAGES}, "total": "whole run, s", "memory": "peak memory, GB"}
        if self.device == "cuda":
            rows["gpu memory"] = "peak GPU memory, GB"
        print(f"\n| median of {self.rounds} | stock nnU-Net | lesionclick, {last.precision} | ratio |\n{'| --- ' * 4}|")
        for name, title in rows.items():
            ratio = f"{theirs[name] / our[name]:.2f}" if our[name] > 0 else "-"
            print(f"| {title} | {theirs[name]:.2f} | {our[name]:.2f} | {ratio} |")
        model = ModelFolder.read(self.packed)
        flops = last.passes * tile_flops(model.architecture, model.channels, model.patch)
        print(f"\nNetwork: {last.passes} forward passes, ", end="")
        print(describe_limit(our["network"], flops, self.device, last.precision), flush=True)

    def compare_masks(self) -> None:
        """Prints how well masks agree with that of stock nnU-Net's last run."""
        case = Case.read(self.case)
        reference = read_mask(self.scratch / "stock.mha", case.geometry)
        tissue = case.ct_zyx > TISSUE_HU
        print("\n| mask against stock nnU-Net's | Dice | Dice in tissue |\n| --- | --- | --- |")
        for options in (self.chosen, self.published, {**self.published, "--precision": "float32"}):
            self.run_ours(options)
            mask = read_mask(mask_path(case, self.scratch / "ours"), case.geometry)
            words = " ".join(word for option in options.items() for word in option)
            cells = f"{dice(mask, reference):.4f} | {dice(mask[tissue], reference[tissue]):.4f}"
            print(f"| {words} | {cells} |", flush=True)

    def compare_levers(self, precision: str) -> None:
        """Prints what each lever of ours brings alone.

        Args:
            precision: the one that ours chooses here.
        """
        levers = list_levers(self.published, self.chosen, precision, self.device)
        folders = {"checkpoints": self.checkpoints, "packed": self.packed}
        runs: dict[str, list[Run]] = {"none: stock nnU-Net": [], **{lever.name: [] for lever in levers}}
        for _ in range(self.rounds):
            runs["none: stock nnU-Net"].append(self.run_stock())
            for lever in levers:
                runs[lever.name].append(self.run_ours(lever.options, folders[lever.weights]))
        without = median(runs["none: stock nnU-Net"])
        print("\n| lever | passes | load, s | network, s | export, s | whole run, s | times as fast |")
        print("| --- " * 7 + "|")
        for name, each in runs.items():
            found = median(each)
            seconds = " | ".join(f"{found[stage]:.2f}" for stage in ("load", "network", "export", "total"))
            passes = each[-1].passes or "all"
            print(f"| {name} | {passes} | {seconds} | {without['total'] / found['total']:.2f} |", flush=True)


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
        f"{size} voxels; mirroring {options.mirroring}, networks {options.networks}; "
        f"{describe_machine(options.device)}",
        flush=True,
    )
    return Bench(
        *(case, packed.path, checkpoints, stock, scratch),
        device=options.device,
        mirroring=Mirroring(options.mirroring),
        networks=Networks(options.networks),
        precisions=tuple(map(Precision, options.precisions)),
        rounds=options.rounds,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints Markdown."""
    parser = argparse.ArgumentParser(prog="benchmarks.engine", description="process.py against stock nnU-Net")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--model", type=Path, default=ROOT / "resources" / "model", help="default: the bundled one")
    which.add_argument("--mid-size", action="store_true", help="random networks, 28 M parameters, patch 96^3")
    parser.add_argument("--case", type=Path, help="in container layout; default: a phantom")
    parser.add_argument("--spacing", type=float, nargs=3, help="of the phantom, mm, z y x; default: the model's")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    parser.add_argument("--folds", nargs="+", help="networks to take; default: all")
    parser.add_argument("--mirroring", choices=[*Mirroring], default=DEFAULT_SETTINGS.mirroring, help="of our side")
    parser.add_argument("--networks", choices=[*Networks], default=DEFAULT_SETTINGS.networks, help="of our side")
    parser.add_argument("--precisions", choices=[*Precision], nargs="+", default=[Precision.auto], help="of our side")
    parser.add_argument("--masks", action="store_true", help="also how well masks agree")
    parser.add_argument("--levers", action="store_true", help="also what each lever brings alone")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        bench = prepare(Path(scratch), options)
        precision = bench.compare()
        if options.masks:
            bench.compare_masks()
        if options.levers:
            bench.compare_levers(precision)


if __name__ == "__main__":
    main()
