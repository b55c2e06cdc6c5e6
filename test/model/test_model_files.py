"""Files of a model folder: plain ones alone, each named once, of bounded sizes."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from lesionclick.errors import ModelError
from lesionclick.model.checksums import write_checksums
from lesionclick.model.folder import ModelFolder
from lesionclick.model.pack import pack

CHECKPOINT = Path("fold_0", "checkpoint_final.pth")


@pytest.mark.parametrize("name", ["fold_00", "fold_٣", "fold_-1", "Fold_0", "fold 0", "fold0"])
def test_a_fold_has_one_name(name: str, own_model_folder: Path) -> None:
    (own_model_folder / "fold_0").rename(own_model_folder / name)
    with pytest.raises(ModelError, match=f"{name}: is no name of a fold, expected fold_0, fold_1, ... or fold_all"):
        ModelFolder.read(own_model_folder)


def test_a_fold_without_its_last_checkpoint_says_what_is_there(own_model_folder: Path) -> None:
    path = own_model_folder / CHECKPOINT
    path = path.rename(path.with_name("checkpoint_best.pth"))
    with pytest.raises(
        ModelError, match=r"expected one \(checkpoint_best\.pth under the name checkpoint_final\.pth can"
    ):
        ModelFolder.read(own_model_folder)
    path.rename(path.with_name("checkpoint_latest.pth"))
    with pytest.raises(ModelError, match=r"expected one: its training has not ended \(checkpoint_latest\.pth\)"):
        ModelFolder.read(own_model_folder)


def test_a_fold_that_cannot_be_read_is_one_sentence(own_model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = Path.iterdir

    def refuse(path: Path) -> Any:
        if path.name == "fold_0":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(ModelError, match=r"fold_0: cannot be read: Permission denied$"):
        ModelFolder.read(own_model_folder)


@pytest.fixture
def packed(own_model_folder: Path, tmp_path: Path) -> Path:
    return pack(own_model_folder, tmp_path / "packed").path


@pytest.mark.parametrize(
    "name", ["plans.json", "dataset.json", "prompt.json", "SHA256SUMS", "fold_0/weights.safetensors"]
)
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_no_pipe_and_no_device_is_read(name: str, kind: str, packed: Path) -> None:
    path = packed / name
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(ModelError, match=f"{name}: is a pipe, a socket or a device, expected"):
        ModelFolder.read(packed)


def test_sums_name_exactly_what_is_there(packed: Path, own_model_folder: Path) -> None:
    manifest = packed / "SHA256SUMS"
    sums = manifest.read_text()
    manifest.write_text(sums + sums.splitlines()[0] + "\n")
    with pytest.raises(ModelError, match=r"SHA256SUMS: names dataset\.json twice, expected each file once"):
        ModelFolder.read(packed)
    manifest.write_text("".join(line for line in sums.splitlines(keepends=True) if "prompt" not in line))
    with pytest.raises(ModelError, match=r"prompt\.json: is not in .*SHA256SUMS, expected nothing else"):
        ModelFolder.read(packed)
    manifest.write_text(sums)
    (packed / "notes.txt").touch()
    with pytest.raises(ModelError, match=r"notes\.txt: is not in .*SHA256SUMS, expected nothing else"):
        ModelFolder.read(packed)
    (packed / "notes.txt").unlink()
    (packed / "fold_7").symlink_to(own_model_folder / "fold_0")
    with pytest.raises(ModelError, match=r"fold_7/checkpoint_final\.pth: is not in .*SHA256SUMS"):
        ModelFolder.read(packed)
    (packed / "fold_7").unlink()
    manifest.open("wb").truncate(200 << 20)
    with pytest.raises(ModelError, match="SHA256SUMS: has more than 1 MB, expected less"):
        ModelFolder.read(packed)


def resum(folder: Path) -> None:
    (folder / "SHA256SUMS").unlink()
    write_checksums(folder)


def test_headers_of_packed_weights_are_bounded(packed: Path) -> None:
    path = packed / "fold_0" / "weights.safetensors"
    tensors, good = load_file(path), path.read_bytes()
    many = {f"t{number}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for number in range(100_000)}
    header = json.dumps(many).encode()
    nested = {"lesionclick": "[" * 100_000}
    for write, message in (
        (
            lambda: path.write_bytes(len(header).to_bytes(8, "little") + header),
            "its header has [0-9,]+ bytes, expected at",
        ),
        (lambda: path.write_bytes(b"\xff" * 8 + good[8:]), "its header has [0-9,]+ bytes, expected at most"),
        (lambda: save_file(tensors, path, metadata=nested), "recursion"),
        (lambda: save_file(tensors, path, metadata={"lesionclick": "[]"}), "expected a JSON object"),
        (lambda: save_file(tensors, path), "lacks the entry 'lesionclick'"),
    ):
        write()
        resum(packed)
        with pytest.raises(ModelError, match=rf"weights\.safetensors: .*{message}"):
            ModelFolder.read(packed)
