import shutil
import subprocess
from pathlib import Path

import pytest
from helpers_model import flip_bit

from lesionclick.errors import ModelError
from lesionclick.model.folder import ModelFolder
from lesionclick.model.pack import pack

PACKED = "fold_0/weights.safetensors"


@pytest.fixture
def packed(model_folder: Path, tmp_path: Path) -> Path:
    return pack(model_folder, tmp_path / "packed").path


def test_packed_sums_are_what_sha256sum_checks(packed: Path) -> None:
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=packed, check=True, capture_output=True)


@pytest.mark.parametrize("name", [PACKED, "fold_1/weights.safetensors", "plans.json", "dataset.json", "prompt.json"])
def test_tampered_packed_file_is_named(name: str, packed: Path) -> None:
    path = packed / name
    flip_bit(path)
    with pytest.raises(ModelError, match=name.replace(".", r"\.")):
        ModelFolder.read(packed)


def test_packed_file_missing_from_folder_or_manifest(packed: Path) -> None:
    shutil.copytree(packed / "fold_0", packed / "fold_2")
    with pytest.raises(ModelError, match=r"fold_2/weights\.safetensors: is not in .*SHA256SUMS"):
        ModelFolder.read(packed)
    shutil.rmtree(packed / "fold_2")
    shutil.rmtree(packed / "fold_0")
    with pytest.raises(ModelError, match=r"fold_0/weights\.safetensors: the file is missing"):
        ModelFolder.read(packed)
    (packed / "SHA256SUMS").unlink()
    with pytest.raises(ModelError, match="SHA256SUMS: is missing"):
        ModelFolder.read(packed)


def test_manifest_cannot_point_outside(packed: Path) -> None:
    (packed / "SHA256SUMS").write_text(f"{'0' * 64}  ../../secret\n")
    with pytest.raises(ModelError, match="is not a sha256 sum and a file of the folder"):
        ModelFolder.read(packed)
