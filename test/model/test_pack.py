from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers_model import edit_checkpoint, output_of_noise
from safetensors import SafetensorError
from safetensors.torch import load_file

from lesionclick.errors import ModelError
from lesionclick.model.check import verify
from lesionclick.model.encoding import GaussianEncoding
from lesionclick.model.folder import ModelFolder
from lesionclick.model.pack import pack
from lesionclick.model.unet import parameter_shapes
from lesionclick.testing import make_plans, write_model

CHECKPOINT = "fold_0/checkpoint_final.pth"


def noise_output(model: ModelFolder, fold: int = 0) -> torch.Tensor:
    return output_of_noise(model.load(model.folds[fold]), model.channels, model.patch)


@pytest.fixture
def packed(model_folder: Path, tmp_path: Path) -> Path:
    return pack(model_folder, tmp_path / "packed").path


def test_pack_stores_each_inference_tensor_once(packed: Path, model_folder: Path) -> None:
    model = ModelFolder.read(packed)
    stored = load_file(packed / "fold_1" / "weights.safetensors")
    shapes = parameter_shapes(model.load(model.folds[1]))
    organs = {"decoder.organ_seg_layers.0.bias": (11,), "decoder.organ_seg_layers.0.weight": (11, 4, 1, 1, 1)}
    assert {name: tuple(tensor.shape) for name, tensor in stored.items()} == shapes | organs
    assert not any("decoder.encoder" in name or "all_modules" in name for name in stored)
    assert stored["encoder.stages.0.blocks.0.conv1.conv.weight"].dtype == torch.float16
    assert stored["encoder.stem.convs.0.conv.weight"].dtype == torch.float32
    before = (model_folder / "fold_1" / "checkpoint_final.pth").stat().st_size
    assert (packed / "fold_1" / "weights.safetensors").stat().st_size < before / 3
    assert sorted(path.name for path in packed.iterdir()) == [
        *("SHA256SUMS", "dataset.json", "fold_0", "fold_1", "plans.json", "prompt.json")
    ]
    assert not list(packed.parent.glob(".packed*"))


def test_pack_keeps_metadata_and_results(tmp_path: Path) -> None:
    plain = write_model(tmp_path / "model", make_plans(), folds=(0, 5), mirror_axes=(1, 2))
    (plain / "prompt.json").write_text('{"encoding": "gaussian", "sigma": 0.5}')
    before = ModelFolder.read(plain)
    expected = [noise_output(before, fold) for fold in range(2)]
    for dtype, tolerance in ((torch.float32, 0), (torch.float16, 5e-3), (torch.bfloat16, 5e-2)):
        after = pack(plain, tmp_path / str(dtype), dtype)
        assert [fold.mirror_axes for fold in after.folds] == [(1, 2), (1, 2)]
        assert [fold.trainer for fold in after.folds] == ["nnUNetTrainer"] * 2
        assert after.encoding == GaussianEncoding(0.5)
        for fold in range(2):
            difference = (noise_output(after, fold) - expected[fold]).abs().max()
            assert difference <= tolerance * expected[fold].abs().max()
    repacked = pack(tmp_path / str(torch.float32), tmp_path / "again", torch.float32)
    assert (repacked.path / "SHA256SUMS").read_text() == (tmp_path / str(torch.float32) / "SHA256SUMS").read_text()


def test_packed_folder_can_be_read_by_others(packed: Path) -> None:
    for path in [packed, *packed.rglob("*")]:
        assert path.stat().st_mode & 0o044 == 0o044, path


def test_weights_that_are_not_finite_are_refused(own_model_folder: Path, tmp_path: Path) -> None:
    name = "encoder.stages.0.blocks.0.conv1.conv.weight"

    def set_value(value: float) -> Callable[[dict[str, Any]], object]:
        return lambda checkpoint: checkpoint["network_weights"][name].view(-1)[0].fill_(value)

    edit_checkpoint(own_model_folder / CHECKPOINT, set_value(1e6))
    with pytest.raises(ModelError, match=r"not when stored as torch\.float16"):
        pack(own_model_folder, tmp_path / "packed")
    assert pack(own_model_folder, tmp_path / "wide", torch.bfloat16).channels == 4
    edit_checkpoint(own_model_folder / CHECKPOINT, set_value(float("nan")))
    with pytest.raises(ModelError, match=f"{name} holds NaN"):
        verify(ModelFolder.read(own_model_folder))
    assert not list(tmp_path.glob("*packed*"))


def test_pack_refuses_an_existing_folder(model_folder: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    assert "already exists" in refused("pack", model_folder, tmp_path)


def test_a_folder_that_cannot_be_written_is_one_sentence(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match=r"file/packed: cannot be written: (Not a directory|File exists)$"):
        pack(model_folder, tmp_path / "file" / "packed")

    def fill_disk(*_: object, **__: object) -> None:
        raise SafetensorError("I/O error: No space left on device")

    monkeypatch.setattr("lesionclick.model.pack.save_file", fill_disk)
    with pytest.raises(ModelError, match=r"packed: cannot be written: I/O error: No space left on device$"):
        pack(model_folder, tmp_path / "packed")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("organ_heads", [True, False])
def test_pack_with_and_without_clicks_and_organ_heads(channels: int, organ_heads: bool, tmp_path: Path) -> None:
    path = write_model(tmp_path / "model", make_plans(), channels=channels, organ_heads=organ_heads)
    again = pack(path, tmp_path / "packed", torch.float32)
    assert again.channels == channels
    assert torch.equal(noise_output(again), noise_output(ModelFolder.read(path)))
