from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from lesionclick import DeviceError, Ensemble, ModelError
from lesionclick.inference.backend import Network
from lesionclick.inference.executor import Executor
from lesionclick.inference.tile_sums import OUTSIDE_LOGIT
from lesionclick.inference.tiles import TileGrid
from lesionclick.testing import make_plans, write_model

SHAPE = (20, 30, 18)


def load(folder: Path, backend: str = "torch") -> Ensemble:
    return Ensemble.load(folder, "cpu", backend=backend, precision="float32")


@pytest.fixture
def channels() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(4, *SHAPE)).astype(np.float32)


def mean_over_tiles(model: Ensemble, channels: np.ndarray) -> np.ndarray:
    """The first network's organs by the definition, with all in float64."""
    network = model.model.load(model.model.folds[0], organs=True)
    grid = TileGrid(channels.shape[1:], model.model.patch)
    total, seen = np.zeros((11, *grid.padded_shape)), np.zeros(grid.padded_shape)
    padded = grid.pad(channels)
    for tile in grid.tiles:
        with torch.inference_mode():
            logits = network(torch.from_numpy(padded[(slice(None), *tile)].copy())[None])[0].double().numpy()
        total[(slice(None), *tile)] += logits * grid.importance.numpy()
        seen[tile] += grid.importance.numpy()
    mean = total / seen
    return np.stack([grid.crop(torch.from_numpy(each)).numpy() for each in mean])


@pytest.mark.parametrize("backend", ["torch", "openvino"])
@pytest.mark.parametrize("shape", [SHAPE, (9, 30, 18)])
def test_organs_are_the_gaussian_mean_over_tiles_of_the_first_network(
    model_folder: Path, channels: np.ndarray, backend: str, shape: tuple[int, ...]
) -> None:
    """Also of a volume smaller than the patch."""
    channels = channels[:, : shape[0]]
    model = load(model_folder, backend)
    found = model.predict_organs(channels)
    assert found.shape == (11, *shape)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, mean_over_tiles(model, channels), atol=1e-3)


def test_the_first_network_that_knows_organs_is_asked(tmp_path: Path, channels: np.ndarray) -> None:
    without = write_model(tmp_path / "model", make_plans(), folds=(0,), organ_heads=False)
    other = write_model(tmp_path / "other", make_plans(), folds=(1,), seed=5)
    (other / "fold_1").rename(without / "fold_1")
    model = load(without)
    assert model.knows_organs
    alone = Ensemble(model.model.select(["1"]), model.engine)
    np.testing.assert_array_equal(model.predict_organs(channels), alone.predict_organs(channels))


def test_without_organ_heads_there_is_one_sentence(tmp_path: Path, channels: np.ndarray) -> None:
    model = load(write_model(tmp_path / "model", make_plans(), organ_heads=False))
    assert not model.knows_organs
    with pytest.raises(
        ModelError, match=r"model: has no organ heads, expected a network that was trained with organs$"
    ):
        model.predict_organs(channels)


def test_where_no_network_looks_there_is_no_organ(model_folder: Path, channels: np.ndarray) -> None:
    region = np.zeros(SHAPE, dtype=bool)
    region[:, :4] = True
    model = load(model_folder)
    grid = TileGrid(SHAPE, model.model.patch)
    found = model.predict_organs(channels, tiles=grid.tiles_covering(region))
    outside = grid.sum_importance(grid.tiles_covering(region)).numpy() == 0
    assert outside.any()
    assert not outside[region].any()
    assert set(found[0][outside]) == {0}
    assert set(found[1:, outside].ravel()) == {OUTSIDE_LOGIT}
    np.testing.assert_allclose(found[:, :, 0], model.predict_organs(channels)[:, :, 0], atol=0.05)


def test_lesions_are_what_they_were_before_organs_were_asked_for(model_folder: Path, channels: np.ndarray) -> None:
    """The network for organs is kept among the others, and another one at a time fits into memory."""
    model = load(model_folder)
    before = model.predict_logits(channels)
    organs = model.predict_organs(channels)
    np.testing.assert_array_equal(model.predict_logits(channels), before)
    np.testing.assert_array_equal(model.predict_organs(channels), organs)
    single = Ensemble.load(model_folder, "cpu", backend="torch", precision="float32", keep_networks=False)
    np.testing.assert_array_equal(single.predict_organs(channels), organs)
    np.testing.assert_array_equal(single.predict_logits(channels), before)


def failing(times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the device's memory run out so many times."""
    compute: Callable[[Executor, Network, torch.Tensor], torch.Tensor] = Executor.compute
    left = iter(range(times))

    def fail(self: Executor, network: Network, batch: torch.Tensor) -> torch.Tensor:
        if next(left, None) is not None:
            raise torch.cuda.OutOfMemoryError
        return compute(self, network, batch)

    monkeypatch.setattr(Executor, "compute", fail)


def test_memory_that_runs_out_is_freed_of_other_networks(
    model_folder: Path, channels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(model_folder)
    model.predict_logits(channels)
    expected = model.predict_organs(channels)
    failing(1, monkeypatch)
    np.testing.assert_array_equal(model.predict_organs(channels), expected)
    failing(100, monkeypatch)
    with pytest.raises(DeviceError, match="too little memory for a tile"):
        model.predict_organs(channels)


def test_values_that_are_not_finite_name_the_network(model_folder: Path, channels: np.ndarray) -> None:
    channels[1, 3, 4, 5] = np.inf
    with pytest.raises(ModelError, match=r"fold_0/checkpoint_final\.pth: its network gives values that are not finite"):
        load(model_folder).predict_organs(channels)
