"""Workspace: nnU-Net's folders under one root, and what lies where in them."""

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from lesionclick.errors import CaseError
from lesionclick_training import trainers
from lesionclick_training.nnunet.environment import environment_of
from lesionclick_training.nnunet.network_sizes import CONFIGURATION, PLANS, NetworkSize
from lesionclick_training.nnunet.variants import Variant


@dataclass(frozen=True)
class Workspace:
    """The folders that nnU-Net reads and writes.

    Attributes:
        root: holds the folders `raw` and `preprocessed`, and that of results.
        results_name: name of the folder of results.
    """

    root: Path
    results_name: str = "results"

    @property
    def raw(self) -> Path:
        """Datasets as converters write them."""
        return self.root / "raw"

    @property
    def preprocessed(self) -> Path:
        """Datasets on the networks' grids, with their plans."""
        return self.root / "preprocessed"

    @property
    def results(self) -> Path:
        """Trained networks."""
        return self.root / self.results_name

    def find_raw(self, number: int) -> Path:
        """The raw folder of a dataset; CaseError unless there is exactly one of that number."""
        return _find_dataset(self.raw, number)

    def find_preprocessed(self, number: int) -> Path:
        """The folder of a preprocessed dataset; CaseError unless there is exactly one of that number."""
        return _find_dataset(self.preprocessed, number)

    def find_plans(self, number: int, size: NetworkSize) -> Path:
        """The plans of a preprocessed dataset for networks of a size.

        Raises:
            CaseError: there is no such dataset, or it is not preprocessed for that size.
        """
        path = self.find_preprocessed(number) / f"{PLANS[size].plans_name}.json"
        if not path.is_file():
            raise CaseError(f"{path}: is missing, expected what `lesionclick-train preprocess --plan {size}` writes")
        return path

    def model_folder(self, variant: Variant, plans: Path) -> Path:
        """The folder that nnU-Net writes the results of a training to: a model folder, with a folder a fold."""
        return self.results / plans.parent.name / f"{variant.trainer_name}__{plans.stem}__{CONFIGURATION}"

    def exported(self) -> AbstractContextManager[None]:
        """Tells nnU-Net of the folders, and of the trainers, for as long as a block runs.

        nnU-Net looks its environment up whenever it needs a path, and so do the processes that it starts.
        """
        return environment_of(
            {
                "nnUNet_raw": str(self.raw.resolve()),
                "nnUNet_preprocessed": str(self.preprocessed.resolve()),
                "nnUNet_results": str(self.results.resolve()),
                "nnUNet_extTrainer": os.pathsep.join(trainers.__path__),
            }
        )


def _find_dataset(folder: Path, number: int) -> Path:
    pattern = f"Dataset{number:03d}_*"
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise CaseError(f"{folder}: holds {len(found)} folders {pattern}, expected one")
    return found[0]
