import numpy as np
import pytest
from scipy import stats

from lesionclick_training.augmentation.draw_clicks import draw_count

SIGNIFICANCE = 0.001  # the seeds are fixed, so a test that passes once passes always


@pytest.mark.parametrize("most", [1, 3, 10])
def test_number_of_clicks_is_distributed_as_described(most: int) -> None:
    generator = np.random.default_rng(0)
    counts = np.bincount([draw_count(generator, most) for _ in range(20000)], minlength=most + 1)
    weights = np.log(np.arange(most + 2, 1, -1))
    assert len(counts) == most + 1
    assert stats.chisquare(counts, 20000 * weights / weights.sum()).pvalue > SIGNIFICANCE


def test_number_of_clicks_by_default_is_0_to_10_with_its_mean_below_the_middle() -> None:
    generator = np.random.default_rng(0)
    counts = [draw_count(generator) for _ in range(5000)]
    assert (min(counts), max(counts)) == (0, 10)
    assert draw_count(generator, most=0) == 0
    weights = np.log(12 - np.arange(11))
    assert np.mean(counts) == pytest.approx(np.average(np.arange(11), weights=weights), abs=0.15)
