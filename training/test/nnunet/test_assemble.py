"""Several trainings in one model folder."""

import json
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers_command import run_command
from helpers_model import edit_checkpoint, edit_json, flip_bit, output_of_noise

from lesionclick.errors import ModelError
from lesionclick.model.folder import ModelFolder
from lesionclick.model.pack import pack
from lesionclick.testing import make_plans, to_old_style, write_model
from lesionclick_training.nnunet.assemble import assemble
from lesionclick_training.nnunet.training_cases import read_training_cases


@pytest.fixture
def trainings(tmp_path: Path) -> tuple[Path, Path]:
    """Two trainings of one plan: folds 0 and 1, and folds 3 and all, whose plans are of the old style."""
    return (
        write_model(tmp_path / "a", make_plans(), folds=(0, 1), seed=1),
        write_model(tmp_path / "b", to_old_style(make_plans()), folds=(3, "all"), seed=2),
    )


def outputs(model: ModelFolder) -> list[torch.Tensor]:
    return [output_of_noise(model.load(fold), model.channels, model.patch) for fold in model.folds]


def files_of(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("packed_inputs", [False, True])
@pytest.mark.parametrize("pack_as", [None, torch.float32])
def test_networks_follow_one_another(
    trainings: tuple[Path, Path], pack_as: torch.dtype | None, packed_inputs: bool, tmp_path: Path
) -> None:
    expected = [output for folder in trainings for output in outputs(ModelFolder.read(folder))]
    sources: Sequence[Path] = trainings
    if packed_inputs:
        sources = [pack(folder, tmp_path / f"packed_{folder.name}", torch.float32).path for folder in trainings]
    model = assemble(sources, tmp_path / "new" / "out", pack_as)
    assert [fold.name for fold in model.folds] == ["0", "1", "2", "3"]
    assert all(map(torch.equal, outputs(model), expected))
    name, sums = ("weights.safetensors", ["SHA256SUMS"]) if packed_inputs or pack_as else ("checkpoint_final.pth", [])
    assert files_of(model.path) == [
        *sums, "dataset.json", *(f"fold_{number}/{name}" for number in range(4)), "plans.json", "prompt.json"
    ]  # fmt: skip
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out"]


def test_packed_and_unpacked_trainings_mix(trainings: tuple[Path, Path], tmp_path: Path) -> None:
    first = pack(trainings[0], tmp_path / "packed").path
    model = assemble([first, trainings[1]], tmp_path / "out")
    assert [fold.path.name for fold in model.folds] == ["weights.safetensors"] * 2 + ["checkpoint_final.pth"] * 2


def test_an_assembled_folder_is_its_own(trainings: tuple[Path, Path], tmp_path: Path) -> None:
    model = assemble(trainings, tmp_path / "out")
    before = outputs(model)[0]
    with (trainings[0] / "fold_0" / "checkpoint_final.pth").open("r+b") as file:  # as a training that goes on
        file.truncate(10)
    assert torch.equal(outputs(model)[0], before)


def test_records_of_training_cases_go_with_checkpoints_alone(trainings: tuple[Path, Path], tmp_path: Path) -> None:
    for fold, case in (("a/fold_1", "second"), ("b/fold_all", "fourth")):
        (tmp_path / fold / "training_cases.json").write_text(json.dumps({"training_cases": [case]}))
    out = assemble(trainings, tmp_path / "out").path
    recorded = [read_training_cases(out / f"fold_{number}") for number in range(4)]
    assert recorded == [None, {"second"}, None, {"fourth"}]

    packed = assemble(trainings, tmp_path / "packed", torch.float16).path
    again = assemble([packed], tmp_path / "again").path
    assert not [path for folder in (packed, again) for path in folder.rglob("training_cases.json")]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [((None, None), None), (("a", None), "a"), (("a", "b"), "a; b"), (("a", "a"), "a"), ((None, "b"), "b")],
)
def test_descriptions_are_kept(
    trainings: tuple[Path, Path], texts: Sequence[str | None], expected: str | None, tmp_path: Path
) -> None:
    for folder, text in zip(trainings, texts, strict=True):
        if text is not None:
            edit_json(folder / "dataset.json", partial(dict.update, description=text))
    out = assemble(trainings, tmp_path / "out").path
    assert json.loads((out / "dataset.json").read_text()).get("description") == expected


def test_a_missing_prompt_means_a_ball_of_radius_2(trainings: tuple[Path, Path], tmp_path: Path) -> None:
    (trainings[1] / "prompt.json").write_text('{"encoding": "edt", "radius": 2}')
    assert assemble(trainings, tmp_path / "out").encoding.to_json() == {"encoding": "edt", "radius": 2}


def other_plans(**changes: Any) -> Callable[[Path], object]:
    def rewrite(folder: Path) -> None:
        shutil.rmtree(folder)
        write_model(folder, make_plans(**changes))

    return rewrite


def without_clicks(folder: Path) -> None:
    shutil.rmtree(folder)
    write_model(folder, make_plans(), channels=2)


def double_mean(folder: Path) -> None:
    edit_json(
        folder / "plans.json",
        lambda plans: plans["foreground_intensity_properties_per_channel"]["1"].update(mean=14.1276),
    )


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "spacing": (other_plans(spacing=(3, 2, 2)), "b/plans.json: spacing is [3, 2, 2], expected [3.0, 2.0364201, 2.0"),
    "blocks": (other_plans(blocks=(1, 2)), "b/plans.json: arch_kwargs.n_blocks_per_stage is [1, 2], expected [1, 1]"),
    "encoding": (
        lambda folder: (folder / "prompt.json").write_text('{"encoding": "edt", "radius": 3}'),
        "b/prompt.json: radius is 3, expected 2 as in",
    ),
    "labels": (
        lambda folder: edit_json(
                folder / "dataset.json", lambda dataset: dataset.update(labels={"background": 0, "yes": 1})
            ),
        "b/dataset.json: labels.tumor is null, expected 1",
    ),
    "channels": (
        lambda folder: edit_json(
            folder / "dataset.json", lambda dataset: dataset["channel_names"].update({"1": "SUV"})
        ),
        'b/dataset.json: channel_names.1 is "SUV", expected "PET"',
    ),
    "no clicks": (without_clicks, "b: its networks read 2 channels, expected 4"),
    "contradiction": (double_mean, "b/fold_3/checkpoint_final.pth: was trained with"),
    "unfinished": (
        lambda folder: (folder / "fold_3" / "checkpoint_final.pth").unlink(),
        "b/fold_3: holds 0 of checkpoint_final.pth and weights.safetensors",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "message"), REFUSED.values(), ids=REFUSED)
def test_trainings_that_differ_are_refused(
    spoil: Callable[[Path], object], message: str, trainings: tuple[Path, Path], tmp_path: Path
) -> None:
    spoil(trainings[1])
    with pytest.raises(ModelError) as error:
        assemble(trainings, tmp_path / "out")
    assert message in str(error.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_the_same_training_twice_is_refused(trainings: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="a model folder is given twice"):
        assemble([trainings[0], trainings[0] / ".." / "a"], tmp_path / "out")


def test_nothing_is_left_where_it_fails(trainings: tuple[Path, Path], tmp_path: Path) -> None:
    name = "encoder.stages.0.blocks.0.conv1.conv.weight"
    path = trainings[1] / "fold_3" / "checkpoint_final.pth"
    edit_checkpoint(path, lambda checkpoint: checkpoint["network_weights"][name].view(-1)[0].fill_(1e6))
    with pytest.raises(ModelError, match=rf"{path}: {name} is not finite, or not when stored as torch\.float16"):
        assemble(trainings, tmp_path / "out", torch.float16)
    flip_bit(path)
    with pytest.raises(ModelError, match=f"{path}: is"):
        assemble(trainings, tmp_path / "out", torch.bfloat16)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    with pytest.raises(ModelError, match="already exists"):
        assemble(trainings[:1], trainings[1])
    assert (trainings[1] / "plans.json").is_file()


def test_the_command_prints_what_it_made(
    trainings: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    code, printed, _ = run_command(capsys, "assemble", *trainings, out, "--pack", "--dtype", "bfloat16")
    assert code == 0
    assert f"model        {out}\n" in printed
    assert "folds        0, 1, 2, 3\n" in printed
    assert "weights.safetensors (bfloat16, float32)" in printed
    code, printed, errors = run_command(capsys, "assemble", *trainings, out)
    assert (code, printed) == (2, "")
    assert errors.endswith(f"error: {out}: already exists, expected a new folder\n")
