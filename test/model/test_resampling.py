import numpy as np
import pytest
from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg_to_shape

from lesionclick.model.resampling import resample

SHAPE = (20, 31, 26)
OPTIONS = {"is_seg": False, "order_z": 0, "force_separate_z": None}


@pytest.mark.parametrize("order", [0, 1, 3])
@pytest.mark.parametrize(
    ("shape", "spacing", "new_spacing"),
    [
        ((13, 31, 40), (3.0, 2.0, 2.0), (4.6, 2.0, 1.3)),
        ((41, 12, 9), (3.0, 2.0, 2.0), (1.5, 5.0, 5.8)),
        ((1, 1, 1), (1.0, 1.0, 1.0), (20.0, 31.0, 26.0)),
        ((33, 24, 20), (8.0, 2.0, 2.0), (5.0, 2.6, 2.6)),  # thick slices
    ],
)
def test_equals_nnunet(
    shape: tuple[int, ...], spacing: tuple[float, ...], new_spacing: tuple[float, ...], order: int
) -> None:
    volume = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    given = volume.copy()
    options = {**OPTIONS, "order": order}
    found = resample(volume, shape, spacing, new_spacing, options)
    expected = resample_data_or_seg_to_shape(volume[None], shape, spacing, new_spacing, **options)[0]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)
    np.testing.assert_array_equal(volume, given)


def test_an_equal_shape_costs_nothing() -> None:
    volume = np.zeros(SHAPE, dtype=np.float32)
    assert resample(volume, SHAPE, (3.0, 2.0, 2.0), (3.0, 2.0, 2.0), {**OPTIONS, "order": 3}) is volume
