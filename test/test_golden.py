"""The published method's results on small cases (see test/golden/README.md)."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import GOLDEN, process

from lesionclick.model.pack import pack

CASES = ("same-spacing", "resampled", "no-clicks")


def run(
    case: str, model: Path, output: Path, backend: str, field_of_view: str = "full"
) -> tuple[np.ndarray, np.ndarray, subprocess.CompletedProcess[str]]:
    """Runs process.py on a golden case; its mask, how far its probability is from the golden one, and the process."""
    probabilities = output / "probability.npz"
    options = ["--input", GOLDEN / case / "input", "--output", output, "--model", model, "--device", "cpu"]
    options += ["--backend", backend, "--precision", "float32"]
    options += ["--field-of-view", field_of_view, "--mirroring", "all", "--networks", "all"]
    done = process(*options, "--probabilities", probabilities)
    assert done.returncode == 0, done.stderr
    expected = GOLDEN / case / "expected"
    with np.load(probabilities) as ours, np.load(expected / "probability.npz") as golden:
        difference = np.abs(ours["foreground"].astype(np.float32) - golden["foreground"].astype(np.float32))
    (mask,) = (output / "images" / "tumor-lesion-segmentation").iterdir()
    assert done.stdout == f"{mask}\n"
    assert mask.name == next((expected / "images" / "tumor-lesion-segmentation").iterdir()).name
    return sitk.GetArrayFromImage(sitk.ReadImage(str(mask))), difference, done


def golden_mask(case: str) -> np.ndarray:
    (path,) = (GOLDEN / case / "expected" / "images" / "tumor-lesion-segmentation").iterdir()
    mask: np.ndarray = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    return mask


@pytest.mark.parametrize(
    ("backend", "field_of_view"),
    [("torch", "full"), ("openvino", "full"), ("openvino", "body")],  # the body fills each of these cases
)
@pytest.mark.parametrize("case", CASES)
def test_probability_is_the_published_one(case: str, backend: str, field_of_view: str, tmp_path: Path) -> None:
    mask, difference, done = run(case, GOLDEN / case / "model", tmp_path, backend, field_of_view)
    assert "no body found" not in done.stderr
    assert difference.max() < 0.015
    assert difference.mean() < 2e-4
    assert np.mean(mask != golden_mask(case)) < 2e-4  # voxels whose probability is 0.5 to the third decimal


@pytest.mark.parametrize("case", CASES)
def test_probability_through_a_float16_pack(case: str, tmp_path: Path) -> None:
    """As close on average; single voxels in the volume's corners may differ more (docs/models.md says why)."""
    packed = pack(GOLDEN / case / "model", tmp_path / "packed")
    mask, difference, _ = run(case, packed.path, tmp_path / "output", "openvino")
    assert difference.mean() < 2e-4
    assert np.count_nonzero(difference > 0.015) <= 3
    assert difference.max() < 0.05
    assert np.mean(mask != golden_mask(case)) < 3e-4
