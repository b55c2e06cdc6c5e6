import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers_model import edit_checkpoint, edit_json, output_of_noise
from safetensors.torch import load_file, save_file

from lesionclick.errors import ModelError
from lesionclick.model.checksums import write_checksums
from lesionclick.model.encoding import EDTEncoding, UptakeEncoding
from lesionclick.model.folder import ModelFolder
from lesionclick.model.pack import pack
from lesionclick.testing import make_plans, write_model


def test_reads_what_a_folder_says(model_folder: Path) -> None:
    model = ModelFolder.read(model_folder)
    assert [fold.path.parent.name for fold in model.folds] == ["fold_0", "fold_1"]
    assert model.channels == 4
    assert model.patch == (16, 16, 16)
    assert model.preprocessing.spacing == (3.0, 2.0364201, 2.0364201)
    assert model.encoding == EDTEncoding(2)
    assert model.folds[0].mirror_axes == (0, 1, 2)


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
    output = output_of_noise(model.load(model.folds[0]), channels, model.patch)
    assert output.shape == (1, 2, 16, 16, 16)


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


def _change_network(**changes: Any) -> Callable[[Path], None]:
    """Of plans that the checkpoint, which says nothing of its own, does not contradict but by its weights."""

    def spoil(path: Path) -> None:
        _change_architecture(**changes)(path)
        edit_checkpoint(path.parent / CHECKPOINT, lambda checkpoint: checkpoint["init_args"].pop("plans"))

    return spoil


def _list_channels(*names: str) -> Callable[[Path], None]:
    channels = {str(index): name for index, name in enumerate(names)}
    return lambda path: edit_json(path, lambda dataset: dataset.update(channel_names=channels))


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
    "no init_args": (
        CHECKPOINT,
        lambda path: edit_checkpoint(path, lambda checkpoint: checkpoint.pop("init_args")),
        f"{CHECKPOINT}: lacks the entry 'init_args'",
    ),
    "tensor missing": (CHECKPOINT, _drop_tensor, f"{CHECKPOINT}: lacks the tensor decoder.transpconvs.0.bias"),
    "tensor reshaped": (CHECKPOINT, _reshape_tensor, f"{CHECKPOINT}: decoder.transpconvs.0.bias has the shape (5,)"),
    "tensor too many": (CHECKPOINT, _add_tensor, f"{CHECKPOINT}: holds the tensor extra"),
    "three channels": (CHECKPOINT, _three_channels, f"{CHECKPOINT}: its network reads 3 channels"),
    "axis 3 mirrored": (
        CHECKPOINT,
        lambda path: edit_checkpoint(path, lambda stored: stored.update(inference_allowed_mirroring_axes=(0, 3))),
        f"{CHECKPOINT}: mirrors along the axes (0, 3), expected some of 0, 1, 2",
    ),
    "configurations differ": (CHECKPOINT, _other_configuration, "different configurations"),
    "patch no multiple": ("plans.json", _change_plans(patch_size=[16, 15, 16]), "plans.json: patch_size [16, 15, 16]"),
    "no patch": ("plans.json", _change_plans(patch_size=None), "plans.json: "),
    "zero spacing": ("plans.json", _change_plans(spacing=[0, 1, 1]), "plans.json: spacing"),
    "wider": ("plans.json", _change_network(features_per_stage=[4, 16]), f"{CHECKPOINT}: encoder.stages.1"),
    "deeper": (
        "plans.json",
        _change_network(n_blocks_per_stage=[1, 2]),
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
        "nonlin is 'os.system', which is not a class of torch.nn",
    ),
    "three labels": (
        "dataset.json",
        lambda path: edit_json(path, lambda dataset: dataset["labels"].update(node=2)),
        "dataset.json: labels is",
    ),
    "PET first": (
        "dataset.json",
        _list_channels("PET", "CT"),
        "dataset.json: channel_names is",
    ),
    "three names": (
        "dataset.json",
        _list_channels("CT", "PET", "clicks"),
        "expected CT as 0 and PET as 1, and nothing or the clicks as 2 and 3",
    ),
    "unknown prompt": (
        "prompt.json",
        lambda path: path.write_text('{"encoding": "box"}'),
        "prompt.json: expected",
    ),
}


@pytest.mark.parametrize(("name", "spoil", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_model_is_one_sentence(
    name: str, spoil: Callable[[Path], object], message: str, own_model_folder: Path, tmp_path: Path
) -> None:
    spoil(own_model_folder / name)
    with pytest.raises(ModelError) as error:
        ModelFolder.read(own_model_folder)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_clicks_may_be_listed_as_channels(own_model_folder: Path, tmp_path: Path) -> None:
    plain = ModelFolder.read(own_model_folder)
    plans = make_plans()
    plans["configurations"]["3d_fullres"]["normalization_schemes"] += ["NoNormalization"] * 2
    plans["configurations"]["3d_fullres"]["use_mask_for_norm"] += [False] * 2
    for folder in (own_model_folder, write_model(tmp_path / "stock", plans, folds=(0, 1))):
        _list_channels("CT", "PET", "FG", "BG")(folder / "dataset.json")
        model = ModelFolder.read(folder)
        assert model.channels == 4
        assert len(model.preprocessing.normalizations) == 2
        for mine, theirs in zip(model.folds, plain.folds, strict=True):
            assert torch.equal(
                *(output_of_noise(each.load(fold), 4, model.patch) for each, fold in ((model, mine), (plain, theirs)))
            )
    without_clicks = write_model(tmp_path / "two", make_plans(), channels=2)
    _list_channels("CT", "PET", "FG", "BG")(without_clicks / "dataset.json")
    with pytest.raises(ModelError, match=r"expected CT as 0 and PET as 1$"):
        ModelFolder.read(without_clicks)


def test_clicks_cannot_be_normalized(tmp_path: Path) -> None:
    plans = make_plans()
    plans["configurations"]["3d_fullres"]["normalization_schemes"] += ["ZScoreNormalization"] * 2
    with pytest.raises(ModelError, match="none or two of NoNormalization for clicks"):
        ModelFolder.read(write_model(tmp_path / "model", plans))


def test_clicks_that_show_uptake_need_a_pet_whose_suv_is_known(tmp_path: Path) -> None:
    plans = make_plans()
    folder = write_model(tmp_path / "model", plans)
    (folder / "prompt.json").write_text('{"encoding": "uptake", "radius": 12}')
    model = ModelFolder.read(folder)
    assert model.encoding == UptakeEncoding(12)
    image = np.random.default_rng(0).uniform(1.1, 50, (2, 16, 16, 16)).astype(np.float32)
    network, _ = model.preprocessing.to_network(image, model.preprocessing.spacing_zyx)
    np.testing.assert_allclose(model.preprocessing.to_suv(network[1]), image[1], rtol=1e-5)

    plans["configurations"]["3d_fullres"]["normalization_schemes"][1] = "ZScoreNormalization"
    other = write_model(tmp_path / "other", plans)
    assert ModelFolder.read(other).encoding == EDTEncoding(2)
    (other / "prompt.json").write_text('{"encoding": "uptake", "radius": 12}')
    with pytest.raises(ModelError, match="normalization scheme ZScoreNormalization of the PET, expected CTNormal"):
        ModelFolder.read(other)


def test_every_command_refuses_a_broken_model_and_writes_nothing(
    own_model_folder: Path, case_folder: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    (own_model_folder / "plans.json").unlink()
    output = tmp_path / "output"
    for arguments in (
        ("predict", "--input", case_folder, "--output", output, "--model", own_model_folder),
        ("check", own_model_folder),
        ("pack", own_model_folder, tmp_path / "packed"),
    ):
        assert refused(*arguments) == f"{own_model_folder / 'plans.json'}: the file is missing"
    assert not output.exists()
    assert not list(tmp_path.glob("*packed*"))


def test_packed_and_checkpoint_in_one_fold_are_ambiguous(model_folder: Path, tmp_path: Path) -> None:
    packed = pack(model_folder, tmp_path / "packed").path
    shutil.copy(model_folder / "fold_0" / "checkpoint_final.pth", packed / "fold_0")
    with pytest.raises(ModelError, match="fold_0: holds 2 of"):
        ModelFolder.read(packed)


def test_a_checkpoint_beside_packed_folds_is_refused(model_folder: Path, tmp_path: Path) -> None:
    packed = pack(model_folder, tmp_path / "packed").path
    shutil.copytree(model_folder / "fold_0", packed / "fold_7")
    with pytest.raises(ModelError, match=r"fold_7/checkpoint_final\.pth: is not in .*SHA256SUMS"):
        ModelFolder.read(packed)


def test_packed_tensor_of_wrong_shape_under_right_sums(model_folder: Path, tmp_path: Path) -> None:
    packed = pack(model_folder, tmp_path / "packed").path
    path = packed / "fold_0" / "weights.safetensors"
    tensors = load_file(path)
    tensors["decoder.transpconvs.0.bias"] = torch.zeros(5)
    stored = {"configuration": "3d_fullres", "mirror_axes": [0], "trainer": "x"}
    save_file(tensors, path, metadata={"lesionclick": json.dumps(stored)})
    (packed / "SHA256SUMS").unlink()
    write_checksums(packed)
    with pytest.raises(ModelError, match=r"fold_0/weights\.safetensors: decoder\.transpconvs\.0\.bias has the shape"):
        ModelFolder.read(packed)
