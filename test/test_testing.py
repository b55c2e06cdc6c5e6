import copy
import sys
from pathlib import Path

import pytest
from helpers_model import output_of_noise

from lesionclick import testing
from lesionclick.model.folder import ModelFolder


def test_command_writes_a_model_folder_of_random_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["lesionclick.testing", "small", str(tmp_path / "model"), "2"])
    testing.main()
    model = ModelFolder.read(tmp_path / "model")
    assert [fold.name for fold in model.folds] == ["0", "1"]
    assert model.patch == (64, 64, 64)
    assert 100_000 < model.parameters < 200_000


def test_weights_are_those_of_their_seed(tmp_path: Path) -> None:
    plans = testing.make_plans()
    folders = [testing.write_model(tmp_path / str(index), plans, seed=seed) for index, seed in enumerate((0, 0, 1))]
    networks = [model.load(model.folds[0]) for model in map(ModelFolder.read, folders)]
    first, same, other = (output_of_noise(network, 4, (16, 16, 16)) for network in networks)
    assert first.equal(same)
    assert not first.equal(other)


def test_plans_belong_to_the_test_that_changes_them() -> None:
    """A test that changed a table that all plans shared let another one pass or fail by their order."""
    changed, expected = testing.make_plans(), copy.deepcopy(testing.make_plans())
    changed["foreground_intensity_properties_per_channel"]["1"]["mean"] *= 2
    assert testing.make_plans() == expected != changed
