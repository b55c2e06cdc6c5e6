"""Forward pass: each network of a model folder over one patch of noise, on the CPU.

python -m benchmarks.processes.forward_pass MODEL
"""

import sys
from pathlib import Path

import numpy as np

from lesionclick import Ensemble


def run(model: Path) -> np.ndarray:
    """The logit that they give, float32 of the patch's shape."""
    ensemble = Ensemble.load(model, "cpu")
    shape = (ensemble.model.channels, *ensemble.model.patch)
    return ensemble.predict_logits(np.random.default_rng(0).normal(size=shape).astype(np.float32))


if __name__ == "__main__":
    run(Path(sys.argv[1]))
