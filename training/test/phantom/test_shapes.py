import numpy as np
import pytest

from lesionclick_training.phantom.shapes import Grid, Waves, capsule, ellipsoid, union


def test_ellipsoids_and_capsules_give_signed_distances() -> None:
    z, y, x = np.random.default_rng(0).uniform(-30, 30, size=(3, 200)).astype(np.float32)
    radius = np.sqrt(z**2 + y**2 + x**2)
    np.testing.assert_allclose(ellipsoid((0, 0, 0), (9, 9, 9)).distance(z, y, x), radius - 9, atol=1e-3)
    np.testing.assert_allclose(capsule((0, 0, 0), (0, 0, 0), 4).distance(z, y, x), radius - 4, atol=1e-3)
    long = capsule((-50, 0, 0), (50, 0, 0), 4)
    np.testing.assert_allclose(long.distance(z, y, x), np.hypot(y, x) - 4, atol=1e-3)
    both = union([long, ellipsoid((0, 0, 0), (9, 9, 9))]).distance(z, y, x)
    np.testing.assert_allclose(both, np.minimum(np.hypot(y, x) - 4, radius - 9), atol=1e-3)
    moved = long.moved((0, 3, 0))
    np.testing.assert_allclose(moved.distance(z, y, x), np.hypot(y - 3, x) - 4, atol=1e-3)
    np.testing.assert_allclose(moved.low, (-54, -1, -4))


def test_waves_are_the_same_on_axes_and_at_points() -> None:
    waves = Waves(np.random.default_rng(3), 20.0, 2.0)
    grid = Grid((5, 6, 7), (9.0, 8.0, 7.0), (-20.0, 3.0, 100.0))
    z, y, x = grid.points()
    field = waves(z, y, x)
    index = np.indices(grid.shape_zyx).reshape(3, -1).T
    listed = (index * grid.spacing_zyx + grid.origin_zyx).astype(np.float32)
    np.testing.assert_allclose(field.ravel(), waves(*listed.T), atol=1e-3)
    assert np.abs(field).max() <= waves.bound
    spread = waves(*np.random.default_rng(0).uniform(-500, 500, size=(3, 5000)).astype(np.float32)).std()
    assert spread == pytest.approx(2.0, rel=0.1)


def test_a_bent_grid_moves_what_lies_at_a_level_to_the_back() -> None:
    straight = Grid((30, 40, 20), (5.0, 5.0, 5.0), (0.0, -100.0, -50.0))
    bent = Grid(straight.shape_zyx, straight.spacing_zyx, straight.origin_zyx, ((50.0, 0.0), (100.0, 40.0)))
    ball = ellipsoid((120.0, 0.0, 0.0), (12, 12, 12))
    middles = []
    for grid in (straight, bent):
        box = grid.box(ball.low, ball.high)
        inside = np.argwhere(ball.distance(*grid.points(box)) < 0) + [part.start for part in box]
        middles.append(inside.mean(axis=0) * 5)
    np.testing.assert_allclose(middles[1] - middles[0], (0, 40, 0), atol=0.1)
