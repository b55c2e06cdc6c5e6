"""Study of ideas: a base, each idea alone and chosen ones together, trained and validated with one budget."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lesionclick.errors import CaseError, LesionClickError
from lesionclick.evaluation.table import Table
from lesionclick.files import read_json_object
from lesionclick.inference.settings import PostProcessing
from lesionclick_training.data.splits import SPLITS_FILE
from lesionclick_training.nnunet.network_sizes import LOW_UPTAKE
from lesionclick_training.nnunet.plans import PET_CHANNEL
from lesionclick_training.nnunet.training_cases import read_current_splits
from lesionclick_training.study.ideas import (
    AND,
    BASE,
    BASE_VARIANT,
    IDEA_NAMES,
    NEED_OTHER_DATA,
    find_ideas,
    row_name,
)
from lesionclick_training.study.row_study import FOLD_CASES, HELD_OUT_CASES, Row, RowStudy

Found = dict[str, dict[str, list[Table]]]
"""Validations by the kind of cases in words and the row's name, one a seed and fold."""

KINDS = {FOLD_CASES: "Cases of the folds", HELD_OUT_CASES: "Held-out cases"}


def run_ideas(
    study: RowStudy, names: Sequence[str] = (), together: Sequence[str] = (), low_uptake: int | None = None
) -> Found:
    """Trains and validates rows of the table of ideas.

    Args:
        study: what all rows have in common.
        names: the rows to train now; without any the base and each idea alone, as far as its data are at hand.
        together: ideas to try together, in one more row; none for no such row.
        low_uptake: number of a dataset with the same cases and folds, whose PET is normalized to keep contrast at low
            uptake.

    Returns:
        Every row that has some validation, rows of earlier runs included.

    Raises:
        LesionClickError: there is no such idea, or ideas contradict each other, or `low_uptake` is missing.
        CaseError, ModelError: see `RowStudy.run`; or the dataset `low_uptake` is another than it should be.
    """
    chosen = list(names) or [BASE, *(name for name in IDEA_NAMES if name not in NEED_OTHER_DATA)]
    if not names and low_uptake is not None:
        chosen.append("low-uptake")
    if together:
        chosen.append(row_name(find_ideas(AND.join(together))))
    rows = [make_row(name, study, low_uptake) for name in dict.fromkeys(chosen)]
    if low_uptake is not None:
        _require_low_uptake(study, low_uptake)
    study.run(rows)
    combined = sorted(path.name for path in study.workspace.results.glob(f"*{AND}*"))
    return {
        f"{KINDS[cases]}: {dataset.folder.name}": study.read([BASE, *IDEA_NAMES, *combined], cases)
        for cases, dataset in study.cases.items()
    }


def make_row(name: str, study: RowStudy, low_uptake: int | None = None) -> Row:
    """The row of a name: that of the base, of an idea, or of several with a plus between them.

    Raises:
        LesionClickError: see `find_ideas`; or the row takes the dataset `low_uptake`, and that is None.
    """
    ideas = find_ideas(name)
    dataset = study.dataset
    if any(idea.low_uptake for idea in ideas):
        if low_uptake is None:
            raise LesionClickError(f"the row {name} needs a dataset of its own, expected its number (--low-uptake)")
        dataset = low_uptake
    row = Row(
        name=row_name(ideas),
        networks=row_name([idea for idea in ideas if idea.is_trained]),
        dataset=dataset,
        variant=BASE_VARIANT,
        size=study.size,
        training=study.training,
        inference=study.inference,
    )
    post_processing: dict[str, Any] = {}
    for idea in ideas:
        row = dataclasses.replace(row, **idea.network, training=dataclasses.replace(row.training, **idea.training))
        post_processing |= idea.post_processing
    if not post_processing:
        return row
    inference = dataclasses.replace(study.inference, post_processing=PostProcessing(**post_processing))
    return dataclasses.replace(row, inference=inference)


def _require_low_uptake(study: RowStudy, dataset: int) -> None:
    """Raises CaseError unless a dataset has the folds of the study's and is normalized for low uptake."""
    plans = study.workspace.find_plans(dataset, study.size)
    pet = read_json_object(plans, CaseError)["foreground_intensity_properties_per_channel"][PET_CHANNEL]
    if any(pet[name] != value for name, value in LOW_UPTAKE.items()):
        raise CaseError(f"{plans}: normalizes the PET otherwise, expected `preprocess --pet-normalization low-uptake`")
    own, other = (read_current_splits(study.workspace, number, study.size) for number in (study.dataset, dataset))
    if _sides(own) != _sides(other):
        folders: list[Path] = [study.workspace.find_preprocessed(number) for number in (dataset, study.dataset)]
        raise CaseError(f"{folders[0] / SPLITS_FILE}: expected the folds of {folders[1] / SPLITS_FILE}")


def _sides(splits: Sequence[dict[str, list[str]]]) -> list[dict[str, set[str]]]:
    return [{side: set(names) for side, names in fold.items()} for fold in splits]
