import numpy as np
from scipy import ndimage

from lesionclick.simulation.interaction import Scribble
from lesionclick.simulation.scribbles import draw_scribble

NEIGHBORS_26 = np.ones((3, 3, 3))


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def tube() -> tuple[np.ndarray, np.ndarray]:
    """A bent tube of radius 2 along x, and flat indices of its voxels."""
    z, y, x = np.ogrid[:15, :30, :40]
    bent = ((z - 7) ** 2 + (y - 5 - x // 2) ** 2 <= 4) & (x > 3) & (x < 36)
    return bent, np.flatnonzero(bent)


def test_a_centerline_runs_from_end_to_end_through_the_middle() -> None:
    mask, voxels = tube()
    line = draw_scribble(voxels, mask.shape, Scribble.centerline, generator())
    assert (line[:, 2].min(), line[:, 2].max()) == (4, 35)
    assert (np.abs(np.diff(line, axis=0)).max(axis=1) == 1).all()  # each point next to the one before
    depth = ndimage.distance_transform_edt(mask)
    assert np.median(depth[tuple(line.T)]) >= depth.max() - 0.5


def test_a_border_goes_round_one_slice() -> None:
    mask, voxels = tube()
    line = draw_scribble(voxels, mask.shape, Scribble.border, generator())
    assert set(line[:, 0]) == {7}  # the widest
    inside = ndimage.distance_transform_cdt(mask[7], "taxicab")
    assert (inside[line[:, 1], line[:, 2]] == 1).all()
    assert len(line) == (inside == 1).sum()


def test_a_random_walk_is_connected_and_differs_by_seed() -> None:
    mask, voxels = tube()
    walks = [draw_scribble(voxels, mask.shape, Scribble.random_walk, generator(seed)) for seed in (0, 0, 1)]
    assert walks[0].tolist() == walks[1].tolist() != walks[2].tolist()
    walked = np.zeros_like(mask)
    walked[tuple(walks[0].T)] = True
    assert len(walks[0]) > 10
    assert ndimage.label(walked, NEIGHBORS_26)[1] == 1
