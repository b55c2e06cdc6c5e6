from pathlib import Path

import pytest
import SimpleITK as sitk

from lesionclick_training.phantom.figure import draw_figure
from lesionclick_training.phantom.phantom import make_phantom
from lesionclick_training.phantom.population import Tracer
from lesionclick_training.phantom.populations import BASE


@pytest.mark.parametrize(("seed", "tracer"), [(3, "FDG"), (13, "PSMA")])
def test_a_figure_is_a_picture_on_white(tmp_path: Path, seed: int, tracer: Tracer) -> None:
    draw_figure(make_phantom(seed, tracer, spacing_zyx=(8.0, 8.0, 8.0), population=BASE), tmp_path / "phantom.png")
    pixels = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "phantom.png")))[..., :3]
    assert pixels.shape[1] > 1000
    assert (pixels[:4, :4] == 255).all()
    assert pixels.std() > 50
