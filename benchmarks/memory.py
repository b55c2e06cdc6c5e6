"""Memory: peak memory on the CPU, each figure from a process of its own.

    python -m benchmarks.memory [--size full|small] [--voxels X Y Z]

One forward pass of the published network (102.4 M parameters) over a patch of 192^3, and whole runs of process.py, with
a small model, on cases of 400 x 400 x 326 voxels (autoPET's largest usual size): one on the model's spacing, one that
has to be resampled. Random weights and voxels; mirroring is off, for time.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.launch import launch
from benchmarks.sizes import SIZES
from lesionclick import Case, Click, Geometry
from lesionclick.testing import SMALL, make_plans, write_model

SIZE_XYZ = (400, 400, 326)
SPACINGS_XYZ = {"on the model's spacing": (2.0364201, 2.0364201, 3.0), "resampled": (1.5, 1.5, 2.5)}


def write_noise_case(folder: Path, size_xyz: Sequence[int], spacing_xyz: tuple[float, ...]) -> None:
    """A case of noise without a zero voxel, so that nothing is cropped, with ten clicks along its diagonal."""
    generator = np.random.default_rng(0)
    shape_zyx = tuple(reversed(size_xyz))
    ct_zyx, pet_zyx = (
        generator.integers(low, high, shape_zyx, dtype=np.int16).astype(np.float32)
        for low, high in ((-1000, 1000), (1, 100))
    )
    ct_zyx[ct_zyx == 0] = 1
    geometry = Geometry(tuple(size_xyz), spacing_xyz, (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    x, y, z = size_xyz
    clicks = tuple(Click(x * place // 11, y * place // 11, z * place // 11, "tumor") for place in range(1, 11))
    Case("case", ct_zyx, pet_zyx, geometry, clicks).write(folder)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a Markdown table."""
    parser = argparse.ArgumentParser(prog="benchmarks.memory", description="peak memory on the CPU")
    parser.add_argument("--size", choices=list(SIZES), default="full", help="of the network of the forward pass")
    parser.add_argument("--voxels", type=int, nargs=3, default=SIZE_XYZ, help="of the cases, x y z")
    options = parser.parse_args(arguments)
    print("| on the CPU | peak memory, GB | seconds |\n| --- | --- | --- |")
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        model = write_model(root / "model", make_plans(**SIZES[options.size]))
        patch = " x ".join(map(str, SIZES[options.size]["patch"]))
        print_row(
            f"one forward pass, {options.size} size, patch {patch}", ["-m", "benchmarks.processes.forward_pass", model]
        )
        small = write_model(root / "small", make_plans(**SMALL))
        voxels = " x ".join(map(str, options.voxels))
        for name, spacing in SPACINGS_XYZ.items():
            case = root / name
            write_noise_case(case, options.voxels, spacing)
            places = ("--input", case, "--output", case / "output", "--model", small, "--device", "cpu")
            print_row(
                f"whole run, {voxels} voxels, small model, {name}", ["process.py", *places, "--mirroring", "none"]
            )


def print_row(name: str, command: Sequence[object]) -> None:
    """Runs Python with arguments and prints a row of the table."""
    launched = launch(command)
    print(f"| {name} | {launched.memory:.1f} | {launched.seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
