import itertools
import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import body, image_from, write_case

from lesionclick import Case, Click, DeviceError, Ensemble, ModelError, Session
from lesionclick.inference import ensemble, tiles
from lesionclick.inference.backend import Backend, Network, Precision
from lesionclick.inference.engine import Engine
from lesionclick.model.checkpoint import Fold
from lesionclick.model.folder import ModelFolder
from lesionclick.testing import make_plans, write_model


def load(folder: Path, backend: str = "torch") -> Ensemble:
    """On the CPU in float32."""
    return Ensemble.load(folder, "cpu", backend=backend, precision="float32")


@pytest.fixture
def channels() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(4, 18, 20, 22)).astype(np.float32)


def assert_is_mean(
    found: np.ndarray,
    model: Ensemble,
    channels: np.ndarray,
    mirrors: list[list[tuple[int, ...]]],
    calm: Sequence[tiles.Tile] = (),
) -> None:
    """Compares with the method spelled out in float64, one list of mirrored axes a network; none in calm tiles.

    The volume's outermost corners are left out: rounding decides there (the golden cases have them).
    """
    importance = tiles.importance(model.model.patch).double()
    window = tiles.place_tiles(channels.shape[1:], model.model.patch)
    total = torch.zeros(channels.shape[1:], dtype=torch.float64)
    for tile in window:
        seen = [each[:1] for each in mirrors] if tile in calm else mirrors
        total[tile] += importance * tile_mean(model, channels, tile, seen)
    norm = importances(window, importance)
    inside = norm.numpy() > 1e-4
    assert inside.mean() > 0.8
    np.testing.assert_allclose(found[inside], (total / norm).numpy()[inside], rtol=0, atol=5e-3)


def tile_mean(
    model: Ensemble, channels: np.ndarray, tile: tiles.Tile, mirrors: list[list[tuple[int, ...]]]
) -> torch.Tensor:
    """Mean difference of a tile's logits over networks and their mirrorings, float64."""
    means = []
    volume = torch.from_numpy(channels)[(slice(None), *tile)][None]
    for fold, axes_of_network in zip(model.model.folds, mirrors, strict=True):
        network = model.model.load(fold)
        outputs = []
        for axes in axes_of_network:
            dims = [axis + 2 for axis in axes]
            with torch.inference_mode():
                logits = network(volume.flip(dims)).flip(dims)[0].double()
            outputs.append(logits[1] - logits[0])
        means.append(torch.stack(outputs).mean(0))
    return torch.stack(means).mean(0)


def importances(window: Sequence[tiles.Tile], importance: torch.Tensor) -> torch.Tensor:
    """Of all tiles that cover a volume."""
    norm = torch.zeros([max(tile[axis].stop for tile in window) for axis in range(3)], dtype=torch.float64)
    for tile in window:
        norm[tile] += importance
    return norm


def all_subsets(axes: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [subset for count in range(len(axes) + 1) for subset in itertools.combinations(axes, count)]


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_mean_over_networks_mirrors_and_tiles(tmp_path: Path, channels: np.ndarray, backend: str) -> None:
    folder = write_model(tmp_path / "model", make_plans(), folds=(0, 1, 2), mirror_axes=(0, 2))
    model = load(folder, backend)
    found = model.foreground_logit(channels)
    assert found.dtype == np.float32
    assert_is_mean(found, model, channels, [all_subsets((0, 2))] * 3)
    plain = model.foreground_logit(channels, mirroring=False)
    assert_is_mean(plain, model, channels, [[()]] * 3)
    assert np.abs(plain - found).max() > 0.05


def test_each_network_mirrors_along_its_own_axes(tmp_path: Path, channels: np.ndarray) -> None:
    folder = write_model(tmp_path / "model", make_plans(), folds=(0,), mirror_axes=())
    other = write_model(tmp_path / "other", make_plans(), folds=(1,), mirror_axes=(0, 1, 2), seed=1)
    (other / "fold_1").rename(folder / "fold_1")
    model = load(folder)
    assert_is_mean(model.foreground_logit(channels), model, channels, [[()], all_subsets((0, 1, 2))])


def test_volume_smaller_than_the_patch_is_padded_with_zeros(model_folder: Path, channels: np.ndarray) -> None:
    model = load(model_folder)
    small = channels[:, :5, :16, :9]
    padded = np.zeros((4, 16, 16, 16), dtype=np.float32)
    padded[:, 5:10, :, 3:12] = small
    found = model.foreground_logit(small)
    assert found.shape == (5, 16, 9)
    np.testing.assert_allclose(found, model.foreground_logit(padded)[5:10, :, 3:12], atol=1e-6)


@pytest.mark.parametrize(("room", "remember", "kept"), [(1 << 30, True, 2), (1 << 30, False, 1), (0, True, 1)])
def test_networks_are_kept_for_the_next_prediction_where_there_is_room(
    room: int, remember: bool, kept: int, model_folder: Path, channels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = load(model_folder).foreground_logit(channels)
    monkeypatch.setattr(ensemble, "RESIDENT_BYTES", room)
    model = load(model_folder)
    memory = ensemble.TileMemory() if remember else None
    np.testing.assert_array_equal(model.foreground_logit(channels, memory=memory), expected)
    assert len(model._networks) == kept


def test_the_next_network_is_read_while_one_computes(
    model_folder: Path, channels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = load(model_folder).foreground_logit(channels)
    model = load(model_folder)
    read = {fold.name: threading.Event() for fold in model.model.folds}
    read_weights, network_of = ModelFolder.load, model._network

    def noting(self: ModelFolder, fold: Fold) -> torch.nn.Module:
        read[fold.name].set()
        return read_weights(self, fold)

    def waiting(fold: int) -> Network:
        network = network_of(fold)

        def forward(batch: torch.Tensor) -> torch.Tensor:
            assert read["1"].wait(10)
            return network(batch)

        return forward

    monkeypatch.setattr(ModelFolder, "load", noting)
    monkeypatch.setattr(model, "_network", waiting)
    np.testing.assert_array_equal(model.foreground_logit(channels), expected)
    assert not model._ahead


@pytest.mark.parametrize(("free", "kept"), [(1000, True), (900, False)])
def test_a_gpu_says_how_many_networks_it_has_room_for(
    free: int, kept: bool, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ModelFolder.read(model_folder)
    unit = 2 * model.parameters * len(model.folds) * 4 // 1000 + 1  # float16, a quarter of what is free
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free * unit, 10**12))
    engine = Engine(torch.device("cuda", 0), Backend.torch, Precision.float16)
    assert Ensemble(model, engine)._resident == kept


class Clock:
    """A clock that only moves when a pass is made: each of its mirrorings takes `seconds`."""

    def __init__(self, model: Ensemble, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.passes = 0
        original = model._run

        def run(each: ensemble.Pass, *others: Any) -> None:
            self.now += seconds * len(each.mirrors)
            self.passes += len(each.mirrors)
            original(each, *others)

        monkeypatch.setattr(model, "_run", run)

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("deadline", "mirrors"),
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
    mirrors: list[list[tuple[int, ...]]],
    tmp_path: Path,
    channels: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = write_model(tmp_path / "model", make_plans(), folds=(0, 1), mirror_axes=(0, 1))
    model = load(folder)
    clock = Clock(model, 1.0, monkeypatch)
    with caplog.at_level(logging.WARNING, "lesionclick"):
        found = model.foreground_logit(channels, deadline=deadline, clock=clock)
    done = sum(map(len, mirrors))
    assert clock.passes == done
    assert clock.now <= max(deadline, 1)
    assert [record.getMessage() for record in caplog.records] == (
        [] if done == 8 else [f"time limit: the result holds {done} of 8 passes ({2 if done > 1 else 1} of 2 networks)"]
    )
    if done != 7:  # where each mirroring counts the same, not each network
        used = [each for each in mirrors if each]
        model.model.__dict__["folds"] = model.model.folds[: len(used)]
        assert_is_mean(found, model, channels, used)


def highest_probabilities(model: Ensemble, channels: np.ndarray) -> dict[ensemble.Start, float]:
    """Of each tile, without mirroring, where it has 1 % of the importance or more."""
    importance = tiles.importance(model.model.patch).double()
    window = tiles.place_tiles(channels.shape[1:], model.model.patch)
    norm = importances(window, importance)
    found = {}
    for tile in window:
        logit = tile_mean(model, channels, tile, [[()]] * len(model.model.folds))
        heard = importance >= 0.01 * norm[tile]
        found[ensemble._start(tile)] = float(torch.sigmoid(logit[heard]).max())
    return found


@pytest.mark.parametrize("deadline", [None, 99.0, 4.5])
def test_tiles_in_which_nothing_is_likely_are_not_mirrored(
    deadline: float | None, tmp_path: Path, channels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_model(tmp_path / "model", make_plans(), folds=(0, 1), mirror_axes=(0, 1))
    model = load(folder)
    highest = highest_probabilities(model, channels)
    middle = float(np.mean(sorted(highest.values())[3:5]))
    computed: list[tuple[ensemble.Pass, int]] = []
    run = model._run

    def recording(each: ensemble.Pass, volume: Any, window: list[tiles.Tile], *others: Any) -> None:
        computed.append((each, len(window)))
        run(each, volume, window, *others)

    monkeypatch.setattr(model, "_run", recording)
    clock = Clock(model, 1.0, monkeypatch)
    found = model.foreground_logit(channels, mirror_above=middle, deadline=deadline, clock=clock)
    window = tiles.place_tiles(channels.shape[1:], (16, 16, 16))
    calm = [tile for tile in window if highest[ensemble._start(tile)] < middle]
    assert len(calm) == 4
    assert [each.mirrors for each, count in computed if count == 8] == [((),), ((),)]
    assert {count for each, count in computed if () not in each.mirrors} == {4}
    mirrors = all_subsets((0, 1)) if deadline != 4.5 else [(), (0,)]
    assert_is_mean(found, model, channels, [mirrors] * 2, calm)


def test_where_nothing_is_likely_no_network_is_read_twice(
    model_folder: Path, channels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = load(model_folder).foreground_logit(channels, mirroring=False)
    read = []
    read_weights = ModelFolder.load

    def noting(self: ModelFolder, fold: Fold) -> torch.nn.Module:
        read.append(fold.name)
        return read_weights(self, fold)

    monkeypatch.setattr(ModelFolder, "load", noting)
    found = load(model_folder).foreground_logit(channels, mirror_above=0.999999)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert read == ["0", "1"]


def test_values_that_are_not_finite_name_the_network(tmp_path: Path, channels: np.ndarray) -> None:
    folder = write_model(tmp_path / "model", make_plans(), folds=(0, 1))
    path = folder / "fold_1" / "checkpoint_final.pth"
    checkpoint = torch.load(path, weights_only=False)
    checkpoint["network_weights"]["decoder.seg_layers.0.bias"].fill_(float("nan"))
    torch.save(checkpoint, path)
    with pytest.raises(ModelError, match=r"fold_1.*not finite"):
        load(folder).foreground_logit(channels)


class OtherDevice:
    """Stands in for a GPU's tensor: on the host, but saying that it is not until it has moved there."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor
        self.device = torch.device("cuda", 0)

    def to(self, device: torch.device) -> torch.Tensor:
        assert device.type == "cpu"
        return self.tensor


@pytest.fixture
def out_of_memory(monkeypatch: pytest.MonkeyPatch) -> Callable[[Ensemble, int], None]:
    """Makes the first `times` calls of a network run out of the device's memory."""

    def fail(model: Ensemble, times: int) -> None:
        left = [times]
        original = model._network

        def network(fold: int) -> Network:
            found = original(fold)

            def forward(batch: torch.Tensor) -> torch.Tensor:
                left[0] -= 1
                if left[0] >= 0:
                    raise torch.cuda.OutOfMemoryError("CUDA out of memory")
                return found(batch)

            return forward

        monkeypatch.setattr(model, "_network", network)

    return fail


def test_what_frees_memory_of_the_device_and_leaves_the_result(
    model_folder: Path,
    channels: np.ndarray,
    out_of_memory: Callable[[Ensemble, int], None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(ensemble, "BATCH_VOXELS", 2 * 16**3)
    model = load(model_folder)
    expected = model.foreground_logit(channels, memory=ensemble.TileMemory())
    assert len(model._networks) == 2
    made = ensemble._Volume.__init__

    def on_device(self: ensemble._Volume, *arguments: Any) -> None:
        made(self, *arguments)
        self._sum = OtherDevice(self._sum)  # type: ignore[assignment]

    monkeypatch.setattr(ensemble._Volume, "__init__", on_device)
    out_of_memory(model, 3)
    with caplog.at_level(logging.INFO, "lesionclick"):
        found = model.foreground_logit(channels, memory=ensemble.TileMemory())
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)
    ran_out = [record.getMessage() for record in caplog.records if "ran out" in record.getMessage()]
    assert ran_out == [
        "memory of cpu ran out: batches of 1 from now on",
        "memory of cpu ran out: the volume moves to host memory",
        "memory of cpu ran out: one network at a time from now on",
    ]


def test_volume_starts_on_the_host_when_it_never_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    def move(self: ensemble._Volume, device: torch.device) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(ensemble._Volume, "_move", move)
    engine = Engine(torch.device("cuda", 0), Backend.torch, Precision.float16)
    volume = ensemble._Volume(torch.ones(4, 4, 4, 4), [], torch.ones(2, 2, 2), engine)
    assert not volume.move_to_host()


def test_device_too_small_for_a_tile_says_so(
    model_folder: Path, channels: np.ndarray, out_of_memory: Callable[[Ensemble, int], None]
) -> None:
    model = load(model_folder)
    out_of_memory(model, 99)
    with pytest.raises(DeviceError, match=r"cpu has too little memory for a tile of \(4, 16, 16, 16\)"):
        model.foreground_logit(channels)


def test_session_predicts_for_any_clicks(model_folder: Path, case_folder: Path) -> None:
    model, case = load(model_folder), Case.read(case_folder)
    session = Session(model, case)
    prediction = session.predict()
    assert prediction.mask.shape == prediction.probability.shape == (18, 20, 22)
    assert prediction.mask.dtype == np.uint8
    np.testing.assert_array_equal(prediction.mask, prediction.probability > 0.5)
    assert 0 < prediction.mask.mean() < 1
    without = session.predict([])
    assert np.abs(without.probability - prediction.probability).max() > 1e-3
    twice = session.predict([*case.clicks, *case.clicks])
    np.testing.assert_array_equal(twice.logit_zyx, prediction.logit_zyx)
    swapped = session.predict([Click(3, 4, 5, "background"), Click(10, 11, 12, "tumor")])
    assert np.abs(swapped.probability - prediction.probability).max() > 1e-3


@pytest.mark.parametrize("mirror_all", [True, False])
def test_a_session_that_remembers_computes_only_what_clicks_touch(
    mirror_all: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_model(tmp_path / "model", make_plans(), folds=(0, 1), mirror_axes=(0,))
    ct, pet = body((18, 20, 60))
    case = Case.read(write_case(tmp_path / "input", image_from(ct), image_from(pet)))
    fresh, session = Session(load(folder), case), Session(load(folder), case, remember=True)
    highest = highest_probabilities(fresh.ensemble, fresh.channels([]))
    fresh._mirror_above = session._mirror_above = 0.0 if mirror_all else float(np.median(list(highest.values())))
    computed = []
    run = Ensemble._run

    def counting(self: Ensemble, each: ensemble.Pass, volume: Any, window: list[tiles.Tile], *others: Any) -> None:
        if self is session.ensemble and () in each.mirrors:
            computed.append(len(window))
        run(self, each, volume, window, *others)

    monkeypatch.setattr(Ensemble, "_run", counting)
    near, far = Click(2, 3, 4, "tumor"), Click(57, 3, 4, "background")
    tumor_tiles = []
    for clicks in ([], [near], [near, far], [near, far], [far], []):
        computed.clear()
        found = session.predict(clicks)
        tumor_tiles.append(computed[0] if computed else 0)
        assert len(set(computed)) <= 1
        inside = (slice(2, -2),) * 3  # rounding decides in the outermost corners
        np.testing.assert_allclose(found.logit_zyx[inside], fresh.predict(clicks).logit_zyx[inside], atol=1e-3)
    everything = tumor_tiles[0]
    assert tumor_tiles[3] == 0
    assert 0 < tumor_tiles[1] < everything
    assert tumor_tiles[1] == tumor_tiles[4]
    assert tumor_tiles[2] == tumor_tiles[5] > 0
    computed.clear()
    session.predict([], mirroring=False)
    assert computed[0] == everything


def test_model_without_click_channels_ignores_clicks_and_says_so(
    tmp_path: Path, case_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_model(tmp_path / "model", make_plans(), channels=2)
    session = Session(load(folder), Case.read(case_folder))
    with caplog.at_level(logging.WARNING, "lesionclick"):
        with_clicks = session.predict()
    assert "the model was trained without clicks: 2 clicks are ignored" in caplog.text
    np.testing.assert_array_equal(with_clicks.logit_zyx, session.predict([]).logit_zyx)


def test_zero_border_is_background(model_folder: Path, case_folder: Path) -> None:
    case = Case.read(case_folder)
    case.ct_zyx[:3] = case.pet_zyx[:3] = 0
    prediction = Session(load(model_folder), case).predict()
    assert not prediction.mask[:3].any()
    assert not prediction.probability[:3].any()
