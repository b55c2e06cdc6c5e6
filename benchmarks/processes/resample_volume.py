"""Resample volume: one volume of noise, by nnU-Net's function or ours; prints the seconds that it took.

    python -m benchmarks.processes.resample_volume nnunet|lesionclick JSON

JSON is a list: shape and new shape, spacing and new spacing (mm), order of the spline.
"""

import json
import sys
import time
from collections.abc import Sequence

import numpy as np


def run(
    side: str,
    shape: Sequence[int],
    new_shape: Sequence[int],
    spacing: Sequence[float],
    new_spacing: Sequence[float],
    order: int,
) -> float:
    """Seconds, imports apart."""
    from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg_to_shape

    from lesionclick.model.resampling import resample

    options = {"is_seg": False, "order": order, "order_z": 0, "force_separate_z": None}
    volume = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    start = time.perf_counter()
    if side == "lesionclick":
        result = resample(volume, new_shape, spacing, new_spacing, options)
    else:
        (result,) = resample_data_or_seg_to_shape(volume[None], new_shape, spacing, new_spacing, **options)
    seconds = time.perf_counter() - start
    assert result.shape == tuple(new_shape)
    return seconds


if __name__ == "__main__":
    print(run(sys.argv[1], *json.loads(sys.argv[2])))
