"""Plans of nnU-Net old and new, and model folders that contradict themselves."""

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers_model import edit_checkpoint, edit_json, output_of_noise
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from lesionclick.errors import ModelError
from lesionclick.model.checksums import write_checksums
from lesionclick.model.folder import ModelFolder
from lesionclick.model.pack import pack
from lesionclick.model.plans import FORMER_NETWORK_CLASS, decisive_part, find_difference, read_configuration
from lesionclick.testing import make_plans, to_old_style, write_model

Plans = dict[str, Any]
Edit = Callable[[Plans], object]


def fullres(plans: Plans) -> Plans:
    found: Plans = plans["configurations"]["3d_fullres"]
    return found


def network(plans: Plans) -> Plans:
    found: Plans = fullres(plans)["architecture"]["arch_kwargs"]
    return found


def inheriting(plans: Plans) -> Plans:
    """The same plans with the configuration's entries in two that it inherits from, some of them overridden."""
    changed = copy.deepcopy(plans)
    base = fullres(changed)
    middle = {"inherits_from": "base", "spacing": base["spacing"]}
    configurations = {"3d_fullres": {"inherits_from": "middle", "patch_size": base["patch_size"]}, "middle": middle}
    changed["configurations"] = {**configurations, "base": {**base, "spacing": [9, 9, 9], "patch_size": [64, 64, 64]}}
    return changed


def with_former_class(plans: Plans) -> Plans:
    changed = copy.deepcopy(plans)
    fullres(changed)["architecture"]["network_class_name"] = FORMER_NETWORK_CLASS
    return changed


STYLES: dict[str, Callable[[Plans], Plans]] = {
    "old": to_old_style,
    "inheriting": inheriting,
    "old and inheriting": lambda plans: inheriting(to_old_style(plans)),
    "former class path": with_former_class,
}

NEW = make_plans(features=(4, 8, 8), blocks=(1, 2, 1))


@pytest.mark.parametrize("restyle", STYLES.values(), ids=STYLES)
def test_plans_that_mean_the_same_give_the_same_networks(restyle: Callable[[Plans], Plans], tmp_path: Path) -> None:
    plans = restyle(NEW)
    new, other = (
        ModelFolder.read(write_model(tmp_path / name, each)) for name, each in (("new", NEW), ("other", plans))
    )
    assert other.architecture == new.architecture
    assert (other.patch, other.preprocessing.spacing) == (new.patch, new.preprocessing.spacing)
    assert other.preprocessing.logit_resampling == new.preprocessing.logit_resampling
    assert decisive_part(plans, "3d_fullres") == decisive_part(NEW, "3d_fullres")
    outputs = [output_of_noise(model.load(model.folds[0]), 4, model.patch) for model in (new, other)]
    assert torch.equal(*outputs)
    (tmp_path / "new" / "plans.json").write_text((tmp_path / "other" / "plans.json").read_text())
    assert ModelFolder.read(tmp_path / "new").architecture == new.architecture


@pytest.mark.parametrize("restyle", STYLES.values(), ids=STYLES)
def test_a_configuration_is_what_nnunet_makes_of_it(restyle: Callable[[Plans], Plans]) -> None:
    plans = restyle(NEW)
    theirs = dict(PlansManager(copy.deepcopy(plans)).get_configuration("3d_fullres").configuration)
    ours = read_configuration(plans, "3d_fullres")
    for configuration in (theirs, ours):
        configuration.pop("inherits_from", None)
        configuration["architecture"] = {**configuration["architecture"], "network_class_name": "either path"}
    assert ours == theirs


def test_intensities_are_found_under_their_former_name() -> None:
    former = copy.deepcopy(NEW)
    former["foreground_intensity_properties_by_modality"] = former.pop("foreground_intensity_properties_per_channel")
    assert decisive_part(former, "3d_fullres") == decisive_part(NEW, "3d_fullres")


BROKEN: dict[str, tuple[Edit, str]] = {
    "circle": (
        lambda plans: plans.update(
            configurations={"3d_fullres": {"inherits_from": "a"}, "a": {"inherits_from": "3d_fullres"}}
        ),
        "configurations inherit in a circle: 3d_fullres, a, 3d_fullres",
    ),
    "itself": (lambda plans: fullres(plans).update(inherits_from="3d_fullres"), "configurations inherit in a circle"),
    "orphan": (lambda plans: fullres(plans).update(inherits_from="b"), "inherits from 'b', which is missing"),
    "a list as parent": (lambda plans: fullres(plans).update(inherits_from=["b"]), "unhashable"),
    "no architecture": (lambda plans: fullres(plans).pop("architecture"), "lacks the entry 'architecture'"),
    "architecture a string": (lambda plans: fullres(plans).update(architecture="unet"), "string indices"),
    "no intensities": (
        lambda plans: plans.update(foreground_intensity_properties_per_channel={"0": {}, "1": {}}),
        "lacks the entry 'mean'",
    ),
    "no way back": (lambda plans: plans.update(transpose_backward=[2, 0, 1]), "transpose_backward is [2, 0, 1]"),
}

BROKEN_OLD: dict[str, tuple[Edit, str]] = {
    "other network": (
        lambda plans: fullres(plans).update(UNet_class_name="PlainConvUNet"),
        "UNet_class_name is 'PlainConvUNet', supported is ResidualEncoderUNet",
    ),
    "no pooling": (lambda plans: fullres(plans).pop("num_pool_per_axis"), "lacks the entry 'num_pool_per_axis'"),
    "no blocks": (lambda plans: fullres(plans).update(n_conv_per_stage_encoder=None), "plans.json: "),
    "two axes": (lambda plans: fullres(plans).update(patch_size=[16, 16]), "patch_size is [16, 16], expected three"),
    "five axes": (lambda plans: fullres(plans).update(patch_size=[16] * 5), "plans.json: "),
}


@pytest.mark.parametrize(
    ("plans", "spoil", "message"),
    [(make_plans(), *each) for each in BROKEN.values()]
    + [(to_old_style(make_plans()), *each) for each in BROKEN_OLD.values()],
    ids=[*BROKEN, *BROKEN_OLD],
)
def test_broken_plans_are_one_sentence(plans: Plans, spoil: Edit, message: str, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", plans)
    edit_json(folder / "plans.json", spoil)
    with pytest.raises(ModelError) as error:
        ModelFolder.read(folder)
    assert str(error.value).startswith(f"{folder / 'plans.json'}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def scale_pet_mean(plans: Plans) -> None:
    plans["foreground_intensity_properties_per_channel"]["1"]["mean"] *= 2


CONTRADICTIONS: dict[str, tuple[Edit, str]] = {
    "PET mean": (scale_pet_mean, "foreground_intensity_properties_per_channel.1.mean 7.0638, but {} says 14.1276"),
    "spacing": (
        lambda plans: fullres(plans).update(spacing=[3, 2, 2]),
        "spacing [3.0, 2.0364201, 2.0364201], but {} says [3, 2, 2]",
    ),
    "patch": (
        lambda plans: fullres(plans).update(patch_size=[32, 16, 16]),
        "patch_size [16, 16, 16], but {} says [32, 16, 16]",
    ),
    "blocks": (
        lambda plans: network(plans).update(n_blocks_per_stage=[1, 2]),
        "arch_kwargs.n_blocks_per_stage [1, 1], but {} says [1, 2]",
    ),
    "kernel": (
        lambda plans: network(plans).update(norm_op_kwargs={"eps": 1e-3, "affine": True}),
        "arch_kwargs.norm_op_kwargs.eps 1e-05, but {} says 0.001",
    ),
    "nonlinearity": (
        lambda plans: network(plans).update(nonlin="torch.nn.ReLU"),
        'arch_kwargs.nonlin "LeakyReLU", but {} says "ReLU"',
    ),
    "transpose": (
        lambda plans: plans.update(transpose_forward=[1, 2, 0], transpose_backward=[2, 0, 1]),
        "transpose_forward [0, 1, 2], but {} says [1, 2, 0]",
    ),
    "normalization": (
        lambda plans: fullres(plans).update(normalization_schemes=["CTNormalization", "NoNormalization"]),
        'normalization_schemes ["CTNormalization", "CTNormalization"], but {} says '
        '["CTNormalization", "NoNormalization"]',
    ),
    "mask": (
        lambda plans: fullres(plans).update(use_mask_for_norm=[False, True]),
        "use_mask_for_norm [false, false], but {} says [false, true]",
    ),
    "resampling": (
        lambda plans: fullres(plans)["resampling_fn_data_kwargs"].update(order=1),
        "resampling_fn_data_kwargs.order 3, but {} says 1",
    ),
}


@pytest.mark.parametrize(("change", "message"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_plans_that_a_checkpoint_contradicts_are_refused(
    change: Edit, message: str, own_model_folder: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    """Also in packed folders whose plans were exchanged together with the sums."""
    packed = pack(own_model_folder, tmp_path / "packed").path
    for folder, name in ((own_model_folder, "checkpoint_final.pth"), (packed, "weights.safetensors")):
        edit_json(folder / "plans.json", change)
        if folder == packed:
            (packed / "SHA256SUMS").unlink()
            write_checksums(packed)
        expected = f"{folder / 'fold_0' / name}: was trained with {message.format(folder / 'plans.json')}"
        assert refused("check", folder) == expected
        assert refused("pack", folder, tmp_path / "again") == expected
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize(("change", "message"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_folds_of_different_plans_are_refused(
    change: Edit, message: str, own_model_folder: Path, tmp_path: Path
) -> None:
    plans = make_plans()
    change(plans)
    other = write_model(tmp_path / "other", plans)
    for name, folder in (("mixed", own_model_folder), ("packed", pack(own_model_folder, tmp_path / "a").path)):
        mixed = shutil.copytree(folder, tmp_path / name)
        stranger = pack(other, tmp_path / "b").path if name == "packed" else other
        shutil.rmtree(mixed / "fold_1")
        shutil.copytree(stranger / "fold_0", mixed / "fold_1")
        if name == "packed":
            (mixed / "SHA256SUMS").unlink()
            write_checksums(mixed)
        with pytest.raises(ModelError, match=f"{name}/fold_1/.*: was trained with {message.split(' ')[0]}"):
            ModelFolder.read(mixed)


def test_packs_of_different_encodings_do_not_mix(own_model_folder: Path, tmp_path: Path) -> None:
    packed = pack(own_model_folder, tmp_path / "packed").path
    (packed / "prompt.json").write_text('{"encoding": "gaussian", "sigma": 1.0}')
    (packed / "SHA256SUMS").unlink()
    write_checksums(packed)
    with pytest.raises(ModelError, match=r"packed with clicks shown as .*radius.*, but .*prompt\.json says .*sigma"):
        ModelFolder.read(packed)


INDIFFERENT: dict[str, Edit] = {
    "names": lambda plans: plans.update(dataset_name="Dataset001_Other", plans_name="other"),
    "batch": lambda plans: fullres(plans).update(batch_size=4, batch_dice=True, data_identifier="x"),
    "medians": lambda plans: plans.update(original_median_spacing_after_transp=[1, 1, 1]),
    "another configuration": lambda plans: plans["configurations"].update({"2d": {"patch_size": [4, 4]}}),
    "resampling of labels": lambda plans: fullres(plans)["resampling_fn_seg_kwargs"].update(order=0),
    "intensities that are not used": lambda plans: plans["foreground_intensity_properties_per_channel"]["1"].update(
        median=9
    ),
    "rounding": lambda plans: fullres(plans).update(spacing=[3.0, 2.0364201068878174, 2.0364201]),
    "path of a class": lambda plans: network(plans).update(conv_op="torch.nn.Conv3d"),
}


@pytest.mark.parametrize("change", INDIFFERENT.values(), ids=INDIFFERENT)
def test_what_decides_no_prediction_may_differ(change: Edit, own_model_folder: Path) -> None:
    edit_json(own_model_folder / "plans.json", change)
    assert len(ModelFolder.read(own_model_folder).folds) == 2


@pytest.mark.parametrize("stored", [None, "plans.json"])
def test_a_checkpoint_that_says_nothing_of_its_plans_is_read(
    stored: str | None, own_model_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    edit_checkpoint(
        own_model_folder / "fold_1" / "checkpoint_final.pth", lambda each: each["init_args"].update(plans=stored)
    )
    with caplog.at_level("INFO"):
        assert len(ModelFolder.read(own_model_folder).folds) == 2
    assert "fold_1/checkpoint_final.pth does not say what plans it was trained with" in caplog.text
    assert "fold_0" not in caplog.text


def test_a_checkpoint_with_broken_plans_is_one_sentence(own_model_folder: Path) -> None:
    path = own_model_folder / "fold_1" / "checkpoint_final.pth"
    edit_checkpoint(path, lambda checkpoint: checkpoint["init_args"].update(plans={"configurations": {}}))
    with pytest.raises(ModelError, match=rf"{path}: the plans of its training: lacks the entry '3d_fullres'$"):
        ModelFolder.read(own_model_folder)


def test_packs_that_keep_no_plans_are_read(own_model_folder: Path, tmp_path: Path) -> None:
    packed = pack(own_model_folder, tmp_path / "packed").path
    for path in packed.glob("fold_*/weights.safetensors"):
        with safe_open(path, framework="pt") as file:
            assert "plans" in file.metadata()["lesionclick"]
        kept = '{"configuration": "3d_fullres", "mirror_axes": [0], "trainer": "x"}'
        save_file(load_file(path), path, metadata={"lesionclick": kept})
    (packed / "SHA256SUMS").unlink()
    write_checksums(packed)
    assert len(ModelFolder.read(packed).folds) == 2


def test_a_difference_is_named_with_both_values() -> None:
    first = {"a": {"b": [1, 2.0]}, "c": None}
    assert find_difference(first, {"a": {"b": [1.0, 2]}}) is None
    assert find_difference(first, {"a": {"b": [1, 2, 3]}}) == ("a.b", [1, 2.0], [1, 2, 3])
    assert find_difference(first, {"a": 1}) == ("a", {"b": [1, 2.0]}, 1)
    assert find_difference({}, {"d": 1}) == ("d", None, 1)
