from pathlib import Path

import pytest

from lesionclick.errors import CaseError
from lesionclick_training.study.larger_dataset import require_larger

SMALLER = [{"train": ["fdg_a_1", "b"], "val": ["fdg_c_1"]}, {"train": ["fdg_c_1"], "val": ["fdg_a_1", "b"]}]


def test_more_cases_on_the_training_side_make_a_larger_dataset() -> None:
    larger = [{"train": [*fold["train"], "fdg_d_1", "e"], "val": fold["val"]} for fold in SMALLER]
    require_larger(SMALLER, larger, (0, 1), Path("small"), Path("large"))
    require_larger(SMALLER, SMALLER, (0, 1), Path("small"), Path("large"))


@pytest.mark.parametrize(
    ("train", "fold", "sentence"),
    [
        (["fdg_a_1", "b", "fdg_c_1"], 0, r"large/splits_final\.json: fold 0 trains on the case fdg_c_1, which small/"),
        (["fdg_a_1"], 0, r"large/splits_final\.json: fold 0 does not train on b of small/"),
        (["fdg_a_1", "b", "fdg_c_2"], 0, "fold 0 trains on fdg_c_2, of the patient of fdg_c_1, which"),
        (["fdg_a_1", "b"], 1, r"large/splits_final\.json: has no fold 1, it has 1"),
        (["fdg_a_1", "b"], 2, r"small/splits_final\.json: has no fold 2, it has 2"),
    ],
)
def test_a_dataset_that_trains_on_what_is_validated_is_refused(train: list[str], fold: int, sentence: str) -> None:
    larger = [{"train": train, "val": ["other"]}]
    with pytest.raises(CaseError, match=sentence):
        require_larger(SMALLER, larger, (fold,), Path("small"), Path("large"))


def test_folds_that_are_not_used_are_not_looked_at() -> None:
    larger = [{"train": ["fdg_a_1", "b", "more"], "val": ["fdg_c_1"]}, {"train": ["b"], "val": ["other"]}]
    require_larger(SMALLER, larger, (0,), Path("small"), Path("large"))
