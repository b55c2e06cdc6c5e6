import hashlib
import json
import os
import pickle
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lesionclick.errors import ModelError
from lesionclick.model.encoding import EDTEncoding, GaussianEncoding
from lesionclick.model.folder import ModelFolder
from lesionclick.model.pack import describe, pack, verify
from lesionclick.model.unet import parameter_shapes
from lesionclick.testing import make_plans, write_model


def output_of(model: ModelFolder, fold: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        return model.load(model.folds[fold])(torch.randn(1, model.channels, *model.patch, generator=generator))


def edit_checkpoint(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    checkpoint = torch.load(path, weights_only=False)
    edit(checkpoint)
    torch.save(checkpoint, path)


def edit_json(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


@pytest.fixture
def packed(model_folder: Path, tmp_path: Path) -> Path:
    return pack(model_folder, tmp_path / "packed").path


def test_reads_what_a_folder_says(model_folder: Path) -> None:
    model = ModelFolder.read(model_folder)
    assert [fold.path.parent.name for fold in model.folds] == ["fold_0", "fold_1"]
    assert model.channels == 4
    assert model.patch == (16, 16, 16)
    assert model.preprocessing.spacing == (3.0, 2.0364201, 2.0364201)
    assert model.encoding == EDTEncoding(2)
    assert model.folds[0].mirror_axes == (0, 1, 2)


def test_network_is_nnunets_with_its_weights(model_folder: Path) -> None:
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    architecture = make_plans()["configurations"]["3d_fullres"]["architecture"]
    theirs = get_network_from_plans(
        architecture["network_class_name"],
        architecture["arch_kwargs"],
        architecture["_kw_requires_import"],
        4,
        2,
        deep_supervision=False,
    ).eval()
    checkpoint = torch.load(model_folder / "fold_1" / "checkpoint_final.pth", weights_only=False)
    theirs.load_state_dict(checkpoint["network_weights"], strict=False)
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        expected = theirs(torch.randn(1, 4, 16, 16, 16, generator=generator))
    torch.testing.assert_close(output_of(ModelFolder.read(model_folder), 1), expected)


@pytest.mark.parametrize("folds", [(0,), ("all",), tuple(range(11)), (3, 7)])
def test_any_folds_in_order(folds: tuple[int | str, ...], tmp_path: Path) -> None:
    model = ModelFolder.read(write_model(tmp_path / "model", make_plans(), folds))
    assert [fold.path.parent.name for fold in model.folds] == [f"fold_{fold}" for fold in folds]


def test_folds_can_be_selected(model_folder: Path) -> None:
    model = ModelFolder.read(model_folder)
    assert model.select(["1"]).folds == model.folds[1:]
    with pytest.raises(ModelError, match="has no fold 7, it has 0, 1"):
        model.select(["0", "7"])


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("organ_heads", [True, False])
def test_with_and_without_clicks_and_organ_heads(channels: int, organ_heads: bool, tmp_path: Path) -> None:
    path = write_model(tmp_path / "model", make_plans(), channels=channels, organ_heads=organ_heads)
    model = ModelFolder.read(path)
    assert model.channels == channels
    assert output_of(model).shape == (1, 2, 16, 16, 16)
    again = pack(path, tmp_path / "packed", torch.float32)
    assert again.channels == channels
    assert torch.equal(output_of(again), output_of(model))


def test_checkpoint_written_with_numpy_1_is_read(own_model_folder: Path) -> None:
    path = own_model_folder / "fold_0" / "checkpoint_final.pth"
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    pickled = next(name for name in members if name.endswith("data.pkl"))
    members[pickled] = members[pickled].replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    assert ModelFolder.read(own_model_folder).channels == 4


def test_pack_stores_each_inference_tensor_once(packed: Path, model_folder: Path) -> None:
    model = ModelFolder.read(packed)
    stored = load_file(packed / "fold_1" / "weights.safetensors")
    shapes = parameter_shapes(model.load(model.folds[1]))
    assert {name: tuple(tensor.shape) for name, tensor in stored.items()} == shapes
    assert not any("organ" in name or "decoder.encoder" in name or "all_modules" in name for name in stored)
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
    for dtype, tolerance in ((torch.float32, 0), (torch.float16, 5e-3), (torch.bfloat16, 5e-2)):
        after = pack(plain, tmp_path / str(dtype), dtype)
        assert [fold.mirror_axes for fold in after.folds] == [(1, 2), (1, 2)]
        assert [fold.trainer for fold in after.folds] == ["nnUNetTrainer"] * 2
        assert after.encoding == GaussianEncoding(0.5)
        for fold in range(2):
            difference = (output_of(after, fold) - output_of(before, fold)).abs().max()
            assert difference <= tolerance * output_of(before, fold).abs().max()
    repacked = pack(tmp_path / str(torch.float32), tmp_path / "again", torch.float32)
    assert (repacked.path / "SHA256SUMS").read_text() == (tmp_path / str(torch.float32) / "SHA256SUMS").read_text()


def test_packed_sums_are_what_sha256sum_checks(packed: Path) -> None:
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=packed, check=True, capture_output=True)


def test_packed_folder_can_be_read_by_others(packed: Path) -> None:
    for path in [packed, *packed.rglob("*")]:
        assert path.stat().st_mode & 0o044 == 0o044, path


def test_check_prints_what_a_folder_is(packed: Path) -> None:
    text = describe(ModelFolder.read(packed))
    for part in ("0, 1", "16 x 16 x 16 voxels", "3 x 2.03642 x 2.03642 mm", "edt", "axes 0, 1, 2", "float16", "MB"):
        assert part in text
    stored = load_file(packed / "fold_0" / "weights.safetensors")
    assert f"{sum(tensor.numel() for tensor in stored.values()):,} a network" in text


def test_pickled_code_is_not_run(own_model_folder: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"

    class Malicious:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(trace),)

    path = own_model_folder / "fold_0" / "checkpoint_final.pth"
    edit_checkpoint(path, lambda checkpoint: checkpoint.update(logging=Malicious()))
    with pytest.raises(ModelError, match=r"fold_0/checkpoint_final\.pth: is refused, names posix\.mkdir"):
        ModelFolder.read(own_model_folder)
    assert not trace.exists()
    pickle.loads(pickle.dumps(Malicious()))  # and it would have left a trace
    assert trace.exists()


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _drop_tensor(path: Path) -> None:
    edit_checkpoint(path, lambda checkpoint: checkpoint["network_weights"].pop("decoder.transpconvs.0.bias"))


def _reshape_tensor(path: Path) -> None:
    edit_checkpoint(
        path, lambda checkpoint: checkpoint["network_weights"].update({"decoder.transpconvs.0.bias": torch.zeros(5)})
    )


def _add_tensor(path: Path) -> None:
    edit_checkpoint(path, lambda checkpoint: checkpoint["network_weights"].update(extra=torch.zeros(5)))


def _three_channels(path: Path) -> None:
    name = "encoder.stem.convs.0.conv.weight"
    edit_checkpoint(
        path,
        lambda checkpoint: checkpoint["network_weights"].update({name: checkpoint["network_weights"][name][:, :3]}),
    )


def _other_configuration(path: Path) -> None:
    edit_checkpoint(path, lambda checkpoint: checkpoint["init_args"].update(configuration="3d_lowres"))


def _change_plans(**changes: Any) -> Callable[[Path], None]:
    def edit(plans: dict[str, Any]) -> None:
        plans["configurations"]["3d_fullres"].update(changes)

    return lambda path: edit_json(path, edit)


def _change_architecture(**changes: Any) -> Callable[[Path], None]:
    def edit(plans: dict[str, Any]) -> None:
        architecture = plans["configurations"]["3d_fullres"]["architecture"]
        architecture.update({key: value for key, value in changes.items() if key in architecture})
        architecture["arch_kwargs"].update({key: value for key, value in changes.items() if key not in architecture})

    return lambda path: edit_json(path, edit)


def _remove_folds(path: Path) -> None:
    for fold in path.parent.glob("fold_*"):
        shutil.rmtree(fold)


CHECKPOINT = "fold_0/checkpoint_final.pth"
BROKEN: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "no plans": ("plans.json", Path.unlink, "plans.json: the file is missing"),
    "no dataset": ("dataset.json", Path.unlink, "dataset.json: the file is missing"),
    "plans no JSON": ("plans.json", lambda path: path.write_text("{"), "plans.json: not a JSON file"),
    "plans a list": ("plans.json", lambda path: path.write_text("[]"), "plans.json: expected a JSON object"),
    "plans empty": ("plans.json", lambda path: path.write_text("{}"), "plans.json: lacks the entry 'configurations'"),
    "no fold": ("fold_0", _remove_folds, "no fold_<n>"),
    "fold empty": (CHECKPOINT, Path.unlink, "fold_0: holds 0 of"),
    "truncated": (CHECKPOINT, _truncate, f"{CHECKPOINT}: is no checkpoint that torch can read"),
    "text": (CHECKPOINT, lambda path: path.write_text("weights"), f"{CHECKPOINT}: is "),
    "empty file": (CHECKPOINT, lambda path: path.write_bytes(b""), f"{CHECKPOINT}: is "),
    "no weights": (CHECKPOINT, lambda path: torch.save({}, path), f"{CHECKPOINT}: holds no network_weights"),
    "a tensor": (CHECKPOINT, lambda path: torch.save(torch.ones(2), path), f"{CHECKPOINT}: holds no network_weights"),
    "no init_args": (
        CHECKPOINT,
        lambda path: edit_checkpoint(path, lambda checkpoint: checkpoint.pop("init_args")),
        f"{CHECKPOINT}: lacks the entry 'init_args'",
    ),
    "tensor missing": (CHECKPOINT, _drop_tensor, f"{CHECKPOINT}: lacks the tensor decoder.transpconvs.0.bias"),
    "tensor reshaped": (CHECKPOINT, _reshape_tensor, f"{CHECKPOINT}: decoder.transpconvs.0.bias has the shape (5,)"),
    "tensor too many": (CHECKPOINT, _add_tensor, f"{CHECKPOINT}: holds the tensor extra"),
    "three channels": (CHECKPOINT, _three_channels, f"{CHECKPOINT}: its network reads 3 channels"),
    "configurations differ": (CHECKPOINT, _other_configuration, "different configurations"),
    "patch no multiple": ("plans.json", _change_plans(patch_size=[16, 15, 16]), "plans.json: patch_size [16, 15, 16]"),
    "no patch": ("plans.json", _change_plans(patch_size=None), "plans.json: "),
    "zero spacing": ("plans.json", _change_plans(spacing=[0, 1, 1]), "plans.json: spacing"),
    "wider": ("plans.json", _change_architecture(features_per_stage=[4, 16]), f"{CHECKPOINT}: encoder.stages.1"),
    "deeper": (
        "plans.json",
        _change_architecture(n_blocks_per_stage=[1, 2]),
        f"{CHECKPOINT}: lacks the tensor encoder.stages.1.blocks.1",
    ),
    "shallower": (
        "plans.json",
        _change_architecture(
            n_stages=1, features_per_stage=[4], strides=[[1, 1, 1]], kernel_sizes=[[3, 3, 3]], n_blocks_per_stage=[1]
        ),
        "plans.json: ",
    ),
    "other network": (
        "plans.json",
        _change_architecture(network_class_name="os.system"),
        "plans.json: network_class_name is 'os.system'",
    ),
    "op from elsewhere": (
        "plans.json",
        _change_architecture(nonlin="os.system"),
        "'os.system' is not a class of torch.nn",
    ),
    "three labels": (
        "dataset.json",
        lambda path: edit_json(path, lambda dataset: dataset["labels"].update(node=2)),
        "dataset.json: labels is",
    ),
    "PET first": (
        "dataset.json",
        lambda path: edit_json(path, lambda dataset: dataset.update(channel_names={"0": "PET", "1": "CT"})),
        "dataset.json: channel_names is",
    ),
    "unknown prompt": (
        "prompt.json",
        lambda path: path.write_text('{"encoding": "box"}'),
        "prompt.json: expected",
    ),
}


@pytest.mark.parametrize(("name", "spoil", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_model_is_one_sentence(
    name: str,
    spoil: Callable[[Path], object],
    message: str,
    own_model_folder: Path,
    case_folder: Path,
    tmp_path: Path,
    refused: Callable[..., str],
) -> None:
    spoil(own_model_folder / name)
    output = tmp_path / "output"
    for sentence in (
        refused("predict", "--input", case_folder, "--output", output, "--model", own_model_folder),
        refused("check", own_model_folder),
        refused("pack", own_model_folder, tmp_path / "packed"),
    ):
        assert message in sentence
    assert not output.exists()
    assert not list(tmp_path.glob("*packed*"))


PACKED = "fold_0/weights.safetensors"


@pytest.mark.parametrize("name", [PACKED, "fold_1/weights.safetensors", "plans.json", "dataset.json", "prompt.json"])
def test_tampered_packed_file_is_named(name: str, packed: Path) -> None:
    path = packed / name
    _flip(path)
    with pytest.raises(ModelError, match=name.replace(".", r"\.")):
        ModelFolder.read(packed)


def test_packed_file_missing_from_folder_or_manifest(packed: Path) -> None:
    shutil.copytree(packed / "fold_0", packed / "fold_2")
    with pytest.raises(ModelError, match=r"fold_2/weights\.safetensors: is not in .*SHA256SUMS"):
        ModelFolder.read(packed)
    shutil.rmtree(packed / "fold_2")
    shutil.rmtree(packed / "fold_0")
    with pytest.raises(ModelError, match=r"fold_0/weights\.safetensors: cannot be read"):
        ModelFolder.read(packed)
    (packed / "SHA256SUMS").unlink()
    with pytest.raises(ModelError, match="SHA256SUMS: is missing"):
        ModelFolder.read(packed)


def test_manifest_cannot_point_outside(packed: Path) -> None:
    (packed / "SHA256SUMS").write_text(f"{'0' * 64}  ../../secret\n")
    with pytest.raises(ModelError, match="is not a sha256 sum and a file of the folder"):
        ModelFolder.read(packed)


def test_packed_and_checkpoint_in_one_fold_are_ambiguous(packed: Path, model_folder: Path) -> None:
    shutil.copy(model_folder / "fold_0" / "checkpoint_final.pth", packed / "fold_0")
    with pytest.raises(ModelError, match="fold_0: holds 2 of"):
        ModelFolder.read(packed)


def test_packed_tensor_of_wrong_shape_under_right_sums(packed: Path) -> None:
    path = packed / PACKED
    tensors = load_file(path)
    tensors["decoder.transpconvs.0.bias"] = torch.zeros(5)
    stored = {"configuration": "3d_fullres", "mirror_axes": [0], "trainer": "x"}
    save_file(tensors, path, metadata={"lesionclick": json.dumps(stored)})
    lines = (packed / "SHA256SUMS").read_text().splitlines()
    new = f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {PACKED}"
    (packed / "SHA256SUMS").write_text("\n".join([new if line.endswith(PACKED) else line for line in lines]))
    with pytest.raises(ModelError, match=r"fold_0/weights\.safetensors: decoder\.transpconvs\.0\.bias has the shape"):
        ModelFolder.read(packed)


def test_verify_finds_a_flipped_bit_in_a_checkpoint(own_model_folder: Path) -> None:
    path = own_model_folder / CHECKPOINT
    verify(ModelFolder.read(own_model_folder))
    _flip(path)
    with pytest.raises(ModelError, match=r"checkpoint_final\.pth: is (damaged|no checkpoint|refused)"):
        verify(ModelFolder.read(own_model_folder))


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
