"""Preprocessing of a dataset by nnU-Net: fingerprint, plans, and cases on the network's grid."""

import logging
import shutil
from pathlib import Path

from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprint_dataset, preprocess_dataset
from nnunetv2.experiment_planning.plans_for_pretraining.move_plans_between_datasets import move_plans_between_datasets

from lesionclick.case.dataset import case_names
from lesionclick.errors import CaseError
from lesionclick.files import read_json
from lesionclick.model.files import DATASET_FILE
from lesionclick_training.data.splits import FOLDS, SPLITS_FILE, complete_splits, count_patients
from lesionclick_training.nnunet.network_sizes import CONFIGURATION, PLANS, NetworkSize, PETNormalization
from lesionclick_training.nnunet.plans import write_plans
from lesionclick_training.nnunet.unknown_labels import warn_of_unknown
from lesionclick_training.nnunet.workspace import Workspace

logger = logging.getLogger("lesionclick")


def preprocess(
    workspace: Workspace,
    dataset: int,
    size: NetworkSize,
    *,
    plans_of: int | None = None,
    pet_normalization: PETNormalization = PETNormalization.published,
    processes: int = 2,
) -> Path:
    """Preprocesses a raw dataset for networks of a size.

    A dataset without splits_final.json gets one, see `splits.make_splits`: nnU-Net would split by case and could have
    a patient on both sides. Where there are fewer patients than folds it gets none, and networks can be trained on all
    of its cases alone.

    Args:
        workspace: holds the raw dataset, and takes the preprocessed one.
        dataset: its number.
        size: of the networks.
        plans_of: number of a preprocessed dataset whose plans are taken, so that networks of both make one ensemble;
            None to make plans of this dataset's own fingerprint.
        pet_normalization: numbers that the PET is normalized by; with `plans_of` those are that dataset's.
        processes: cases at a time.

    Returns:
        The plans.

    Raises:
        CaseError: the dataset is missing, its splits are broken or none of its cases has a lesion; or the other dataset
            has no such plans, or a normalization is asked for besides.
    """
    raw = workspace.find_raw(dataset)
    patients = count_patients(case_names(raw))
    if (raw / SPLITS_FILE).exists() or patients >= FOLDS:
        complete_splits(raw)
    else:
        logger.info(
            "%s: has %d patients, too few for the splits of %d folds; networks can be trained on all cases (fold all)",
            raw,
            patients,
            FOLDS,
        )
    if plans_of is not None:
        plans = workspace.find_plans(plans_of, size)
        if pet_normalization != PETNormalization.published:
            raise CaseError(f"{plans}: says how the PET is normalized, expected no {pet_normalization} besides")
    with workspace.exported():
        extract_fingerprint_dataset(dataset, num_processes=processes)
        preprocessed = workspace.find_preprocessed(dataset)
        shutil.copyfile(raw / DATASET_FILE, preprocessed / DATASET_FILE)
        _copy_splits(raw / SPLITS_FILE, preprocessed / SPLITS_FILE)
        if plans_of is None:
            write_plans(preprocessed, PLANS[size], pet_normalization)
        else:
            move_plans_between_datasets(plans_of, dataset, PLANS[size].plans_name)
        plans = workspace.find_plans(dataset, size)
        preprocess_dataset(dataset, plans.stem, [CONFIGURATION], [processes])
    warn_of_unknown(preprocessed / f"{plans.stem}_{CONFIGURATION}", processes)
    return plans


def _copy_splits(source: Path, target: Path) -> None:
    """Makes the splits of a preprocessed dataset those of the raw one; none where that has none."""
    if not source.exists():
        target.unlink(missing_ok=True)
        return
    if target.exists() and read_json(target, CaseError) != read_json(source, CaseError):
        logger.warning(
            "%s: held other splits than %s and gets those; networks trained before were trained on other cases",
            target,
            source,
        )
    shutil.copyfile(source, target)
