"""Training cases: what a job is trained on by its dataset's splits, and a record of it beside the checkpoint.

<model>/fold_<n>/training_cases.json     {"dataset": "Dataset221_AutoPET", "fold": "0", "training_cases": [...]}

The record is of the network's own training and, where that started from a checkpoint with such a record beside it, of
that one's, and of those of its teacher, so that a validation can tell which cases are new to a network.
"""

import logging
from collections.abc import Iterable
from pathlib import Path

from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from lesionclick.case.dataset import case_names
from lesionclick.errors import CaseError, ModelError
from lesionclick.files import read_json_object, write_json
from lesionclick.model.files import fold_folder, fold_name
from lesionclick_training.data.splits import SPLITS_FILE, Splits, read_splits, require_same_splits
from lesionclick_training.nnunet.job import TrainingJob
from lesionclick_training.nnunet.network_sizes import CONFIGURATION, NetworkSize
from lesionclick_training.nnunet.workspace import Workspace

logger = logging.getLogger("lesionclick")

TRAINING_CASES_FILE = "training_cases.json"

AGAIN = "expected what `lesionclick-train preprocess` makes of the raw dataset, run it again"


def read_current_splits(workspace: Workspace, dataset: int, size: NetworkSize) -> Splits:
    """The splits that networks of a preprocessed dataset are trained with.

    Raises:
        CaseError: the dataset is not preprocessed for the size or has no splits, these are other than those of the raw
            dataset, or one of their cases is not preprocessed.
    """
    preprocessed = workspace.find_preprocessed(dataset)
    raw = workspace.raw / preprocessed.name
    there = _preprocessed_cases(workspace, dataset, size)
    path = preprocessed / SPLITS_FILE
    if raw.is_dir():  # it may lie elsewhere: a training does not read it
        require_same_splits(raw / SPLITS_FILE, path)
    splits = read_splits(path, case_names(raw) if raw.is_dir() else there)
    _require_preprocessed((name for fold in splits for side in fold.values() for name in side), there, path)
    return splits


def find_training_cases(workspace: Workspace, job: TrainingJob) -> list[str]:
    """Names of the cases that a job is trained on, sorted: one side of its fold, or all.

    Raises:
        CaseError: see `read_current_splits`; or the splits have no such fold, for which nnU-Net would make up one; or a
            case of the raw dataset is not preprocessed, where the fold is "all".
    """
    if job.fold != "all":
        splits = read_current_splits(workspace, job.dataset, job.size)
        if int(job.fold) >= len(splits):
            path = workspace.find_preprocessed(job.dataset) / SPLITS_FILE
            raise CaseError(f"{path}: has no fold {job.fold}, it has {len(splits)}")
        return sorted(splits[int(job.fold)]["train"])
    raw = workspace.raw / workspace.find_preprocessed(job.dataset).name
    there = _preprocessed_cases(workspace, job.dataset, job.size)
    _require_preprocessed(case_names(raw), there, raw)
    return there


def record_training_cases(
    workspace: Workspace, job: TrainingJob, *, resume: bool = False, teacher: Path | None = None
) -> None:
    """Writes beside a job's checkpoints, present or to come, what it is trained on.

    Args:
        workspace: holds the preprocessed dataset, and takes the results.
        job: what is trained.
        resume: whether the training goes on from the fold's own checkpoint, and with it the record.
        teacher: the model folder that teaches the network, whose training cases it learns of too.

    Raises:
        CaseError: see `find_training_cases`; or the file cannot be written.
    """
    model = workspace.model_folder(job.variant, workspace.find_plans(job.dataset, job.size))
    folder = model / fold_folder(job.fold)
    cases = set(find_training_cases(workspace, job))
    if resume:
        cases |= read_training_cases(folder) or set()
    elif job.pretrained is not None:
        cases |= read_training_cases(job.pretrained.parent) or set()
    if teacher is not None:
        cases |= _cases_of_teacher(teacher)
    content = {
        "dataset": workspace.find_preprocessed(job.dataset).name,
        "fold": job.fold,
        "training_cases": sorted(cases),
    }
    write_json(content, folder / TRAINING_CASES_FILE)


def read_training_cases(folder: Path) -> set[str] | None:
    """Names of the cases that the network in a folder was trained on, as far as it is recorded; None without a record.

    Args:
        folder: fold_<n> of a model folder, or another that a checkpoint lies in.

    Raises:
        ModelError: the file is damaged.
    """
    path = folder / TRAINING_CASES_FILE
    if not path.exists():
        return None
    cases = read_json_object(path, ModelError).get("training_cases")
    if not isinstance(cases, list) or not all(isinstance(case, str) for case in cases):
        raise ModelError(f"{path}: expected a list of case names under 'training_cases'")
    return set(cases)


def _cases_of_teacher(teacher: Path) -> set[str]:
    """Names of the cases that the networks of a model folder were trained on, as far as it is recorded."""
    records = [read_training_cases(folder) for folder in sorted(teacher.iterdir()) if fold_name(folder.name)]
    if None in records:
        logger.warning(
            "%s: %d of its %d networks have no %s: the cases that the network to train learns of through them are"
            " not recorded",
            teacher,
            records.count(None),
            len(records),
            TRAINING_CASES_FILE,
        )
    return set[str]().union(*(record or () for record in records))


def _preprocessed_cases(workspace: Workspace, dataset: int, size: NetworkSize) -> list[str]:
    """Names of the cases that are preprocessed for networks of a size, sorted."""
    plans = workspace.find_plans(dataset, size)
    configuration = PlansManager(str(plans)).get_configuration(CONFIGURATION)
    return sorted(path.stem for path in (plans.parent / configuration.data_identifier).glob("*.pkl"))


def _require_preprocessed(names: Iterable[str], there: list[str], source: Path) -> None:
    for missing in sorted(set(names) - set(there)):
        raise CaseError(f"{source}: has a case {missing} that is not preprocessed, {AGAIN}")
