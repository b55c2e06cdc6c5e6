"""Splits of a dataset's cases for cross-validation: read, written, and made so that no patient is on both sides."""

import logging
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lesionclick.case.dataset import case_names, tracer_of
from lesionclick.errors import CaseError
from lesionclick.files import read_json, write_json

logger = logging.getLogger("lesionclick")

SPLITS_FILE = "splits_final.json"

FOLDS = 5

SEED = 12345  # nnU-Net's own for splits

Splits = list[dict[str, list[str]]]

NAMES_WITH_PATIENTS = ("fdg", "psma", "deep-psma")
"""First parts of case names whose second part is the patient and whose third is the study."""


def read_splits(path: Path, names: Sequence[str]) -> Splits:
    """Reads splits_final.json.

    Args:
        path: the file.
        names: of the cases that are there.

    Returns:
        One {"train": [...], "val": [...]} a fold.

    Raises:
        CaseError: the file is not such a list, names a case that is not there, or has a case on both sides of a fold.
    """
    splits = read_json(path, CaseError)
    if not isinstance(splits, list) or not splits:
        raise CaseError(f"{path}: expected a list of folds")
    known = set(names)
    checked: Splits = []
    for index, fold in enumerate(splits):
        where = f"{path}: fold {index}"
        if not isinstance(fold, dict):
            raise CaseError(f"{where} is not an object with the lists 'train' and 'val'")
        sides: dict[str, list[str]] = {}
        for side in ("train", "val"):
            cases = fold.get(side)
            if not isinstance(cases, list) or not cases or not all(isinstance(case, str) for case in cases):
                raise CaseError(f"{where} has no list of case names under '{side}'")
            sides[side] = cases
            for unknown in sorted(set(cases) - known):
                raise CaseError(f"{where} names the case {unknown} under '{side}', which is not there")
        for case in sorted(set(sides["train"]) & set(sides["val"])):
            raise CaseError(f"{where} has the case {case} in both 'train' and 'val'")
        checked.append(sides)
    return checked


def write_splits(folder: Path, splits: Sequence[Mapping[str, Sequence[str]]]) -> None:
    """Writes splits_final.json: one {"train": [...], "val": [...]} of case names a fold.

    Raises:
        CaseError: the file cannot be written.
    """
    listed = [{"train": list(fold["train"]), "val": list(fold["val"])} for fold in splits]
    write_json(listed, folder / SPLITS_FILE)


def patient_of(name: str) -> str:
    """The patient of a case: what the names of all studies of one patient have in common.

    autoPET's names are fdg_<patient>_<study> and psma_<patient>_<study>, where the study is a date and may go on with
    blanks and more; DEEP-PSMA's are deep-psma_<patient>_<tracer>. A case with a name of another kind is taken for the
    only one of its patient.

    >>> patient_of("psma_95b833d65be26d7c_2018-04-23")
    'psma_95b833d65be26d7c'
    """
    parts = name.split("_", 2)
    return "_".join(parts[:2]) if len(parts) == 3 and parts[0] in NAMES_WITH_PATIENTS else name


def count_patients(names: Iterable[str]) -> int:
    """How many patients the named cases are of, see `patient_of`."""
    return len({patient_of(name) for name in names})


def make_splits(names: Sequence[str], folds: int = FOLDS, seed: int = SEED) -> Splits:
    """Splits cases for cross-validation, all studies of a patient on the same side of every fold.

    Patients are shuffled; then each, those with most studies first, goes to the fold that has the fewest cases of their
    tracer so far, and of these to the one with the fewest cases in all. So every fold has about as many cases of each
    tracer, and none is without a case, which scikit-learn's splitters of groups do not promise.

    Args:
        names: of the cases, in any order; the splits depend on what they are, not on their order.
        folds: how many, at least 2.
        seed: of the shuffling.

    Returns:
        One {"train": [...], "val": [...]} a fold, names sorted; each case is on the side "val" of one fold.

    Raises:
        CaseError: there are fewer patients than folds.
    """
    studies = defaultdict(list)
    for name in sorted(names):
        studies[patient_of(name)].append(name)
    if len(studies) < folds:
        raise CaseError(
            f"{len(names)} cases of {len(studies)} patients cannot be split into {folds} folds, expected a patient for "
            "each"
        )
    patients = list(studies)
    random.Random(seed).shuffle(patients)
    sides: list[list[str]] = [[] for _ in range(folds)]
    counts: list[dict[str, int]] = [defaultdict(int) for _ in range(folds)]
    for patient in sorted(patients, key=lambda one: -len(studies[one])):
        tracer = tracer_of(patient)
        fold = min(range(folds), key=lambda index: (counts[index][tracer], len(sides[index])))
        counts[fold][tracer] += len(studies[patient])
        sides[fold] += studies[patient]
    return [{"train": sorted(set(names) - set(side)), "val": sorted(side)} for side in sides]


def add_training_cases(splits: Splits, names: Sequence[str]) -> Splits:
    """The splits with further cases on the training side of every fold: what folds are validated on stays."""
    return [{"train": [*fold["train"], *names], "val": fold["val"]} for fold in splits]


def split_new_cases(names: Sequence[str], there: Sequence[str], folds: int) -> Splits:
    """Splits new cases for cross-validation; cases that were there are on the training side of every fold.

    Args:
        names: of the new cases, see `make_splits`.
        there: names of those that were there.
        folds: how many.

    Raises:
        CaseError: there are fewer patients among the new cases than folds, or one of a case that was there.
    """
    known = {patient_of(name): name for name in there}
    for name in names:
        if patient_of(name) in known:
            raise CaseError(
                f"the new case {name} is of the patient of {known[patient_of(name)]}, which every fold is trained on, "
                "expected other patients to validate on"
            )
    return add_training_cases(make_splits(names, folds), there)


def require_same_splits(raw: Path, preprocessed: Path) -> None:
    """Compares the splits of a raw dataset with those that its networks are trained with.

    Args:
        raw: splits_final.json of the raw dataset.
        preprocessed: that of the preprocessed one, which `lesionclick-train preprocess` copies from there.

    Raises:
        CaseError: one of the files is missing or damaged, or they differ.
    """
    for path in (raw, preprocessed):
        if not path.exists():
            raise CaseError(
                f"{path}: the file is missing, expected what `lesionclick-train preprocess` writes where cases are of "
                f"{FOLDS} patients or more; a training on all cases (fold all) needs none"
            )
    if read_json(raw, CaseError) != read_json(preprocessed, CaseError):
        raise CaseError(
            f"{preprocessed}: holds other splits than {raw}, expected the same: run `lesionclick-train preprocess`"
        )


def complete_splits(dataset: Path) -> Splits:
    """The splits of a raw dataset, which are made, written and logged where it has none.

    Raises:
        CaseError: the file is broken or cannot be written, or there are too few patients to make one.
    """
    path, names = dataset / SPLITS_FILE, case_names(dataset)
    if path.exists():
        return read_splits(path, names)
    try:
        splits = make_splits(names)
    except CaseError as error:
        raise CaseError(f"{dataset}: has no {SPLITS_FILE}, and its {error}") from error
    write_splits(dataset, splits)
    logger.info(
        "%s: written, %d cases of %d patients in %d folds", path, len(names), count_patients(names), len(splits)
    )
    return splits
