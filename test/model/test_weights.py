"""Weights that are no real finite numbers, and checkpoints that are damaged or unpack to more than they are."""

import json
import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers_model import edit_checkpoint
from safetensors.torch import load_file, save_file

from lesionclick.errors import ModelError
from lesionclick.model.checkpoint import read_checkpoint
from lesionclick.model.checksums import write_checksums
from lesionclick.model.folder import ModelFolder
from lesionclick.model.pack import pack

CHECKPOINT = Path("fold_0", "checkpoint_final.pth")
STEM = "encoder.stem.convs.0.conv.weight"
HEAD = "decoder.seg_layers.0.weight"
INNER = "decoder.transpconvs.0.bias"


def load_first(folder: Path) -> None:
    """Reads a model folder and the weights of its first fold."""
    model = ModelFolder.read(folder)
    model.load(model.folds[0])


def of_weight(name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[dict[str, Any]], object]:
    return lambda stored: stored["network_weights"].update({name: change(stored["network_weights"][name])})


TENSORS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "complex": (
        of_weight(INNER, lambda each: each.to(torch.complex64)),
        f"{INNER} holds numbers of the type complex64",
    ),
    "boolean": (of_weight(INNER, lambda each: each > 0), f"{INNER} holds numbers of the type bool"),
    "whole": (of_weight(INNER, lambda each: each.to(torch.int8)), f"{INNER} holds numbers of the type int8"),
    "sparse": (of_weight(INNER, lambda each: each.to_sparse()), f"{INNER} is sparse, quantized or without values"),
    "quantized": (
        of_weight(INNER, lambda each: torch.quantize_per_tensor(each, 0.1, 0, torch.qint8)),
        f"{INNER} is sparse, quantized or without values",
    ),
    "meta": (of_weight(INNER, lambda each: each.to("meta")), f"{INNER} is sparse, quantized or without values"),
    "number as name": (
        lambda stored: stored["network_weights"].update({5: torch.ones(1)}),
        "have the name 5, expected",
    ),
    "NaN": (of_weight(INNER, lambda each: each * math.nan), f"{INNER} holds NaN or infinite values"),
    "infinity": (of_weight(INNER, lambda each: each / 0), f"{INNER} holds NaN or infinite values"),
    "stem 0": (of_weight(STEM, torch.zeros_like), f"{STEM} is 0 everywhere, expected weights of a trained network"),
    "head 0": (of_weight(HEAD, torch.zeros_like), f"{HEAD} is 0 everywhere, expected weights of a trained network"),
    "configuration": (lambda stored: stored["init_args"].update(configuration=["x"]), "is no name of a configuration"),
    "trainer": (lambda stored: stored.update(trainer_name="a\nb"), "is no name of a configuration or a trainer"),
}


@pytest.mark.parametrize(("change", "message"), TENSORS.values(), ids=TENSORS)
def test_weights_are_real_finite_numbers(
    change: Callable[[dict[str, Any]], object], message: str, own_model_folder: Path
) -> None:
    edit_checkpoint(own_model_folder / CHECKPOINT, change)
    with pytest.raises(ModelError) as error:
        load_first(own_model_folder)
    assert str(error.value).startswith(f"{own_model_folder / CHECKPOINT}: ")
    assert message in str(error.value)


def test_damaged_bytes_of_a_checkpoint_are_found_when_it_is_loaded(own_model_folder: Path) -> None:
    path = own_model_folder / CHECKPOINT
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda member: member.file_size if "data/" in member.filename else 0)
    content = bytearray(path.read_bytes())
    place = largest.header_offset + 200 + largest.file_size // 2
    content[place] ^= 1
    path.write_bytes(content)
    model = ModelFolder.read(own_model_folder)
    with pytest.raises(ModelError, match=r"checkpoint_final\.pth: is damaged, the checksum of .* inside it is wrong"):
        model.load(model.folds[0])


def test_a_checkpoint_that_unpacks_to_more_than_it_is_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint_final.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(300 << 20))
        archive.writestr("archive/version", b"3\n")
    with pytest.raises(ModelError, match=r"archive/data\.pkl in it unpacks to 315 MB, expected no compression"):
        read_checkpoint(path)
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(ModelError, match="is a pointer of Git LFS, expected the weights"):
        read_checkpoint(path)


@pytest.fixture
def packed(own_model_folder: Path, tmp_path: Path) -> Path:
    return pack(own_model_folder, tmp_path / "packed").path


def resum(folder: Path) -> None:
    (folder / "SHA256SUMS").unlink()
    write_checksums(folder)


def test_packed_weights_are_real_numbers(packed: Path) -> None:
    path = packed / "fold_0" / "weights.safetensors"
    tensors = load_file(path)
    stored = {"configuration": "3d_fullres", "mirror_axes": [0], "trainer": "x"}
    for changed, message in (
        (tensors[INNER].to(torch.int32), f"{INNER} holds numbers of the type I32"),
        (tensors[INNER] > 0, f"{INNER} holds numbers of the type BOOL"),
        (tensors[INNER] * math.nan, f"{INNER} holds NaN or infinite values"),
    ):
        save_file({**tensors, INNER: changed}, path, metadata={"lesionclick": json.dumps(stored)})
        resum(packed)
        with pytest.raises(ModelError, match=rf"weights\.safetensors: {message}"):
            load_first(packed)
