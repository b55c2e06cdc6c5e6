"""Every benchmark runs, at sizes that take seconds; what it measures there means nothing."""

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

from lesionclick.case.case import Case

PARTS = {
    "__init__",
    "awake",
    "launch",
    "levers",
    "machine",
    "masks",
    "phantom_case",
    "runs",
    "sizes",
    "stock_checkpoints",
}
PROGRAMS = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py") if path.stem not in PARTS)

Benchmark = Callable[..., list[list[str]]]


@pytest.fixture
def benchmark(capsys: pytest.CaptureFixture[str]) -> Benchmark:
    """Runs a benchmark with options and returns the cells of its tables' rows, headings and rules apart."""

    def run(name: str, *options: object) -> list[list[str]]:
        importlib.import_module(f"benchmarks.{name}").main([str(option) for option in options])
        lines = capsys.readouterr().out.splitlines()
        rows = []
        for place, line in enumerate(lines):
            is_heading = place + 1 < len(lines) and lines[place + 1].startswith("| ---")
            if line.startswith("| ") and not line.startswith("| ---") and not is_heading:
                rows.append([cell.strip() for cell in line.strip("|").split("|")])
        return rows

    return run


@pytest.fixture
def dataset(case_folder: Path, tmp_path: Path) -> Path:
    """A dataset of one case that is all lesion."""
    case = Case.read(case_folder)
    case.write(tmp_path / "dataset" / "case", lesion_zyx=np.ones(case.ct_zyx.shape, dtype=np.uint8))
    return tmp_path / "dataset"


def column(rows: Sequence[Sequence[str]], place: int) -> list[str]:
    return [row[place] for row in rows]


@pytest.mark.parametrize("name", PROGRAMS)
def test_help_names_the_program(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        importlib.import_module(f"benchmarks.{name}").main(["--help"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: benchmarks.{name} ")


def test_adaptive_networks(benchmark: Benchmark, dataset: Path, model_folder: Path) -> None:
    options = ("--counts", 1, 2, "--probabilities", 0.01, "--click-counts", 0, 1)
    rows = benchmark("adaptive_networks", dataset, "--model", model_folder, *options)
    assert column(rows, 0) == ["1", "2"] * 2
    assert column(rows, 6)[1] == column(rows, 6)[3] == "1.0000"  # both networks over every tile


def test_dicom_study(benchmark: Benchmark) -> None:
    pytest.importorskip("highdicom", reason="needs the extra dicom")
    ((ct, pet, *_),) = benchmark("dicom_study", "--ct-slices", 4, "--pet-slices", 3)
    assert (ct, pet) == ("512 x 512 x 4", "440 x 440 x 3")


@pytest.mark.slow
def test_cohort(benchmark: Benchmark, case_folder: Path, model_folder: Path) -> None:
    rows = benchmark("cohort", "--case", case_folder, "--model", model_folder, "--cases", 2, "--rounds", 1)
    assert column(rows, 0) == ["loop over Session", "cohort", "predict, case by case"]
    assert rows[0][3] == "1.000"


def test_click_drawing(benchmark: Benchmark) -> None:
    (row,) = benchmark("click_drawing", "--rounds", 1, "--size", "small")
    assert row[3].endswith("%")


@pytest.mark.slow
def test_engine(benchmark: Benchmark, case_folder: Path, model_folder: Path) -> None:
    places = ("--case", case_folder, "--model", model_folder, "--device", "cpu")
    options = ("--rounds", 1, "--mirroring", "adaptive", "--folds", 0, "--precisions", "auto", "float32", "--masks")
    rows = benchmark("engine", *places, *options)
    names = column(rows, 0)
    assert (
        names[:7]
        == names[7:14]
        == [
            *("import, s", "load, s", "preprocessing, s", "network, s", "export, s"),
            *("whole run, s", "peak memory, GB"),
        ]
    )
    assert names[14].startswith("--mirroring adaptive --networks ")
    assert names[15:17] == [
        "--mirroring all --networks all --field-of-view full",
        "--mirroring all --networks all --field-of-view full --precision float32",
    ]
    assert float(rows[16][1]) > 0.99


def test_obedience(benchmark: Benchmark, dataset: Path, model_folder: Path) -> None:
    rows = benchmark("obedience", dataset, "--model", model_folder, "--click-counts", 1, 2)
    assert column(rows, 0) == ["1", "2"]
    for row in rows:
        tumor, background = row[1:4], row[4:7]
        assert tumor[1:] == background[1:] == ["1", "1"]  # all are obeyed with the rule
        assert int(tumor[0]) <= 1


def test_field_of_view(benchmark: Benchmark, dataset: Path, model_folder: Path) -> None:
    rows = benchmark("field_of_view", dataset, "--model", model_folder, "--networks", "all")
    assert column(rows, 0) == ["case", "all"]
    assert column(rows, 4) == ["1.0000"] * 2  # too small for a body to be found in it


@pytest.mark.slow
def test_invoke(benchmark: Benchmark, case_folder: Path, model_folder: Path) -> None:
    options = ("--rounds", 1, "--iterations", 2)
    rows = benchmark("invoke", "--case", case_folder, "--model", model_folder, *options)
    assert column(rows, 0)[:2] == ["exec, first case", "exec, second case"]
    assert column(rows, 0)[5:] == ["second case, exec over invoke", "0", "1", "all", "fresh over"]
    computed, there = (int(number) for number in rows[7][4].split(" of "))
    assert computed < there


@pytest.mark.slow
def test_memory(benchmark: Benchmark) -> None:
    rows = benchmark("memory", "--size", "small", "--voxels", 40, 40, 30)
    assert len(rows) == 3
    assert all(0 < float(memory) < 3 for memory in column(rows, 1))


def test_metrics(benchmark: Benchmark) -> None:
    rows = benchmark("metrics", "--rounds", 1, "--planes", 60)
    assert column(rows, 0) == ["whole volume once a component", "lesionclick"]


@pytest.mark.slow
def test_one_tile(benchmark: Benchmark) -> None:
    ((name, seconds, *_),) = benchmark("one_tile", "--size", "small", "--device", "cpu")
    assert name.startswith("cpu, openvino, ")
    assert float(seconds) > 0


@pytest.mark.slow
def test_pack(benchmark: Benchmark) -> None:
    rows = benchmark("pack", "--rounds", 1, "--size", "small")
    sizes = [float(size) for size in column(rows, 1)]
    assert sizes[0] == sizes[1] > 3 * sizes[2]


@pytest.mark.slow
def test_resampling(benchmark: Benchmark) -> None:
    rows = benchmark("resampling", "--rounds", 1, "--shrink", 10)
    assert column(rows, 0) == ["in, cubic", "back, linear"]


def test_session(benchmark: Benchmark, case_folder: Path, model_folder: Path) -> None:
    rows = benchmark("session", "--case", case_folder, "--model", model_folder, "--precision", "float32")
    assert column(rows, 0)[:5] == [
        "automatic mask, from opening on",
        *("click 1, tumor", "click 2, background", "median click", "undo"),
    ]
    assert rows[1][6] == rows[0][3]  # a fresh run makes as many passes with a click as without
    assert rows[4][3] == "0"
    assert rows[5] == ["48", "27", "6.8", "1.8", "7.0"]
