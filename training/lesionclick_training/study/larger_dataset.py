"""Larger dataset of a study: its folds hold the smaller one's and train on nothing that those are validated on."""

from collections.abc import Sequence
from pathlib import Path

from lesionclick.errors import CaseError
from lesionclick_training.data.splits import SPLITS_FILE, Splits, patient_of

EXPECTED = (
    "expected the smaller dataset's folds with more cases on the training side, as --extend of the converters makes"
)


def require_larger(
    smaller: Splits, larger: Splits, folds: Sequence[int], smaller_folder: Path, larger_folder: Path
) -> None:
    """Compares the splits of two datasets, of which the second is to be the first with more training cases.

    Cases are compared by name. Two studies of one patient on both sides are refused where the study for training is in
    the larger dataset alone.

    Args:
        smaller: splits of the dataset that networks are validated on.
        larger: splits of the dataset that some are trained on.
        folds: numbers of the folds that are used.
        smaller_folder: the first dataset's, for messages.
        larger_folder: the second one's.

    Raises:
        CaseError: a fold is missing; or the larger dataset trains on a case, or on a new study of a patient, that the
            smaller one's fold is validated on; or it lacks a training case of the smaller one.
    """
    larger_path, smaller_path = larger_folder / SPLITS_FILE, smaller_folder / SPLITS_FILE
    for fold in folds:
        for path, splits in ((smaller_path, smaller), (larger_path, larger)):
            if fold >= len(splits):
                raise CaseError(f"{path}: has no fold {fold}, it has {len(splits)}")
        validated, trained = smaller[fold]["val"], set(larger[fold]["train"])
        for case in validated:
            if case in trained:
                raise CaseError(
                    f"{larger_path}: fold {fold} trains on the case {case}, which {smaller_path} validates it on, "
                    f"{EXPECTED}"
                )
        for case in smaller[fold]["train"]:
            if case not in trained:
                raise CaseError(f"{larger_path}: fold {fold} does not train on {case} of {smaller_path}, {EXPECTED}")
        patients = {patient_of(case): case for case in validated}
        for case in sorted(trained - set(smaller[fold]["train"])):
            if patient_of(case) in patients:
                raise CaseError(
                    f"{larger_path}: fold {fold} trains on {case}, of the patient of {patients[patient_of(case)]}, "
                    f"which {smaller_path} validates it on, {EXPECTED}"
                )
