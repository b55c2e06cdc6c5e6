from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet
from helpers_model import edit_checkpoint, output_of_noise
from safetensors import safe_open
from safetensors.torch import save_file

from lesionclick.errors import ModelError
from lesionclick.model.check import describe, verify
from lesionclick.model.checksums import write_checksums
from lesionclick.model.folder import ModelFolder
from lesionclick.model.pack import pack
from lesionclick.testing import make_plans, write_model

HEAD = "decoder.organ_seg_layers.1"  # of three stages the finest resolution's

PLANS = make_plans(features=(4, 6, 8), blocks=(1, 1, 1))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model", PLANS, folds=(0, 1))


def organs_of_noise(model: ModelFolder) -> torch.Tensor:
    return output_of_noise(model.load(model.organ_fold, organs=True), 4, (16,) * 3)


def features_of_noise(model: ModelFolder) -> torch.Tensor:
    """What the network for lesions gives to its last convolution."""
    network = model.load(model.organ_fold)
    assert isinstance(network, ResidualEncoderUNet)
    network.decoder.seg_layers[-1] = torch.nn.Identity()
    return output_of_noise(network, 4, (16,) * 3)


def test_a_network_for_organs_is_the_lesions_with_another_head(folder: Path) -> None:
    model = ModelFolder.read(folder)
    weights = torch.load(folder / "fold_0" / "checkpoint_final.pth", weights_only=False)["network_weights"]
    expected = torch.nn.functional.conv3d(features_of_noise(model), weights[f"{HEAD}.weight"], weights[f"{HEAD}.bias"])
    found = organs_of_noise(model)
    assert found.shape == (1, 11, 16, 16, 16)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 0), (torch.float16, 5e-2)])
def test_a_packed_folder_keeps_the_head_and_says_of_which_organs(
    folder: Path, tmp_path: Path, dtype: torch.dtype, tolerance: float
) -> None:
    packed = pack(folder, tmp_path / "packed", dtype)
    with safe_open(packed.path / "fold_1" / "weights.safetensors", framework="pt") as file:
        organs = [name for name in file.keys() if "organ" in name]  # noqa: SIM118 - no mapping
        assert organs == [f"{HEAD}.bias", f"{HEAD}.weight"]
        assert file.get_tensor(f"{HEAD}.weight").dtype == torch.float32
        assert '"organs": ["spleen", "kidneys", "liver"' in file.metadata()["lesionclick"]
    expected = organs_of_noise(ModelFolder.read(folder))
    torch.testing.assert_close(organs_of_noise(packed), expected, atol=tolerance, rtol=0)
    assert pack(packed.path, tmp_path / "again", dtype).organ_fold.has_organ_head


def remove_head(checkpoint: dict[str, Any]) -> None:
    for part in ("weight", "bias"):
        del checkpoint["network_weights"][f"{HEAD}.{part}"]


def shrink_head(checkpoint: dict[str, Any]) -> None:
    for part in ("weight", "bias"):
        checkpoint["network_weights"][f"{HEAD}.{part}"] = checkpoint["network_weights"][f"{HEAD}.{part}"][:5].clone()


@pytest.mark.parametrize("spoil", [remove_head, shrink_head])
def test_a_network_without_the_head_says_so_and_segments_lesions_as_ever(
    folder: Path, tmp_path: Path, spoil: Callable[[dict[str, Any]], None]
) -> None:
    """Nor is a head of other organs of any use."""
    edit_checkpoint(folder / "fold_0" / "checkpoint_final.pth", spoil)
    model = ModelFolder.read(folder)
    assert model.organ_fold.name == "1"
    alone = model.select(["0"])
    with pytest.raises(ModelError, match=r"model: has no organ heads, expected a network that was trained with organs"):
        _ = alone.organ_fold
    assert "organs       none (no organ heads)" in describe(alone)
    verify(model)
    packed = pack(folder, tmp_path / "packed")
    assert [fold.has_organ_head for fold in packed.folds] == [False, True]
    assert output_of_noise(packed.load(packed.folds[0]), 4, (16,) * 3).shape == (1, 2, 16, 16, 16)


def test_a_packed_head_whose_organs_are_not_named_is_not_used(folder: Path, tmp_path: Path) -> None:
    packed = pack(folder, tmp_path / "packed").path
    for fold in ("fold_0", "fold_1"):
        path = packed / fold / "weights.safetensors"
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata()
        save_file(tensors, path, {"lesionclick": metadata["lesionclick"].replace('"spleen"', '"left spleen"')})
    (packed / "SHA256SUMS").unlink()
    write_checksums(packed)
    assert not any(fold.has_organ_head for fold in ModelFolder.read(packed).folds)


def test_a_head_that_is_not_finite_is_found(folder: Path, tmp_path: Path) -> None:
    edit_checkpoint(
        folder / "fold_1" / "checkpoint_final.pth",
        lambda checkpoint: checkpoint["network_weights"][f"{HEAD}.bias"].fill_(float("nan")),
    )
    with pytest.raises(ModelError, match=r"organ_seg_layers\.1\.bias holds NaN"):
        verify(ModelFolder.read(folder))
    with pytest.raises(ModelError, match=r"organ_seg_layers\.1\.bias is not finite"):
        pack(folder, tmp_path / "packed")
