import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers_model import edit_checkpoint

from lesionclick.errors import ModelError
from lesionclick.model.checkpoint import read_checkpoint


def test_checkpoint_written_with_numpy_1_is_read(own_model_folder: Path) -> None:
    path = own_model_folder / "fold_0" / "checkpoint_final.pth"
    _as_numpy_1(path)
    assert read_checkpoint(path)["current_epoch"] == 1000


def _as_numpy_1(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    pickled = next(name for name in members if name.endswith("data.pkl"))
    members[pickled] = members[pickled].replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.parametrize("numpy_1", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "bool"])
def test_arrays_in_the_log_are_read(dtype: str, numpy_1: bool, own_model_folder: Path) -> None:
    path = own_model_folder / "fold_0" / "checkpoint_final.pth"
    array = np.array([[0, 1], [1, 0]], dtype=dtype)
    edit_checkpoint(path, lambda checkpoint: checkpoint["logging"].update(dice_per_class=[array]))
    if numpy_1:
        _as_numpy_1(path)
    np.testing.assert_array_equal(read_checkpoint(path)["logging"]["dice_per_class"][0], array)


def test_arrays_of_objects_are_refused(own_model_folder: Path) -> None:
    path = own_model_folder / "fold_0" / "checkpoint_final.pth"
    array = np.array([{"a": 1}], dtype=object)
    edit_checkpoint(path, lambda checkpoint: checkpoint["logging"].update(dice=array))
    with pytest.raises(ModelError, match="is refused"):
        read_checkpoint(path)


def test_pickled_code_is_not_run(own_model_folder: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"

    class Malicious:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(trace),)

    path = own_model_folder / "fold_0" / "checkpoint_final.pth"
    edit_checkpoint(path, lambda checkpoint: checkpoint.update(logging=Malicious()))
    with pytest.raises(ModelError, match=r"fold_0/checkpoint_final\.pth: is refused, names posix\.mkdir"):
        read_checkpoint(path)
    assert not trace.exists()
    pickle.loads(pickle.dumps(Malicious()))  # and it would have left a trace
    assert trace.exists()


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


BAD_CHECKPOINTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, "the file is missing, expected a checkpoint"),
    "truncated": (_truncate, "is no checkpoint that torch can read"),
    "text": (lambda path: path.write_text("weights"), "is "),
    "empty file": (lambda path: path.write_bytes(b""), "is "),
    "no weights": (lambda path: torch.save({}, path), "holds no network_weights"),
    "a tensor": (lambda path: torch.save(torch.ones(2), path), "holds no network_weights"),
    "no tensors": (lambda path: torch.save({"network_weights": {"a": 1}}, path), "holds no network_weights"),
}


@pytest.mark.parametrize(("spoil", "message"), BAD_CHECKPOINTS.values(), ids=BAD_CHECKPOINTS)
def test_bad_checkpoint_is_one_sentence(spoil: Callable[[Path], object], message: str, own_model_folder: Path) -> None:
    path = own_model_folder / "fold_0" / "checkpoint_final.pth"
    spoil(path)
    with pytest.raises(ModelError) as error:
        read_checkpoint(path)
    assert str(error.value).startswith(f"{path}: {message}")
    assert "\n" not in str(error.value)
