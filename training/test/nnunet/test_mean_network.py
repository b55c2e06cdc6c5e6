"""The mean of several trainings' networks in a model folder."""

import json
from pathlib import Path

import pytest
import torch
from helpers_command import run_command
from helpers_model import output_of_noise

from lesionclick.errors import ModelError
from lesionclick.model.checkpoint import read_checkpoint
from lesionclick.model.pack import pack
from lesionclick.testing import make_plans, write_model
from lesionclick_training.nnunet.assemble import assemble
from lesionclick_training.nnunet.training_cases import read_training_cases


@pytest.fixture
def trainings(tmp_path: Path) -> tuple[Path, Path]:
    """Two trainings of one plan, of two networks and of one, which may be mirrored along other axes."""
    return (
        write_model(tmp_path / "a", make_plans(), folds=(0, 1), seed=1, mirror_axes=(0, 2)),
        write_model(tmp_path / "b", make_plans(), folds=("all",), seed=2, mirror_axes=(1, 2)),
    )


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = read_checkpoint(path)["network_weights"]
    return weights


def test_every_weight_is_the_mean_of_all_networks(trainings: tuple[Path, Path], tmp_path: Path) -> None:
    model = assemble(trainings, tmp_path / "new" / "out", mean=True)
    (fold,) = model.folds
    assert (fold.name, fold.mirror_axes, fold.has_organ_head) == ("0", (2,), True)
    sources = [weights_of(path / "checkpoint_final.pth") for each in trainings for path in sorted(each.glob("fold_*"))]
    assert len(sources) == 3
    mean = weights_of(fold.path)
    assert mean.keys() == sources[0].keys()
    for name, value in mean.items():
        torch.testing.assert_close(value, (sources[0][name] + sources[1][name] + sources[2][name]) / 3)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out"]


@pytest.mark.parametrize("packed_inputs", [False, True])
def test_a_mean_can_be_packed(trainings: tuple[Path, Path], packed_inputs: bool, tmp_path: Path) -> None:
    expected = assemble(trainings, tmp_path / "unpacked", mean=True)
    sources = trainings
    if packed_inputs:
        sources = (pack(trainings[0], tmp_path / "c", torch.float32).path, trainings[1])
    model = assemble(sources, tmp_path / "out", torch.float32, mean=True)
    assert [fold.path.name for fold in model.folds] == ["weights.safetensors"]
    first, second = (output_of_noise(each.load(each.folds[0]), 4, each.patch) for each in (expected, model))
    torch.testing.assert_close(first, second)


def test_a_mean_has_seen_what_each_network_has_seen(trainings: tuple[Path, Path], tmp_path: Path) -> None:
    for fold, cases in (("a/fold_0", ["x", "y"]), ("a/fold_1", ["x", "z"])):
        (tmp_path / fold / "training_cases.json").write_text(json.dumps({"training_cases": cases}))
    known = assemble(trainings[:1], tmp_path / "known", mean=True)
    assert read_training_cases(known.path / "fold_0") == {"x", "y", "z"}
    unknown = assemble(trainings, tmp_path / "unknown", mean=True)  # nobody knows what fold_all of b has seen
    assert read_training_cases(unknown.path / "fold_0") is None


def test_networks_that_differ_have_no_mean(trainings: tuple[Path, Path], tmp_path: Path) -> None:
    other = write_model(tmp_path / "c", make_plans(blocks=(1, 2)))
    with pytest.raises(ModelError, match=r"c/plans\.json: arch_kwargs\.n_blocks_per_stage is \[1, 2\], expected"):
        assemble([trainings[0], other], tmp_path / "out", mean=True)
    assert not (tmp_path / "out").exists()


def test_the_command_makes_a_mean(
    trainings: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, printed, _ = run_command(capsys, "assemble", *trainings, tmp_path / "out", "--mean", "--pack")
    assert code == 0
    assert "folds        0\n" in printed
