from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino
import pytest
import torch
from torch import nn

from lesionclick import DeviceError, Ensemble, ModelError
from lesionclick.inference.backend import Backend, Precision
from lesionclick.inference.engine import Engine
from lesionclick.testing import make_plans, write_model


class Unusual(nn.Module):
    """A network with a module that OpenVINO's side does not know."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.module(value)
        return result


@pytest.fixture
def batch() -> torch.Tensor:
    return torch.randn((5, 4, 16, 16, 16), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("backend", [Backend.torch, Backend.openvino])
@pytest.mark.parametrize("channels", [2, 4])
def test_backends_compute_the_network(tmp_path: Path, batch: torch.Tensor, backend: Backend, channels: int) -> None:
    model = Ensemble.load(write_model(tmp_path / "model", make_plans(), channels=channels), "cpu").model
    engine = Engine.choose("cpu", backend, "float32")
    assert str(engine) == f"cpu, {backend}, float32"
    with torch.inference_mode():
        expected = model.load(model.folds[0])(batch[:, :channels])
        prepared = engine.prepare(model.load(model.folds[0]), channels, (16, 16, 16))
        found = prepared(batch[:, :channels])
        again = prepared(batch[2:4, :channels])
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-4)
    torch.testing.assert_close(again, found[2:4], rtol=0, atol=0)


@pytest.mark.parametrize("backend", [Backend.torch, Backend.openvino])
def test_fewer_digits_change_little(model_folder: Path, batch: torch.Tensor, backend: Backend) -> None:
    try:
        engine = Engine.choose("cpu", backend, "bfloat16")
    except DeviceError as refusal:
        pytest.skip(str(refusal))
    model = Ensemble.load(model_folder, "cpu").model
    with torch.inference_mode():
        expected = model.load(model.folds[0])(batch)
        found = engine.prepare(model.load(model.folds[0]), 4, (16, 16, 16))(batch)
    error = (found - expected).abs()
    assert 1e-4 < error.max() < 0.2
    assert error.mean() < 0.02


def test_kernels_are_kept_as_autocast_rounds_them(model_folder: Path, batch: torch.Tensor) -> None:
    model = Ensemble.load(model_folder, "cpu").model
    engine = Engine.choose("cpu", "torch", "bfloat16")
    prepared = engine.prepare(model.load(model.folds[0]), 4, (16, 16, 16))
    with torch.inference_mode():
        with torch.autocast("cpu", torch.bfloat16):
            expected = model.load(model.folds[0])(batch).float()
        for kept in (batch, batch.to(engine.input_dtype)):
            np.testing.assert_array_equal(prepared(kept), expected)


def test_cudnn_may_choose_but_not_round(batch: torch.Tensor) -> None:
    class Flags(nn.Module):
        def forward(self, value: torch.Tensor) -> torch.Tensor:
            flags = torch.backends.cudnn
            return torch.tensor([flags.enabled, flags.benchmark, flags.allow_tf32])

    before = torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32
    assert Engine.choose("cpu", "torch").prepare(Flags(), 4, (16, 16, 16))(batch[:1]).tolist() == [1, 1, 0]
    assert (torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32) == before


def test_the_cpus_engine_is_openvino_with_its_own_choice_of_precision() -> None:
    engine = Engine.choose("cpu")
    assert engine.backend == Backend.openvino
    assert engine.precision in (Precision.float32, Precision.bfloat16, Precision.float16)
    assert Engine.choose("cpu", "torch") == Engine(torch.device("cpu"), Backend.torch, Precision.float32)
    assert Engine.choose().device.type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_cuda_has_torch_in_float16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert Engine.choose() == Engine(torch.device("cuda"), Backend.torch, Precision.float16)
    assert Engine.choose("cuda:1", precision="bfloat16").precision == Precision.bfloat16
    with pytest.raises(DeviceError, match="openvino computes on the CPU alone, not on cuda:1"):
        Engine.choose("cuda:1", "openvino")


@pytest.mark.parametrize(
    "module", [nn.ELU(), nn.AvgPool3d(2, padding=1), nn.Conv3d(4, 4, 3, groups=2), nn.GroupNorm(2, 4)]
)
def test_what_openvino_cannot_compute_is_named(module: nn.Module) -> None:
    with pytest.raises(
        ModelError, match=rf"backend openvino cannot compute {type(module).__name__}\(.*--backend torch"
    ):
        Engine.choose("cpu", "openvino").prepare(Unusual(module), 4, (16, 16, 16))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--device", "gpu"], "device 'gpu' is unknown, expected auto, cpu, cuda or cuda:N"),
        (["--device", "cuda:"], "device 'cuda:' is unknown"),
        (["--device", "cuda:one"], "device 'cuda:one' is unknown"),
        (["--device", "cpu:0"], "device 'cpu:0' is unknown"),
        (["--device", "cuda:99"], "device 'cuda:99' does not exist, this machine has"),
    ],
)
def test_unknown_device_is_one_sentence(
    options: list[str], message: str, case_folder: Path, model_folder: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    output = tmp_path / "output"
    assert message in refused("predict", "--input", case_folder, "--output", output, "--model", model_folder, *options)
    assert not output.exists()


@pytest.mark.parametrize("taken", ["f32", "bf16"])
def test_a_precision_that_the_cpu_lacks_is_one_sentence(monkeypatch: pytest.MonkeyPatch, taken: str) -> None:
    class Compiled:
        def get_property(self, _: str) -> openvino.Type:
            return getattr(openvino.Type, taken)

    monkeypatch.setattr(openvino.Core, "compile_model", lambda *_: Compiled())
    found = {"f32": Precision.float32, "bf16": Precision.bfloat16}[taken]
    assert Engine.choose("cpu").precision == Engine.choose("cpu", precision=found).precision == found
    with pytest.raises(DeviceError, match=f"does not compute in float16 with openvino, expected --precision {found}"):
        Engine.choose("cpu", precision="float16")


def test_both_backends_segment_alike(model_folder: Path) -> None:
    channels = np.random.default_rng(0).normal(size=(4, 18, 20, 22)).astype(np.float32)
    torchs, openvinos = (
        Ensemble.load(model_folder, "cpu", backend=backend, precision="float32").predict_logits(channels)
        for backend in ("torch", "openvino")
    )
    inside = (slice(2, -2),) * 3  # rounding decides in the outermost corners
    np.testing.assert_allclose(openvinos[inside], torchs[inside], rtol=0, atol=5e-3)
