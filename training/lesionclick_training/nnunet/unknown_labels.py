"""Unknown labels of a preprocessed dataset: in how many cases the losses leave something out."""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class

from lesionclick.log import Progress
from lesionclick_training.augmentation.unknown_outside import OUTSIDE
from lesionclick_training.data.nnunet_layout import UNKNOWN

logger = logging.getLogger("lesionclick")


@dataclass(frozen=True)
class UnknownLabels:
    """Numbers of cases.

    Attributes:
        cases: all.
        no_organs: of which no organ is known anywhere.
        some_organs: of which organs are unknown in part.
        some_lesions: of which it is unknown in part, or altogether, where lesions are.
    """

    cases: int
    no_organs: int
    some_organs: int
    some_lesions: int


def count_unknown(folder: Path, threads: int = 1) -> UnknownLabels:
    """Counts the cases whose labels are unknown in part.

    It looks at what is trained with, all of it, which takes a fraction of a second a case.

    Args:
        folder: nnU-Net's preprocessed cases, of one configuration.
        threads: cases at a time.
    """
    dataset = infer_dataset_class(str(folder))(str(folder))

    def look_at(name: str) -> tuple[bool, bool, bool]:
        _, segmentation, _, _ = dataset.load_case(name)
        lesion, organ = (segmentation[channel] for channel in range(2))
        unknown = organ == UNKNOWN
        no_organs = bool((unknown | (organ == OUTSIDE)).all()) and bool(unknown.any())
        return no_organs, bool(unknown.any()) and not no_organs, bool((lesion == UNKNOWN).any())

    names = dataset.identifiers
    counts = [0, 0, 0]
    with Progress("looking for unknown labels", len(names), "cases") as progress, ThreadPoolExecutor(threads) as pool:
        for found in pool.map(look_at, names):
            counts = [count + each for count, each in zip(counts, found, strict=True)]
            progress.update()
    return UnknownLabels(len(names), *counts)


def warn_of_unknown(folder: Path, threads: int = 1) -> None:
    """Logs a warning with the numbers of `count_unknown`, where there are such cases."""
    found = count_unknown(folder, threads)
    if found.no_organs or found.some_organs or found.some_lesions:
        logger.warning(
            "%s: of %d cases, %d have no organ label and %d have one that is unknown in part; in %d it is unknown in"
            " part where lesions are: the losses leave those voxels out",
            folder,
            found.cases,
            found.no_organs,
            found.some_organs,
            found.some_lesions,
        )
