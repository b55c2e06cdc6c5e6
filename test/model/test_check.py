from pathlib import Path

import pytest
from helpers_model import edit_json, flip_bit
from safetensors.torch import load_file

from lesionclick.errors import ModelError
from lesionclick.model.check import describe, fingerprint, verify
from lesionclick.model.folder import ModelFolder
from lesionclick.model.pack import pack


def test_check_prints_what_a_folder_is(model_folder: Path, tmp_path: Path) -> None:
    packed = pack(model_folder, tmp_path / "packed").path
    lines = describe(ModelFolder.read(packed)).splitlines()
    stored = load_file(packed / "fold_0" / "weights.safetensors")
    assert lines[:-1] == [
        f"model        {packed}",
        "description  none",
        "folds        0, 1",
        f"parameters   {sum(value.numel() for name, value in stored.items() if 'organ' not in name):,} a network",
        "patch        16 x 16 x 16 voxels",
        "spacing      3 x 2.03642 x 2.03642 mm",
        "channels     CT, PET, tumor clicks, background clicks",
        "clicks       encoding edt, radius 2",
        "organs       spleen, kidneys, liver, urinary bladder, lungs, brain, heart, stomach, prostate, glands",
        "mirroring    axes 0, 1, 2",
        "trainer      nnUNetTrainer",
    ]
    assert lines[-1].startswith("storage      weights.safetensors (float16, float32), 0.")


def test_verify_finds_a_flipped_bit_in_a_checkpoint(own_model_folder: Path) -> None:
    path = own_model_folder / "fold_0" / "checkpoint_final.pth"
    verify(ModelFolder.read(own_model_folder))
    flip_bit(path)
    with pytest.raises(ModelError, match=r"checkpoint_final\.pth: is (damaged|no checkpoint|refused)"):
        verify(ModelFolder.read(own_model_folder))


def test_fingerprint_tells_what_changes_a_prediction(own_model_folder: Path) -> None:
    model = ModelFolder.read(own_model_folder)
    before = fingerprint(model)
    assert fingerprint(ModelFolder.read(own_model_folder)) == before
    edit_json(own_model_folder / "dataset.json", lambda dataset: dataset.update(description="other words"))
    assert fingerprint(ModelFolder.read(own_model_folder)) == before
    (own_model_folder / "prompt.json").write_text('{"encoding": "edt", "radius": 3}')
    assert fingerprint(ModelFolder.read(own_model_folder)) != before
    assert fingerprint(model.select(["1"])) != fingerprint(model.select(["0"]))
