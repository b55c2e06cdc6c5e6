import itertools
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import body, image_from, write_case

from lesionclick import Case, Click
from lesionclick.case.case import mask_path
from lesionclick.case.images import write_mask
from lesionclick.cli.main import main
from lesionclick.report.overview import Panel, draw

MASK = np.zeros((18, 20, 22), dtype=np.uint8)
MASK[2:5, 3:6, 4:7] = 1
MASK[10, 10, 10] = 1


@pytest.fixture
def predicted(case_folder: Path, tmp_path: Path) -> Path:
    """The output folder of a run on the case."""
    case = Case.read(case_folder)
    write_mask(MASK, case.geometry, mask_path(case, tmp_path / "output"))
    return tmp_path / "output"


def test_prints_count_volume_and_dice_and_draws(
    case_folder: Path, predicted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = MASK.copy()
    truth[10, 10, 10] = 0
    write_mask(truth, Case.read(case_folder).geometry, case_folder / "truth.mha")
    with pytest.raises(SystemExit) as stopped:
        main(["overview", str(case_folder), str(predicted)])
    assert stopped.value.code == 0
    picture = predicted / "images/tumor-lesion-segmentation/case.png"
    assert capsys.readouterr().out.splitlines() == [
        "2 lesions, 0.3 ml",  # 28 voxels of 3 x 2.0364201^2 mm
        "Dice 0.982, false positive volume 0.0 ml, false negative volume 0.0 ml",
        str(picture),
    ]
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("direction", [(1, 0, 0, 0, 1, 0, 0, 0, 1), (-1, 0, 0, 0, -1, 0, 0, 0, -1)])
def test_head_is_up_and_clicks_lie_on_what_they_mark(direction: tuple[int, ...], tmp_path: Path) -> None:
    """A hot voxel and a click on it are drawn at the same place, towards the head and the patient's right."""
    from lesionclick.report import overview

    ct, pet = body()
    pet[:] = 0.1
    z, x = (16, 2) if direction[0] > 0 else (1, 19)
    pet[z, 5, x] = 10
    case = Case.read(write_case(tmp_path / "input", *(image_from(each, direction=direction) for each in (ct, pet))))
    shown = overview._upright(case.pet_zyx.max(axis=1), case)
    row, column = np.unravel_index(shown.argmax(), shown.shape)
    assert (row, column) == (1, 2)

    class Recorder:
        def scatter(self, x: np.ndarray, y: np.ndarray, **_: object) -> None:
            self.points = [*getattr(self, "points", []), *zip(x, y, strict=True)]

    recorder = Recorder()
    overview._mark(recorder, [Click(x, 5, z, "tumor")], case)  # type: ignore[arg-type]
    ((across, up),) = recorder.points
    assert across == pytest.approx((column + 0.5) * 2.0364201)
    assert up == pytest.approx((18 - row - 0.5) * 3)
    draw(case, [Panel("no mask"), Panel("empty", np.zeros_like(MASK)), Panel("mask", MASK)], tmp_path / "new" / "o.png")
    assert (tmp_path / "new" / "o.png").stat().st_size > 1000


BAD_MASKS: dict[str, tuple[sitk.Image | None, str]] = {
    "missing": (None, "the mask is missing"),
    "another grid": (image_from(MASK, spacing=(1, 1, 1)), "CT and mask are on different grids: spacing is"),
    "other values": (image_from(MASK * 2), "holds values other than 0 and 1"),
}


@pytest.mark.parametrize(
    ("name", "which"), [("missing", "mask"), *itertools.product(("another grid", "other values"), ("mask", "truth"))]
)
def test_bad_mask_is_one_sentence(
    name: str,
    which: str,
    case_folder: Path,
    predicted: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    image, message = BAD_MASKS[name]
    path = case_folder / "truth.mha" if which == "truth" else mask_path(Case.read(case_folder), predicted)
    path.unlink(missing_ok=True)
    if image is not None:
        sitk.WriteImage(image, str(path))
    with pytest.raises(SystemExit) as stopped:
        main(["overview", str(case_folder), str(predicted)])
    assert stopped.value.code == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"error: {path}: ") or str(path) in captured.err
    assert message in captured.err
    assert not list(predicted.rglob("*.png"))
