import cc3d
import numpy as np
import pytest
from scipy import ndimage
from skimage.draw import line

from lesionclick.simulation.interaction import Scribble
from lesionclick.simulation.scribbles import draw_scribble

NEIGHBORS_8 = np.ones((3, 3))


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def draw(mask: np.ndarray, scribble: Scribble, seed: int = 0) -> np.ndarray:
    """A scribble in a mask of three axes: points z, y, x."""
    return draw_scribble(np.flatnonzero(mask), mask.shape, scribble, generator(seed))


def draw_in_slice(area: np.ndarray, scribble: Scribble, seed: int = 0) -> np.ndarray:
    """A scribble in a mask of two axes: points y, x."""
    return draw(area[None], scribble, seed)[:, 1:]


def disc(radius: float, shape: tuple[int, int] = (41, 51), center: tuple[int, int] = (20, 25)) -> np.ndarray:
    y, x = np.ogrid[: shape[0], : shape[1]]
    return np.asarray((y - center[0]) ** 2 + (x - center[1]) ** 2 <= radius**2)


def eight() -> np.ndarray:
    """Two rings that touch."""
    rings = [disc(11, center=center) & ~disc(6, center=center) for center in ((20, 15), (20, 33))]
    return np.asarray(rings[0] | rings[1])


SHAPES = {
    "disc": disc(12),
    "ring": disc(15) & ~disc(10),
    "four arcs": disc(15) & ~disc(14.2),
    "eight": eight(),
    "bar": np.pad(np.ones((5, 31), dtype=bool), 3),
    "thin bar": np.pad(np.ones((1, 31), dtype=bool), 3),
    "diagonal": np.eye(20, dtype=bool),
    "fills the slice": np.ones((9, 14), dtype=bool),
    "two voxels": np.pad(np.ones((1, 2), dtype=bool), 1),
    "square of four": np.pad(np.ones((2, 2), dtype=bool), 1),
    "two parts": disc(6, center=(10, 10)) | disc(4, center=(30, 40)),
    "cross": np.pad(np.ones((1, 30), dtype=bool), ((15, 15), (0, 0))) | (np.arange(30) == 15),
}


@pytest.mark.parametrize("scribble", Scribble)
@pytest.mark.parametrize("name", SHAPES)
def test_a_scribble_lies_in_its_area_whatever_the_shape(name: str, scribble: Scribble) -> None:
    area = SHAPES[name]
    for seed in range(10):
        points = draw_in_slice(area, scribble, seed)
        assert len(points) >= 1
        assert len(np.unique(points, axis=0)) == len(points)
        assert area[tuple(points.T)].all()
        assert points.tolist() == draw_in_slice(area, scribble, seed).tolist()


@pytest.mark.parametrize("scribble", Scribble)
@pytest.mark.parametrize("voxel", [(0, 0, 0), (3, 4, 5), (5, 6, 7)])
def test_one_voxel_is_a_scribble(voxel: tuple[int, int, int], scribble: Scribble) -> None:
    mask = np.zeros((6, 7, 8), dtype=bool)
    mask[voxel] = True
    assert draw(mask, scribble).tolist() == [list(voxel)]


@pytest.mark.parametrize("scribble", Scribble)
def test_it_is_drawn_in_the_slice_of_the_largest_area(scribble: Scribble) -> None:
    mask = np.zeros((9, 12, 12), dtype=bool)
    mask[2:8, 4:7, 4:7] = True
    mask[[3, 5], 1:10, 2:9] = True  # the first of two
    assert set(draw(mask, scribble)[:, 0]) == {3}
    mask[5, 11, 11] = True
    assert set(draw(mask, scribble)[:, 0]) == {5}


@pytest.mark.parametrize("name", ["ring", "four arcs", "bar", "thin bar", "diagonal", "cross"])
def test_a_centerline_is_a_path_along_the_skeleton(name: str) -> None:
    points = draw_in_slice(SHAPES[name], Scribble.centerline)
    assert (np.abs(np.diff(points, axis=0)).max(axis=1) == 1).all()  # each point next to the one before
    depths = ndimage.distance_transform_edt(np.pad(SHAPES[name], 1))[1:-1, 1:-1]
    assert (depths[tuple(points.T)] >= ndimage.maximum_filter(depths, 5)[tuple(points.T)] - 1).all()


def test_a_tenth_is_left_out_at_each_end_of_a_centerline() -> None:
    points = draw_in_slice(SHAPES["thin bar"], Scribble.centerline)
    assert sorted(points[:, 1]) == list(range(3 + 3, 3 + 31 - 3))
    short = np.pad(np.ones((1, 9), dtype=bool), 1)
    assert len(draw_in_slice(short, Scribble.centerline)) == 9


def test_a_centerline_goes_half_way_round_a_ring() -> None:
    points = draw_in_slice(SHAPES["ring"], Scribble.centerline)
    angles = np.unwrap(np.arctan2(points[:, 0] - 20, points[:, 1] - 25))
    assert np.ptp(angles) == pytest.approx(0.8 * np.pi, rel=0.1)


def test_a_centerline_crosses_two_loops() -> None:
    points = draw_in_slice(SHAPES["eight"], Scribble.centerline)
    assert (np.abs(np.diff(points, axis=0)).max(axis=1) == 1).all()
    assert points[:, 1].min() < 16
    assert points[:, 1].max() > 32


def test_a_centerline_belongs_to_the_largest_part_of_the_skeleton() -> None:
    area = SHAPES["bar"].copy()
    area = np.vstack([area, np.pad(np.ones((3, 8), dtype=bool), ((1, 1), (2, 27)))])
    assert draw_in_slice(area, Scribble.centerline)[:, 0].max() < len(SHAPES["bar"])


def test_what_has_no_skeleton_but_a_voxel_is_marked_as_a_whole() -> None:
    assert len(draw_in_slice(SHAPES["disc"], Scribble.centerline)) == SHAPES["disc"].sum()


def test_a_random_line_is_straight_and_differs_by_seed() -> None:
    area = SHAPES["disc"]
    lines = [draw_in_slice(area, Scribble.random_line, seed) for seed in range(20)]
    for points in lines:
        assert points.tolist() == np.stack(line(*points[0], *points[-1]), axis=1).tolist()
    assert len({str(points.tolist()) for points in lines}) > 15


def test_a_random_line_is_not_drawn_where_it_leaves_the_error() -> None:
    ring = SHAPES["ring"]
    lines = [draw_in_slice(ring, Scribble.random_line, seed) for seed in range(30)]
    assert any(np.abs(np.diff(points, axis=0)).max() > 1 for points in lines if len(points) > 1)


@pytest.mark.parametrize("name", ["disc", "ring", "eight", "bar", "fills the slice", "two parts"])
def test_a_boundary_is_a_walk_along_a_fifth_of_the_rim(name: str) -> None:
    area = SHAPES[name]
    rim = area & ~ndimage.binary_erosion(area)
    parts = ndimage.label(rim, NEIGHBORS_8)[0]
    shortest = []
    for seed in range(30):
        points = draw_in_slice(area, Scribble.boundary, seed)
        assert rim[tuple(points.T)].all()
        assert (np.abs(np.diff(points, axis=0)).max(axis=1) == 1).all()
        assert len(set(parts[tuple(points.T)])) == 1
        assert len(points) <= 1 + rim.sum() // 5
        shortest.append(len(points))
    assert np.median(shortest) == 1 + rim.sum() // 5


def test_the_largest_slice_may_hold_several_parts_of_one_error() -> None:
    mask = np.zeros((3, 12, 30), dtype=bool)
    mask[0, 3:8, 2:28] = True
    mask[1, 1:11, 2:12] = mask[1, 1:11, 16:28] = True
    assert cc3d.connected_components(mask, connectivity=26).max() == 1
    for scribble in Scribble:
        for seed in range(10):
            points = draw(mask, scribble, seed)
            assert set(points[:, 0]) == {1}
            assert mask[tuple(points.T)].all()
