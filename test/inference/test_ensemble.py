import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lesionclick import DeviceError, Ensemble, InferenceSettings, ModelError
from lesionclick.inference import executor, run
from lesionclick.inference.backend import Backend, Network, Precision
from lesionclick.inference.engine import Engine
from lesionclick.inference.executor import Executor
from lesionclick.inference.networks import NetworkCache
from lesionclick.inference.passes import combinations, first_networks
from lesionclick.inference.run import Run
from lesionclick.inference.settings import Mirroring, Networks
from lesionclick.inference.tile_cache import TileCache
from lesionclick.inference.tile_inputs import CaseImages
from lesionclick.inference.tiles import Tile, TileGrid, TileStart
from lesionclick.model.folder import ModelFolder
from lesionclick.model.weights import Fold
from lesionclick.testing import make_plans, write_model

PLAIN = InferenceSettings(networks=Networks.all)
ALL_MIRRORED = InferenceSettings(mirroring=Mirroring.all, networks=Networks.all)


def load(folder: Path, backend: str = "torch") -> Ensemble:
    """On the CPU in float32."""
    return Ensemble.load(folder, "cpu", backend=backend, precision="float32")


@pytest.fixture
def channels() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(4, 18, 20, 22)).astype(np.float32)


Mirrorings = list[list[tuple[int, ...]]]
"""A list of mirrored axes a network."""


def assert_is_mean(
    found: np.ndarray,
    model: Ensemble,
    channels: np.ndarray,
    mirrorings: Mirrorings,
    quiet: Sequence[Tile] = (),
    of_quiet: Mirrorings | None = None,
) -> None:
    """Compares with the method spelled out in float64; quiet tiles have mirrorings of their own.

    The volume's outermost corners are left out: rounding decides there (the golden cases have them).
    """
    grid = TileGrid(channels.shape[1:], model.model.patch)
    total = torch.zeros(channels.shape[1:], dtype=torch.float64)
    for tile in grid.tiles:
        seen = of_quiet if tile in quiet and of_quiet is not None else mirrorings
        total[tile] += grid.importance * tile_mean(model, channels, tile, seen)
    inside = grid.total_importance.numpy() > 1e-4
    assert inside.mean() > 0.8
    expected = (total / grid.total_importance).numpy()
    np.testing.assert_allclose(found[inside], expected[inside], rtol=0, atol=5e-3)


def tile_mean(model: Ensemble, channels: np.ndarray, tile: Tile, mirrorings: Mirrorings) -> torch.Tensor:
    """Mean difference of a tile's logits over networks and their mirrorings, float64."""
    means = []
    volume = torch.from_numpy(channels)[(slice(None), *tile)][None]
    for fold, axes_of_network in zip(model.model.folds, mirrorings, strict=True):
        if not axes_of_network:
            continue
        network = model.model.load(fold)
        outputs = []
        for axes in axes_of_network:
            dims = [axis + 2 for axis in axes]
            with torch.inference_mode():
                logits = network(volume.flip(dims)).flip(dims)[0].double()
            outputs.append(logits[1] - logits[0])
        means.append(torch.stack(outputs).mean(0))
    return torch.stack(means).mean(0)


def all_subsets(axes: tuple[int, ...]) -> list[tuple[int, ...]]:
    return list(combinations(axes))


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_mean_over_networks_mirrorings_and_tiles(tmp_path: Path, channels: np.ndarray, backend: str) -> None:
    folder = write_model(tmp_path / "model", make_plans(), folds=(0, 1, 2), mirror_axes=(0, 2))
    model = load(folder, backend)
    found = model.predict_logits(channels, ALL_MIRRORED)
    assert found.dtype == np.float32
    assert_is_mean(found, model, channels, [all_subsets((0, 2))] * 3)
    plain = model.predict_logits(channels, PLAIN)
    assert_is_mean(plain, model, channels, [[()]] * 3)
    assert np.abs(plain - found).max() > 0.05


def test_each_network_mirrors_along_its_own_axes(tmp_path: Path, channels: np.ndarray) -> None:
    folder = write_model(tmp_path / "model", make_plans(), folds=(0,), mirror_axes=())
    other = write_model(tmp_path / "other", make_plans(), folds=(1,), mirror_axes=(0, 1, 2), seed=1)
    (other / "fold_1").rename(folder / "fold_1")
    model = load(folder)
    found = model.predict_logits(channels, ALL_MIRRORED)
    assert_is_mean(found, model, channels, [[()], all_subsets((0, 1, 2))])


def test_volume_smaller_than_the_patch_is_padded_with_zeros(model_folder: Path, channels: np.ndarray) -> None:
    model = load(model_folder)
    small = channels[:, :5, :16, :9]
    padded = np.zeros((4, 16, 16, 16), dtype=np.float32)
    padded[:, 5:10, :, 3:12] = small
    found = model.predict_logits(small, PLAIN)
    assert found.shape == (5, 16, 9)
    np.testing.assert_array_equal(found, model.predict_logits(padded, PLAIN)[5:10, :, 3:12])


def noting_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A list to which every network that is read adds its fold."""
    read: list[str] = []
    read_weights = ModelFolder.load

    def noting(self: ModelFolder, fold: Fold) -> torch.nn.Module:
        read.append(fold.name)
        return read_weights(self, fold)

    monkeypatch.setattr(ModelFolder, "load", noting)
    return read


@pytest.mark.parametrize(("room", "keep", "reads"), [(1 << 30, True, 2), (1 << 30, False, 2), (0, True, 6)])
def test_networks_are_kept_for_the_next_prediction_where_there_is_room(
    room: int, keep: bool, reads: int, model_folder: Path, channels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = load(model_folder).predict_logits(channels, PLAIN)
    monkeypatch.setattr(executor, "ALL_NETWORKS_BYTES", room)
    read = noting_reads(monkeypatch)
    model = Ensemble.load(model_folder, "cpu", backend="torch", precision="float32", keep_networks=keep)
    for _ in range(3):
        np.testing.assert_array_equal(model.predict_logits(channels, PLAIN), expected)
    assert len(read) == reads


@pytest.mark.parametrize(("free", "kept"), [(1000, 3), (900, 2)])
def test_a_gpu_says_how_many_networks_it_has_room_for(
    free: int, kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ModelFolder.read(write_model(tmp_path / "model", make_plans(), folds=(0, 1, 2)))
    unit = 2 * model.parameters * len(model.folds) * 4 // 1000 + 1  # float16, a quarter of what is free
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free * unit, 10**12))
    engine = Engine(torch.device("cuda", 0), Backend.torch, Precision.float16)
    assert Executor(model, engine, keep_networks=True).networks.capacity == kept


class Clock:
    """A clock that only moves when networks compute: a second each forward pass.

    Attributes:
        made: networks in the order in which they were at work, each with its forward passes.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, slow: int = 0) -> None:
        """Patches the executor.

        Args:
            monkeypatch: pytest's.
            slow: the number of the forward pass that takes 100 seconds more; 0 for none.
        """
        self.now = 0.0
        self.made: list[list[int]] = []
        get, compute = NetworkCache.get, Executor.compute

        def noting(this: NetworkCache, index: int) -> Network:
            self.made.append([index, 0])
            return get(this, index)

        def counting(this: Executor, network: Network, batch: torch.Tensor) -> torch.Tensor:
            before, self.now = self.now, self.now + len(batch)
            self.made[-1][1] += len(batch)
            if before < slow <= self.now:
                self.now += 100
            return compute(this, network, batch)

        monkeypatch.setattr(NetworkCache, "get", noting)
        monkeypatch.setattr(Executor, "compute", counting)

    def __call__(self) -> float:
        return self.now


TILES = 8
"""Of the volume that the tests segment."""


@pytest.mark.parametrize(
    ("deadline", "mirrorings"),
    [
        (-5.0, [[()], []]),  # cannot be met at all: one network all the same
        (1.5, [[()], []]),
        (2.5, [[()], [()]]),
        (4.5, [[(), (0,)], [(), (0,)]]),
        (7.5, [[(), (0,), (1,), (0, 1)], [(), (0,), (1,)]]),
        (8.0, [[(), (0,), (1,), (0, 1)], [(), (0,), (1,), (0, 1)]]),
        (99.0, [[(), (0,), (1,), (0, 1)], [(), (0,), (1,), (0, 1)]]),
    ],
)
def test_deadline_leaves_out_mirrorings_then_networks(
    deadline: float,
    mirrorings: Mirrorings,
    tmp_path: Path,
    channels: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = write_model(tmp_path / "model", make_plans(), folds=(0, 1), mirror_axes=(0, 1))
    model = load(folder)
    clock = Clock(monkeypatch)
    with caplog.at_level(logging.WARNING, "lesionclick"):
        found = model.predict_logits(channels, ALL_MIRRORED, deadline=TILES * deadline, clock=clock)
    done = sum(map(len, mirrorings))
    assert clock.now == TILES * done
    assert clock.now <= TILES * max(deadline, 1)
    assert [record.getMessage() for record in caplog.records] == (
        [] if done == 8 else [f"time limit: the result holds {done} of 8 passes ({2 if done > 1 else 1} of 2 networks)"]
    )
    if done != 7:  # where each mirroring counts the same, not each network
        assert_is_mean(found, model, channels, mirrorings)


def test_what_a_deadline_cut_short_is_not_taken_for_complete(
    tmp_path: Path, channels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(write_model(tmp_path / "model", make_plans(), folds=(0, 1), mirror_axes=()))
    cache, clock = TileCache(1 << 30), Clock(monkeypatch)
    model.predict_logits(channels, PLAIN, deadline=1.5 * TILES, clock=clock, cache=cache)
    assert clock.made == [[0, TILES]]
    clock.made.clear()
    found = model.predict_logits(channels, PLAIN, cache=cache)
    assert clock.made == [[1, TILES]]  # what is missing
    assert len(cache) == TILES
    np.testing.assert_array_equal(found, model.predict_logits(channels, PLAIN))
    in_time = model.predict_logits(channels, PLAIN, deadline=99 * TILES, clock=Clock(monkeypatch))
    np.testing.assert_array_equal(found, in_time)


@pytest.mark.parametrize("mirroring", [Mirroring.adaptive, Mirroring.all])
@pytest.mark.parametrize("networks", list(Networks))
@pytest.mark.parametrize("deadline", [10, 20, 30, 40, 50, 60, 80, 1000])
def test_after_a_deadline_a_full_run_gives_what_it_gives_from_nothing(
    deadline: int,
    mirroring: Mirroring,
    networks: Networks,
    tmp_path: Path,
    channels: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Wherever the deadline falls, also where mirrorings are made one by one and all of them fit in the end."""
    model = load(write_model(tmp_path / "model", make_plans(), folds=(0, 1, 2), mirror_axes=(0,)))
    make_half_quiet(model, channels, monkeypatch)
    settings, cache = InferenceSettings(mirroring=mirroring, networks=networks), TileCache(1 << 30)
    model.predict_logits(channels, settings, deadline=deadline, clock=Clock(monkeypatch), cache=cache)
    # from the slow pass on it seems that there is no time for what then is made after all
    slow = TileCache(1 << 30)
    model.predict_logits(channels, settings, deadline=deadline + 130, clock=Clock(monkeypatch, slow=17), cache=slow)
    expected = model.predict_logits(channels, settings)
    np.testing.assert_array_equal(model.predict_logits(channels, settings, cache=cache), expected)
    np.testing.assert_array_equal(model.predict_logits(channels, settings, cache=slow), expected)


def make_half_quiet(model: Ensemble, channels: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts the limit between the tiles in which the first networks find little and the others."""
    highest = highest_probabilities(model, channels, first_networks(len(model.model.folds)))
    monkeypatch.setattr(run, "QUIET_PROBABILITY", float(np.mean(sorted(highest.values())[3:5])))


def test_nothing_is_missing_where_all_tiles_are_quiet(
    model_folder: Path, channels: np.ndarray, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(run, "QUIET_PROBABILITY", 0.999999)
    adaptive = InferenceSettings(mirroring=Mirroring.adaptive, networks=Networks.all)
    with caplog.at_level(logging.WARNING, "lesionclick"):
        load(model_folder).predict_logits(channels, adaptive, deadline=2 * TILES, clock=Clock(monkeypatch))
    assert not caplog.records


def highest_probabilities(model: Ensemble, channels: np.ndarray, networks: Sequence[int]) -> dict[TileStart, float]:
    """Of each tile, the largest lesion probability of one of some networks where it has 1 % of the importance."""
    grid = TileGrid(channels.shape[1:], model.model.patch)
    found = {}
    for tile in grid.tiles:
        dominant = grid.importance >= 0.01 * grid.total_importance[tile]
        logits = [
            tile_mean(
                model, channels, tile, [[()] if each == network else [] for each in range(len(model.model.folds))]
            )
            for network in networks
        ]
        found[TileStart.of(tile)] = max(float(torch.sigmoid(each[dominant]).max()) for each in logits)
    return found


@pytest.mark.parametrize(("deadline", "mirrored"), [(None, 3), (99.0, 3), (26.0, 1)])
def test_tiles_in_which_nothing_is_likely_are_not_mirrored(
    deadline: float | None, mirrored: int, tmp_path: Path, channels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_model(tmp_path / "model", make_plans(), folds=(0, 1), mirror_axes=(0, 1))
    model = load(folder)
    highest = highest_probabilities(model, channels, (0, 1))
    make_half_quiet(model, channels, monkeypatch)
    clock = Clock(monkeypatch)
    adaptive = InferenceSettings(mirroring=Mirroring.adaptive, networks=Networks.all)
    found = model.predict_logits(channels, adaptive, deadline=deadline, clock=clock)
    assert clock.made == [[0, TILES], [1, TILES], [0, 4 * mirrored], [1, 4 * mirrored]]
    quiet = quiet_tiles(channels, highest)
    assert len(quiet) == 4
    assert_is_mean(found, model, channels, [all_subsets((0, 1))[: 1 + mirrored]] * 2, quiet, [[()]] * 2)


def quiet_tiles(channels: np.ndarray, highest: dict[TileStart, float]) -> list[Tile]:
    """Those in which nothing is likely."""
    tiles = TileGrid(channels.shape[1:], (16, 16, 16)).tiles
    return [tile for tile in tiles if highest[TileStart.of(tile)] <= run.QUIET_PROBABILITY]


def test_further_networks_see_what_the_first_ones_are_not_sure_of(
    tmp_path: Path, channels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_model(tmp_path / "model", make_plans(), folds=range(4), mirror_axes=(0,))
    model = load(folder)
    highest = highest_probabilities(model, channels, (0, 2))
    make_half_quiet(model, channels, monkeypatch)
    clock = Clock(monkeypatch)
    found = model.predict_logits(channels, InferenceSettings(networks=Networks.adaptive), clock=clock)
    assert clock.made == [[0, TILES], [2, TILES], [1, 4], [3, 4]]
    assert_is_mean(found, model, channels, [[()]] * 4, quiet_tiles(channels, highest), [[()], [], [()], []])


def test_where_nothing_is_likely_no_network_is_read_twice(
    model_folder: Path, channels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = load(model_folder).predict_logits(channels, PLAIN)
    read = noting_reads(monkeypatch)
    monkeypatch.setattr(run, "QUIET_PROBABILITY", 0.999999)
    model = Ensemble.load(model_folder, "cpu", backend="torch", precision="float32", keep_networks=False)
    found = model.predict_logits(channels, InferenceSettings(mirroring=Mirroring.adaptive, networks=Networks.all))
    np.testing.assert_array_equal(found, expected)
    assert read == ["0", "1"]


def test_the_result_so_far_is_shown_after_each_network(tmp_path: Path, channels: np.ndarray) -> None:
    model = load(write_model(tmp_path / "model", make_plans(), folds=(0, 1, 2), mirror_axes=()))
    shown: list[np.ndarray] = []
    model.predict_logits(channels, PLAIN, on_update=shown.append)
    assert len(shown) == 2  # the third is the result
    for count, logits in enumerate(shown, start=1):
        first = Ensemble(model.model.select([str(fold) for fold in range(count)]), model.engine)
        np.testing.assert_array_equal(logits, first.predict_logits(channels, PLAIN))


def test_what_passes_gave_is_kept_where_the_caller_gives_up(
    tmp_path: Path, channels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    class GaveUpError(Exception):
        pass

    def give_up(_: np.ndarray) -> None:
        if len(clock.made) == 2:
            raise GaveUpError

    model = load(write_model(tmp_path / "model", make_plans(), folds=(0, 1, 2), mirror_axes=()))
    make_half_quiet(model, channels, monkeypatch)
    clock, cache = Clock(monkeypatch), TileCache(1 << 30)
    with pytest.raises(GaveUpError):
        model.predict_logits(channels, cache=cache, on_update=give_up)
    assert [passes for _, passes in clock.made] == [TILES, TILES]
    clock.made.clear()
    found = model.predict_logits(channels, cache=cache)
    assert [passes for _, passes in clock.made] == [4]  # of the third network, over the tiles that are not quiet
    np.testing.assert_array_equal(found, model.predict_logits(channels))


def test_values_that_are_not_finite_name_the_network(tmp_path: Path, channels: np.ndarray) -> None:
    folder = write_model(tmp_path / "model", make_plans(), folds=(0, 1))
    path = folder / "fold_1" / "checkpoint_final.pth"
    checkpoint = torch.load(path, weights_only=False)
    largest = torch.finfo(torch.float32).max  # weights that are not finite are refused before they compute anything
    checkpoint["network_weights"]["decoder.seg_layers.0.bias"].copy_(torch.tensor([-largest, largest]))
    torch.save(checkpoint, path)
    with pytest.raises(ModelError, match=r"fold_1.*not finite"):
        load(folder).predict_logits(channels, PLAIN)


@pytest.fixture
def out_of_memory(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes the next `times` batches run out of the device's memory."""

    def fail(times: int) -> None:
        left = [times]
        compute = Executor.compute

        def failing(self: Executor, network: Network, batch: torch.Tensor) -> torch.Tensor:
            left[0] -= 1
            if left[0] >= 0:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory")
            return compute(self, network, batch)

        monkeypatch.setattr(Executor, "compute", failing)

    return fail


def test_what_frees_memory_of_the_device_and_leaves_the_result(
    model_folder: Path,
    channels: np.ndarray,
    out_of_memory: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(executor, "BATCH_VOXELS", 2 * 16**3)
    model = load(model_folder)
    expected = model.predict_logits(channels, PLAIN)
    made = Run.__init__

    def on_device(self: Run, *arguments: Any, **options: Any) -> None:
        made(self, *arguments, **options)
        self.device = torch.device("meta")  # as if sums were elsewhere, until they move to the host

    monkeypatch.setattr(Run, "__init__", on_device)
    out_of_memory(3)
    with caplog.at_level(logging.INFO, "lesionclick"):
        found = model.predict_logits(channels, PLAIN)
    np.testing.assert_array_equal(found, expected)
    ran_out = [record.getMessage() for record in caplog.records if "ran out" in record.getMessage()]
    assert ran_out == [
        "memory of cpu ran out: batches of 1 from now on",
        "memory of cpu ran out: the volume moves to host memory",
        "memory of cpu ran out: one network at a time from now on",
    ]


def test_the_input_stays_on_the_host_where_it_does_not_fit(
    channels: np.ndarray, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    to = torch.Tensor.to

    def full(self: torch.Tensor, target: Any) -> torch.Tensor:
        if target == torch.device("cuda", 0):
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return to(self, target)

    monkeypatch.setattr(torch.Tensor, "to", full)
    with caplog.at_level(logging.INFO, "lesionclick"):
        CaseImages(channels, (16, 16, 16), Engine(torch.device("cuda", 0), Backend.torch, Precision.float16))
    assert "the volume stays in host memory" in caplog.text


def test_device_too_small_for_a_tile_says_so(
    model_folder: Path, channels: np.ndarray, out_of_memory: Callable[[int], None]
) -> None:
    model = load(model_folder)
    out_of_memory(99)
    with pytest.raises(DeviceError, match=r"cpu has too little memory for a tile of \(4, 16, 16, 16\)"):
        model.predict_logits(channels, PLAIN)
