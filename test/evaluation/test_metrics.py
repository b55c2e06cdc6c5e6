import json
import math
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import GOLDEN

from lesionclick.evaluation.metrics import Detection, auc, score_mask

EXPECTED = json.loads((GOLDEN / "metrics" / "expected.json").read_text())
PAIRS = [name for name in EXPECTED if name != "auc"]


def same(found: float, expected: float | None) -> bool:
    return math.isnan(found) if expected is None else found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", PAIRS)
def test_equals_the_official_figures(name: str) -> None:
    images = [sitk.ReadImage(str(GOLDEN / "metrics" / name / f"{kind}.mha")) for kind in ("prediction", "truth")]
    prediction, truth = (sitk.GetArrayFromImage(image) for image in images)
    found = score_mask(prediction, truth, images[1].GetSpacing()[::-1])
    expected = EXPECTED[name]
    assert same(found.dice, expected["dice"])
    assert same(found.false_positive_ml, expected["false_positive_volume_ml"])
    assert same(found.false_negative_ml, expected["false_negative_volume_ml"])
    counts = expected["detection"]
    assert found.detection == Detection(counts["tp"], counts["fp"], counts["fn"])
    assert same(found.detection.f1, counts["f1"])


def test_dice_of_an_empty_truth_is_that_of_the_challenge() -> None:
    empty, full = np.zeros((4, 4, 4)), np.ones((4, 4, 4))
    assert [score_mask(mask, empty, (1, 1, 1)).autopetv_dice for mask in (empty, full)] == [1, 0]
    assert [score_mask(mask, full, (1, 1, 1)).autopetv_dice for mask in (empty, full)] == [0, 1]
    assert math.isnan(score_mask(full, empty, (1, 1, 1)).dice)


def test_several_predicted_parts_of_one_lesion_are_one_find() -> None:
    truth = np.ones((1, 1, 20), dtype=np.uint8)
    prediction = truth.copy()
    prediction[0, 0, ::7] = 0  # four parts, of which three have 6 of 20 voxels, the last one has 6 less
    assert score_mask(prediction, truth, (1, 1, 1)).detection.true_positives == 1
    assert score_mask(prediction, truth, (1, 1, 1)).detection.false_positives == 0


def test_auc_equals_the_official_figures() -> None:
    expected = EXPECTED["auc"]
    assert auc(expected["dice_at_clicks_0_to_10"]) == pytest.approx(expected["auc"])
    assert auc(expected["dice_at_clicks_0_3_7_10"]) == pytest.approx(expected["auc_0_3_7_10"])


def test_one_voxel_that_touches_saves_a_whole_lesion() -> None:
    truth = np.zeros((9, 9, 9), dtype=np.uint8)
    truth[1:4, 1:4, 1:4] = 1
    truth[6:8, 6:8, 6:8] = 1
    prediction = np.zeros_like(truth)
    prediction[3:6, 3, 3] = 1
    prediction[0, 8, 8] = 1
    found = score_mask(prediction, truth, (1, 2, 5))
    assert found.false_negative_ml == pytest.approx(8 * 0.01)
    assert found.false_positive_ml == pytest.approx(0.01)
    assert found.detection == Detection(0, 2, 2)  # 1 of 29 voxels is too little to find a lesion
    assert found.dice == pytest.approx(2 * 1 / (35 + 4))


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="the prediction has the shape"):
        score_mask(np.zeros((2, 2, 2)), np.zeros((2, 2, 3)), (1, 1, 1))


def test_metrics_load_no_networks() -> None:
    program = "import sys, lesionclick.evaluation.metrics; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "False\n"
