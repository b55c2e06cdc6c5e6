"""Peak memory on the CPU, each figure from a process of its own.

    python -m benchmarks.memory

One forward pass of the full-size network (102.4 M parameters) over a patch of 192^3, and whole runs of process.py, with
a small model, on cases of 400 x 400 x 326 voxels (autoPET's largest usual size): one on the model's spacing, one that
has to be resampled. Random weights and voxels; mirroring is off, for time.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from benchmarks.engine import launch
from lesionclick.testing import FULL_SIZE, SMALL, make_plans, write_model

FORWARD = """
import sys, numpy as np
from lesionclick import Ensemble
ensemble = Ensemble.load(sys.argv[1], "cpu")
channels = np.random.default_rng(0).normal(size=(4, *ensemble.model.patch)).astype(np.float32)
ensemble.foreground_logit(channels, mirroring=False)
"""
SIZE_XYZ = (400, 400, 326)
SPACINGS_XYZ = {"on the model's spacing": (2.0364201, 2.0364201, 3.0), "resampled": (1.5, 1.5, 2.5)}


def write_noise_case(folder: Path, spacing: tuple[float, ...]) -> None:
    """A case of noise without a zero voxel, so that nothing is cropped."""
    generator = np.random.default_rng(0)
    for modality, low, high in (("ct", -1000, 1000), ("pet", 1, 100)):
        voxels = generator.integers(low, high, SIZE_XYZ[::-1], dtype=np.int16)
        image = sitk.GetImageFromArray(np.where(voxels == 0, np.int16(1), voxels).astype(np.float32))
        image.SetSpacing(spacing)
        path = folder / "images" / modality / "case.mha"
        path.parent.mkdir(parents=True)
        sitk.WriteImage(image, str(path))
    points = ", ".join(f'{{"point": [{20 * i}, {20 * i}, {16 * i}], "name": "tumor"}}' for i in range(1, 11))
    (folder / "lesion-clicks.json").write_text(
        f'{{"version": {{"major": 1, "minor": 0}}, "type": "Multiple points", "points": [{points}]}}'
    )


def main() -> None:
    """Prints a Markdown table."""
    print("| on the CPU | peak memory, GB | seconds |\n| --- | --- | --- |")
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        full = write_model(root / "full", make_plans(**FULL_SIZE))
        print_row("one forward pass, 102.4 M parameters, patch 192^3", ["-c", FORWARD, full])
        small = write_model(root / "small", make_plans(**SMALL))
        for name, spacing in SPACINGS_XYZ.items():
            case = root / name
            write_noise_case(case, spacing)
            options = ("--input", case, "--output", case / "output", "--model", small, "--device", "cpu")
            name = f"whole run, 400 x 400 x 326 voxels, small model, {name}"
            print_row(name, ["process.py", *options, "--no-mirroring"])


def print_row(name: str, command: Sequence[object]) -> None:
    """Runs Python with arguments and prints a row of the table."""
    found, _ = launch(command)
    print(f"| {name} | {found['memory']:.1f} | {found['seconds']:.0f} |", flush=True)


if __name__ == "__main__":
    main()
