import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from lesionclick.testing import make_plans, write_model

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)  # workers share the cores; more threads than cores wait for one another
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # of what the tests start

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "test" / "golden"


def process(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs process.py with options, and variables of the environment on top of this one's."""
    return subprocess.run(
        [sys.executable, str(ROOT / "process.py"), *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def image_from(
    array_zyx: np.ndarray,
    spacing: Sequence[float] = (2.0364201, 2.0364201, 3.0),
    origin: Sequence[float] = (0, 0, 0),
    direction: Sequence[float] = (1, 0, 0, 0, 1, 0, 0, 0, 1),
) -> sitk.Image:
    """Spacing, origin and direction in SimpleITK's order x, y, z."""
    image = sitk.GetImageFromArray(array_zyx)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection(direction)
    return image


def click_file(*points: tuple[Sequence[Any], str]) -> dict[str, Any]:
    """The challenge's JSON from pairs of coordinates (x, y, z) and a name."""
    listed = [{"point": list(point), "name": name} for point, name in points]
    return {"version": {"major": 1, "minor": 0}, "type": "Multiple points", "points": listed}


def write_case(
    folder: Path, ct: sitk.Image, pet: sitk.Image, clicks: dict[str, Any] | None = None, name: str = "case"
) -> Path:
    for modality, image in (("ct", ct), ("pet", pet)):
        path = folder / "images" / modality / f"{name}.mha"
        path.parent.mkdir(parents=True)
        sitk.WriteImage(image, str(path), useCompression=True)
    (folder / "lesion-clicks.json").write_text(json.dumps(clicks if clicks is not None else click_file()))
    return folder


def body(shape_zyx: Sequence[int] = (18, 20, 22), seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """CT in HU and PET in SUV, both float32 and nowhere 0."""
    generator = np.random.default_rng(seed)
    ct = generator.uniform(-900, 900, shape_zyx).astype(np.float32)
    pet = generator.uniform(0.1, 20, shape_zyx).astype(np.float32)
    return ct, pet


@pytest.fixture
def case_folder(tmp_path: Path) -> Path:
    ct, pet = body()
    clicks = click_file(([3, 4, 5], "tumor"), ([10, 11, 12], "background"))
    return write_case(tmp_path / "input", image_from(ct), image_from(pet), clicks)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model of two folds, patch 16^3; leave it as it is."""
    return write_model(tmp_path_factory.mktemp("models") / "tiny", make_plans(), folds=(0, 1))


@pytest.fixture
def own_model_folder(tmp_path: Path) -> Path:
    """A tiny model of two folds that a test may break."""
    return write_model(tmp_path / "model", make_plans(), folds=(0, 1))


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs the command line, expects exit code 2 and returns the one sentence after "error: "."""
    from lesionclick.cli.main import main

    def run(*arguments: object) -> str:
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert stopped.value.code == 2, captured.err
        assert captured.out == ""
        errors = [line for line in captured.err.splitlines() if not line.startswith(("INFO ", "WARNING "))]
        assert len(errors) == 1, errors
        assert errors[0].startswith("error: ")
        return errors[0].removeprefix("error: ")

    return run
