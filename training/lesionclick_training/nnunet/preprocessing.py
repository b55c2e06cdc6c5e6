"""Preprocessing of a dataset by nnU-Net: fingerprint, plans, and cases on the network's grid."""

import shutil
from pathlib import Path

from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprint_dataset, preprocess_dataset
from nnunetv2.experiment_planning.plans_for_pretraining.move_plans_between_datasets import move_plans_between_datasets

from lesionclick.model.files import DATASET_FILE
from lesionclick_training.data.splits import SPLITS_FILE
from lesionclick_training.nnunet.network_sizes import CONFIGURATION, PLANS, NetworkSize
from lesionclick_training.nnunet.plans import write_plans
from lesionclick_training.nnunet.workspace import Workspace


def preprocess(
    workspace: Workspace, dataset: int, size: NetworkSize, *, plans_of: int | None = None, processes: int = 2
) -> Path:
    """Preprocesses a raw dataset for networks of a size.

    Args:
        workspace: holds the raw dataset, and takes the preprocessed one.
        dataset: its number.
        size: of the networks.
        plans_of: number of a preprocessed dataset whose plans are taken, so that networks of both make one ensemble;
            None to make plans of this dataset's own fingerprint.
        processes: cases at a time.

    Returns:
        The plans.

    Raises:
        CaseError: the dataset is missing or none of its cases has a lesion, or the other dataset has no such plans.
    """
    raw = workspace.find_raw(dataset)
    if plans_of is not None:
        workspace.find_plans(plans_of, size)
    with workspace.exported():
        extract_fingerprint_dataset(dataset, num_processes=processes)
        preprocessed = workspace.find_preprocessed(dataset)
        for file in (DATASET_FILE, SPLITS_FILE):
            if (raw / file).exists():
                shutil.copyfile(raw / file, preprocessed / file)
        if plans_of is None:
            write_plans(preprocessed, PLANS[size])
        else:
            move_plans_between_datasets(plans_of, dataset, PLANS[size].plans_name)
        plans = workspace.find_plans(dataset, size)
        preprocess_dataset(dataset, plans.stem, [CONFIGURATION], [processes])
    return plans
