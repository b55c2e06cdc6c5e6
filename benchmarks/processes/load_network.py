"""Load network: reads the first network of a model folder, stock nnU-Net's way or ours, and says what it took.

    python -m benchmarks.processes.load_network stock|lesionclick MODEL

Prints JSON: seconds, peak memory in GB, and the sum of all weights. Imports are outside the clock, and so is the
reading of plans.json for stock nnU-Net.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from lesionclick.model.files import CHECKPOINT_FILE, PLANS_FILE


def prepare_stock(folder: Path) -> Callable[[], torch.nn.Module]:
    """What `nnUNetPredictor.initialize_from_trained_model_folder` does for one network, once its modules are there."""
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    architecture = json.loads((folder / PLANS_FILE).read_text())["configurations"]["3d_fullres"]["architecture"]
    path = folder / "fold_0" / CHECKPOINT_FILE

    def load() -> torch.nn.Module:
        checkpoint = torch.load(path, map_location="cpu", weights_only=False)
        keys = ("network_class_name", "arch_kwargs", "_kw_requires_import")
        network: torch.nn.Module = get_network_from_plans(
            *(architecture[key] for key in keys), 4, 2, deep_supervision=False
        )
        network.load_state_dict(checkpoint["network_weights"])
        return network

    return load


def prepare_ours(folder: Path) -> Callable[[], torch.nn.Module]:
    """What an ensemble does for one network, the folder's checks included."""
    from lesionclick.model.folder import ModelFolder

    def load() -> torch.nn.Module:
        model = ModelFolder.read(folder)
        return model.load(model.folds[0])

    return load


def main(side: str, folder: Path) -> None:
    """Prints the line."""
    load = {"stock": prepare_stock, "lesionclick": prepare_ours}[side](folder)
    start = time.perf_counter()
    network = load()
    total = sum(float(parameter.detach().sum()) for parameter in network.parameters())  # touches every value
    seconds = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(json.dumps({"seconds": seconds, "memory": memory, "sum": total}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
