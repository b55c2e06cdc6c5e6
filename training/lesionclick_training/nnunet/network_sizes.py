"""Sizes of networks and normalizations of the PET: what plans say beyond the dataset's own fingerprint.

No torch, no nnU-Net, so that a command's help can name them.
"""

from dataclasses import dataclass
from enum import StrEnum

CONFIGURATION = "3d_fullres"
"""The configuration of nnU-Net's that every plan of ours describes."""


class NetworkSize(StrEnum):
    """Sizes of networks by name."""

    small = "small"
    fine = "fine"
    published = "published"


class PETNormalization(StrEnum):
    """Numbers that nnU-Net's CTNormalization goes by in the PET.

    published: those of the dataset's lesions (arXiv 2508.21680).
    low_uptake: fixed ones, the same for every dataset, which keep contrast where uptake is low.
    """

    published = "published"
    low_uptake = "low-uptake"


LOW_UPTAKE = {"mean": 4.0, "std": 4.0, "percentile_00_5": 0.0, "percentile_99_5": 30.0}
"""SUV of `PETNormalization.low_uptake`: an SUV of 0 becomes -1, of 4 becomes 0, of 8 becomes 1, all from 30 on 6.5.

The lesions' own numbers are often a mean of 7 and a standard deviation of 8 with a fifth percent at SUV 1 to 2, below
which all is alike.
"""


@dataclass(frozen=True)
class NetworkPlan:
    """Size of a residual U-Net and of what it sees.

    Attributes:
        plans_name: name of the plans file, nnU-Net's option -p.
        spacing: of the network's grid in mm, z, y, x.
        patch: voxels, z, y, x; multiples of 2 to the number of stages less one.
        features: channels of each stage, finest first; three stages or more, since nnU-Net's deep supervision gives the
            coarsest output no weight.
        blocks: residual blocks of each stage.
        batch_size: samples a training step.
    """

    plans_name: str
    spacing: tuple[float, float, float]
    patch: tuple[int, int, int]
    features: tuple[int, ...]
    blocks: tuple[int, ...]
    batch_size: int = 2


PLANS = {
    NetworkSize.small: NetworkPlan(
        plans_name="LesionClickSmallPlans",
        spacing=(5.0, 5.0, 5.0),
        patch=(48, 48, 48),
        features=(16, 32, 64, 128),
        blocks=(1, 1, 2, 1),
    ),
    # as small, on a grid that a lesion of 1 ml has 16 voxels in rather than 8
    NetworkSize.fine: NetworkPlan(
        plans_name="LesionClickFinePlans",
        spacing=(4.0, 4.0, 4.0),
        patch=(48, 48, 48),
        features=(16, 32, 64, 128),
        blocks=(1, 1, 2, 1),
    ),
    # arXiv 2508.21680 and the published plans
    NetworkSize.published: NetworkPlan(
        plans_name="LesionClickPublishedPlans",
        spacing=(3.0, 2.0364201, 2.0364201),
        patch=(192, 192, 192),
        features=(32, 64, 128, 256, 320, 320),
        blocks=(1, 3, 4, 6, 6, 6),
    ),
}
