"""Size and loading time of one full-size network: stock nnU-Net's checkpoint against a float16 pack of it.

    python -m benchmarks.pack [ROUNDS]

Makes a checkpoint of the published architecture (102.4 M parameters, random weights, optimizer state) in a temporary
folder, packs it, and loads both to a float32 network on the CPU, each in a process of its own, alternating. "Stock
nnU-Net" is what `nnUNetPredictor.initialize_from_trained_model_folder` does: `torch.load` of the whole checkpoint, a
freshly initialised network from the plans, `load_state_dict`. Imports and the reading of plans.json are outside the
clock; checking the sha256 sums is inside. Files are in the page cache, as a second run finds them.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from lesionclick.testing import FULL_SIZE, make_plans, write_model

STOCK = """
import json, resource, sys, time, torch
from pathlib import Path
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
folder = Path(sys.argv[1])
architecture = json.loads((folder / "plans.json").read_text())["configurations"]["3d_fullres"]["architecture"]
start = time.perf_counter()
checkpoint = torch.load(folder / "fold_0" / "checkpoint_final.pth", map_location="cpu", weights_only=False)
network = get_network_from_plans(
    architecture["network_class_name"], architecture["arch_kwargs"], architecture["_kw_requires_import"], 4, 2,
    deep_supervision=False,
)
network.load_state_dict(checkpoint["network_weights"])
"""
OURS = """
import json, resource, sys, time, torch
from lesionclick.weights import ModelFolder
start = time.perf_counter()
model = ModelFolder.read(sys.argv[1])
network = model.load(model.folds[0])
"""
REPORT = """
checksum = sum(float(parameter.detach().sum()) for parameter in network.parameters())  # touches every value
seconds = time.perf_counter() - start
print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, checksum]))
"""


def measure(program: str, folder: Path) -> tuple[float, float, float]:
    """Seconds, peak resident memory in GB and the sum of all weights, from a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", program + REPORT, str(folder)], check=True, capture_output=True, text=True
    )
    seconds, peak, checksum = json.loads(done.stdout.splitlines()[-1])
    return seconds, peak, checksum


def main(rounds: int) -> None:
    """Prints a Markdown table."""
    from lesionclick.model.pack import pack

    with tempfile.TemporaryDirectory() as temporary:
        plain = write_model(Path(temporary) / "plain", make_plans(**FULL_SIZE), organ_heads=False)
        packed = pack(plain, Path(temporary) / "packed").path
        programs = {
            "stock nnU-Net, checkpoint": (STOCK, plain, "checkpoint_final.pth"),
            "lesionclick, checkpoint": (OURS, plain, "checkpoint_final.pth"),
            "lesionclick, float16 pack": (OURS, packed, "weights.safetensors"),
        }
        found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in programs}
        for _ in range(rounds):
            for name, (program, folder, _file) in programs.items():
                found[name].append(measure(program, folder))
        stock = statistics.median(seconds for seconds, _, _ in found["stock nnU-Net, checkpoint"])
        print("| one network of 102.4 M parameters | file, MB | loading, s (range) | times as fast | peak memory, GB |")
        print("| --- | --- | --- | --- | --- |")
        for name, (_, folder, file) in programs.items():
            times = sorted(seconds for seconds, _, _ in found[name])
            median = statistics.median(times)
            peak = statistics.median(peak for _, peak, _ in found[name])
            size = (folder / "fold_0" / file).stat().st_size / 1e6
            print(
                f"| {name} | {size:.1f} | {median:.2f} ({times[0]:.2f} to {times[-1]:.2f}) | {stock / median:.1f} "
                f"| {peak:.2f} |"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
