import numpy as np

from lesionclick_training.phantom.sampling import sampled
from lesionclick_training.phantom.shapes import Grid, ellipsoid


def test_sampled_distances_are_those_of_the_solid() -> None:
    grid = Grid((31, 40, 33), (3.0, 3.0, 3.0), (-45.0, -60.0, -48.0), ((-45.0, 0.0), (45.0, 9.0)))
    ball = ellipsoid((0.0, 0.0, 0.0), (35, 35, 35))
    exact = ball.distance(*grid.points())
    coarse = sampled(ball.distance, grid, grid.whole, 9.0)
    assert coarse.shape == exact.shape
    near = np.abs(exact) < 8
    assert np.abs(coarse - exact)[near].max() < 0.8
