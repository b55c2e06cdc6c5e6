import torch

from lesionclick.inference.tile_sums import OUTSIDE_LOGIT, TileSum, blend
from lesionclick.inference.tiles import TileGrid

CPU = torch.device("cpu")
PATCH = (8, 8, 8)


def constant(grid: TileGrid, logit: float, weight: float = 1.0) -> TileSum:
    """A tile whose every voxel has one logit, after one pass."""
    found = TileSum(CPU, PATCH)
    logits = torch.stack([torch.zeros(PATCH), torch.full(PATCH, logit)])
    found.add(logits, grid.importance, weight)
    return found


def test_tiles_are_weighted_by_importance_and_each_is_a_mean_of_its_passes() -> None:
    grid = TileGrid((12, 8, 8), PATCH)
    assert len(grid.tiles) == 2
    sums = [constant(grid, 1.0, weight=0.5), constant(grid, 4.0, weight=3.0)]
    found = blend(sums, grid.tiles, grid.total_importance, CPU)
    shares = [torch.zeros(grid.padded_shape) for _ in grid.tiles]
    for share, tile in zip(shares, grid.tiles, strict=True):
        share[tile] = grid.importance
    expected = (shares[0] + 4 * shares[1]) / (shares[0] + shares[1])
    inside = grid.total_importance > 1e-3  # where rounding to float16 does not decide
    torch.testing.assert_close(found[inside], expected[inside], rtol=0, atol=2e-3)


def test_where_no_tile_stands_nothing_is_said() -> None:
    grid = TileGrid((16, 8, 8), PATCH)
    found = blend([constant(grid, 1.0)], grid.tiles[:1], grid.sum_importance(grid.tiles[:1]), CPU)
    assert (found[8:] == OUTSIDE_LOGIT).all()
    assert (found[:8] > 0).all()
    assert (blend([], [], grid.sum_importance([]), CPU) == OUTSIDE_LOGIT).all()


def test_the_peak_is_the_largest_logit_of_a_pass_where_the_tile_is_dominant() -> None:
    grid = TileGrid(PATCH, PATCH)
    logits, dominant = torch.zeros((2, *PATCH)), torch.zeros(PATCH, dtype=torch.bool)
    dominant[4, 4, 4] = True
    logits[1, 4, 4, 4], logits[1, 0, 0, 0] = 3, 50
    found = TileSum(CPU, PATCH)
    found.add(logits, grid.importance, 1.0, dominant)
    found.add(-logits, grid.importance, 1.0, dominant)
    found.add(2 * logits, grid.importance, 1.0)  # not asked for it
    assert found.peak == 3
