from pathlib import Path

import numpy as np
import pytest

from benchmarks.phantom_case import AIR_HU, FIELD_MM, write_phantom_case
from lesionclick.case.case import Case


def test_phantom_stands_in_a_wide_field_of_air_with_clicks(tmp_path: Path) -> None:
    case = Case.read(write_phantom_case(tmp_path / "phantom", (12.0, 12.0, 12.0)))
    z, y, x = case.ct_zyx.shape
    assert (y * 12, x * 12) == pytest.approx((FIELD_MM, FIELD_MM), abs=12)
    assert z * 12 > FIELD_MM
    for side in (case.ct_zyx[:, 0], case.ct_zyx[:, -1], case.ct_zyx[..., 0], case.ct_zyx[..., -1]):
        np.testing.assert_array_equal(side, AIR_HU)
    assert min(case.pet_zyx[:, 0].min(), case.pet_zyx[..., -1].min()) > 0
    assert {click.label for click in case.clicks} == {"tumor", "background"}
