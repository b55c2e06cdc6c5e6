from pathlib import Path

import numpy as np
import SimpleITK as sitk

from lesionclick_training.data.nnunet_layout import organ_number
from lesionclick_training.phantom.measurements import lesion_free_share, measure
from lesionclick_training.phantom.phantom import Phantom, make_phantom
from lesionclick_training.phantom.populations import REALISTIC
from lesionclick_training.phantom.report import report_phantoms


def test_a_phantom_is_measured() -> None:
    organ, lesion = (np.zeros((10, 20, 30), dtype=np.uint8) for _ in range(2))
    organ[2:4, 5:7, 5:15] = organ_number("liver")
    organ[6:8, 5:7, 5:15] = organ_number("heart")
    lesion[5, 5, 5] = lesion[6, 6, 6] = lesion[9, 19, 29] = 1
    pet = np.zeros(organ.shape, dtype=np.float32)
    pet[2, 5, 5:8] = 9
    measured = measure(Phantom(pet, pet, lesion, organ, (5.0, 4.0, 3.0), "FDG", 0))
    assert measured.organ_ml == {"liver": 40 * 0.06, "heart": 40 * 0.06}
    np.testing.assert_allclose(measured.organ_mm["heart"], (20, 0, 0))
    assert measured.length_mm == 50
    assert measured.width_mm == 90
    assert sorted(measured.lesion_ml) == [0.06, 0.12]
    assert dict(measured.background_clicks) == {"liver": 3}
    assert lesion_free_share([measured]) == 0


def test_a_report_is_a_picture_even_of_one_phantom(tmp_path: Path) -> None:
    phantom = make_phantom(3, "FDG", spacing_zyx=(12.0, 12.0, 12.0), population=REALISTIC)
    report_phantoms([("one", phantom)], tmp_path / "report.png", "one phantom")
    pixels = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "report.png")))[..., :3]
    assert pixels.shape[1] > 1000
    assert pixels.std() > 20
