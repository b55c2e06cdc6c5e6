"""Process on CUDA: process.py with its own arguments, and a log line on the GPU's peak memory at its end."""

import atexit
import runpy
import sys

import torch

from benchmarks.launch import ROOT


def report() -> None:
    """Prints the line, in the form of process.py's own."""
    print(f"INFO gpu memory: {torch.cuda.max_memory_reserved() / 1e9:.3f} GB", file=sys.stderr)


if __name__ == "__main__":
    atexit.register(report)
    runpy.run_path(str(ROOT / "process.py"), run_name="__main__")
