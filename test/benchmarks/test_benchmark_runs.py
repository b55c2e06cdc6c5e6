from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.launch import launch
from benchmarks.masks import dice
from benchmarks.runs import STAGES, read_log, run_ours, run_stock
from benchmarks.stock_checkpoints import write_checkpoints
from lesionclick.model.folder import ModelFolder

LOG = """
0.00 WARNING something before
4.30 INFO reading the case: 0.3 s
4.40 INFO checking the model: 10 s so far
4.50 INFO checking the model: 0.2 s
4.51 INFO model: model, 2 networks, on cpu, openvino, bfloat16
4.52 WARNING model: random weights
5.00 INFO preprocessing: 0.4 s
5.10 INFO network: 6 of 6 tiles, 2 networks
6.00 INFO network: 48 of 96 forward passes, 10 s so far
6.10 INFO prediction: 20 s so far
7.00 INFO forward passes: 96
7.10 INFO prediction: 2.1 s
7.20 INFO resampling to the image: 0.1 s
7.50 INFO writing: 0.3 s
"""


def test_log_says_what_each_stage_took() -> None:
    lines = [line.split(maxsplit=1) for line in LOG.strip().splitlines()]
    run = read_log((float(moment), text) for moment, text in lines)
    expected = {"import": 4.0, "load": 0.2, "preprocessing": 0.9, "network": 2.0, "gpu memory": 0.0}
    assert run.figures == pytest.approx(expected)
    assert (run.passes, run.precision) == (96, "bfloat16")


def test_process_is_measured_stage_by_stage(case_folder: Path, model_folder: Path, tmp_path: Path) -> None:
    options = {"--mirroring": "all", "--networks": "all", "--precision": "float32"}
    run = run_ours(case_folder, model_folder, tmp_path / "output", "cpu", options)
    assert run.passes % (2 * 8) == 0
    assert run.precision == "float32"
    assert sum(run.figures[stage] for stage in STAGES) == pytest.approx(run.figures["total"])
    assert all(run.figures[stage] > 0 for stage in STAGES)
    assert 0.1 < run.figures["memory"] < 3


@pytest.mark.slow
def test_stock_is_measured_stage_by_stage(case_folder: Path, model_folder: Path, tmp_path: Path) -> None:
    folder = write_checkpoints(ModelFolder.read(model_folder), tmp_path / "stock", stock=True)
    run = run_stock(case_folder, folder, tmp_path / "mask.mha", "cpu", mirroring=False)
    assert (tmp_path / "mask.mha").exists()
    assert sum(run.figures[stage] for stage in STAGES) == pytest.approx(run.figures["total"])
    assert all(run.figures[stage] > 0 for stage in STAGES)


def test_process_that_tells_of_the_gpu_is_process_py(case_folder: Path, model_folder: Path, tmp_path: Path) -> None:
    options = ["--input", case_folder, "--output", tmp_path / "output", "--model", model_folder, "--device", "cpu"]
    launched = launch(["-m", "benchmarks.processes.process_on_cuda", *options])
    assert launched.output.strip().endswith(".mha")
    assert launched.lines[-1][1].startswith("INFO gpu memory: ")
    assert read_log(launched.lines).figures["gpu memory"] == 0 or torch.cuda.is_available()


def test_dice() -> None:
    mask = np.array([0, 1, 1, 0], dtype=np.uint8)
    assert dice(mask, mask) == 1
    assert dice(mask, np.roll(mask, 1) != 0) == 0.5
    assert dice(0 * mask, 0 * mask) == 1
