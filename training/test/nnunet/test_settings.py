import dataclasses
import os
from pathlib import Path

import pytest

from lesionclick.errors import LesionClickError
from lesionclick_training.augmentation.choices import Augmentation, ClickCounts
from lesionclick_training.nnunet.settings import Optimizer, TrainingSettings

OTHERS = TrainingSettings(
    epochs=3,
    iterations=4,
    val_iterations=5,
    initial_lr=1e-30,
    optimizer=Optimizer.AdamW,
    oversample_foreground=1.0,
    organ_weight=0.1,
    lesion_heads=Path("heads.pth"),
    seed=0,
    click_offset=0,
    click_counts=ClickCounts.uniform,
    click_dropout=0.2,
    augmentation=Augmentation.strong,
    balance_components=True,
    lesion_free_loss=2.0,
    corrective_clicks=0.5,
    repeat_cases="sts=4",
    contour_variation=0.3,
    scribbles=0.1,
    teacher=Path("ensemble"),
    teacher_weight=1.0,
)


def test_defaults_are_nnunets_and_the_papers() -> None:
    published = (1000, 250, 50, 1e-3, "SGD", 0.33, 1.0, None, None)
    ideas = (3, "published", 0.0, "published", False, 0.0, None, 0.0, 0.0, 0.0, 0.0, None, 0.5)  # none beyond the paper
    assert dataclasses.astuple(TrainingSettings.from_environment({})) == (*published, *ideas)


def test_settings_survive_the_environment() -> None:
    variables = OTHERS.to_environment()
    assert variables["LESIONCLICK_INITIAL_LR"] == "1e-30"
    assert len(variables) == len(dataclasses.fields(TrainingSettings))
    assert TrainingSettings.from_environment(variables) == OTHERS
    assert TrainingSettings.from_environment(TrainingSettings().to_environment()) == TrainingSettings()


def test_settings_are_in_the_environment_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LESIONCLICK_EPOCHS", "7")
    monkeypatch.setenv("LESIONCLICK_SEED", "8")
    before = dict(os.environ)
    with TrainingSettings(iterations=9).exported():
        assert TrainingSettings.from_environment() == TrainingSettings(iterations=9)
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LESIONCLICK_EPOCHS", "0"),
        ("LESIONCLICK_ITERATIONS", "many"),
        ("LESIONCLICK_VAL_ITERATIONS", "-1"),
        ("LESIONCLICK_INITIAL_LR", "nan"),
        ("LESIONCLICK_INITIAL_LR", "fast"),
        ("LESIONCLICK_OPTIMIZER", "Adam"),
        ("LESIONCLICK_OVERSAMPLE_FOREGROUND", "1.5"),
        ("LESIONCLICK_ORGAN_WEIGHT", "0"),
        ("LESIONCLICK_SEED", "1.5"),
        ("LESIONCLICK_CLICK_OFFSET", "-1"),
        ("LESIONCLICK_CLICK_COUNTS", "many"),
        ("LESIONCLICK_CLICK_DROPOUT", "1.1"),
        ("LESIONCLICK_AUGMENTATION", "weak"),
        ("LESIONCLICK_BALANCE_COMPONENTS", "maybe"),
        ("LESIONCLICK_REPEAT_CASES", "sts"),
        ("LESIONCLICK_LESION_FREE_LOSS", "inf"),
        ("LESIONCLICK_LESION_FREE_LOSS", "-1"),
        ("LESIONCLICK_CORRECTIVE_CLICKS", "often"),
        ("LESIONCLICK_SCRIBBLES", "nan"),
        ("LESIONCLICK_TEACHER_WEIGHT", "2"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(LesionClickError, match=f"{name} is '{value}', expected"):
        TrainingSettings.from_environment({name: value})


def test_settings_made_in_code_are_checked_too() -> None:
    with pytest.raises(LesionClickError, match="LESIONCLICK_EPOCHS is '0', expected a whole number of at least 1"):
        TrainingSettings(epochs=0)
