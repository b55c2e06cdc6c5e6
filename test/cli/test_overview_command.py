import itertools
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import image_from

from lesionclick.case.case import Case, mask_path
from lesionclick.case.images import write_mask
from lesionclick.cli.main import main

MASK = np.zeros((18, 20, 22), dtype=np.uint8)
MASK[2:5, 3:6, 4:7] = 1
MASK[10, 10, 10] = 1


@pytest.fixture
def predicted(case_folder: Path, tmp_path: Path) -> Path:
    """The output folder of a prediction of the case."""
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
        main(["overview", str(case_folder), str(predicted), "--before", str(predicted)])
    assert stopped.value.code == 0
    picture = predicted / "images/tumor-lesion-segmentation/case.png"
    assert capsys.readouterr().out.splitlines() == [
        "2 lesions, 0.3 ml",  # 28 voxels of 3 x 2.0364201^2 mm
        "Dice 0.982, false positive volume 0.0 ml, false negative volume 0.0 ml",
        str(picture),
    ]
    assert picture.read_bytes().startswith(b"\x89PNG")


BAD_MASKS: dict[str, tuple[sitk.Image | None, str]] = {
    "missing": (None, "the mask is missing"),
    "another grid": (image_from(MASK, spacing=(1, 1, 1)), "CT and mask are on different grids: spacing is"),
    "other values": (image_from(MASK * 2), "holds values other than 0 and 1"),
}


@pytest.mark.parametrize(
    ("name", "which"), [("missing", "mask"), *itertools.product(("another grid", "other values"), ("mask", "truth"))]
)
def test_bad_mask_is_one_sentence(
    name: str, which: str, case_folder: Path, predicted: Path, capsys: pytest.CaptureFixture[str]
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
    assert captured.err.startswith("error: ")
    assert str(path) in captured.err
    assert message in captured.err
    assert not list(predicted.rglob("*.png"))
