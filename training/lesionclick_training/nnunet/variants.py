"""Variants of the trainer by name, one for each way of drawing and showing clicks.

What each name means is in `trainers/variants.py`; this file loads neither torch nor nnU-Net, so that a command's help
can list the names.
"""

from enum import StrEnum

TRAINER_PREFIX = "LesionClickTrainer_"


class Variant(StrEnum):
    """The variants of the paper's table (arXiv 2508.21680), and Uptake12, an idea beyond it."""

    NoClicks = "NoClicks"
    Gaussian3 = "Gaussian3"
    Gaussian2 = "Gaussian2"
    Gaussian1 = "Gaussian1"
    Gaussian0p75 = "Gaussian0p75"
    Gaussian0p5 = "Gaussian0p5"
    Gaussian0p25 = "Gaussian0p25"
    Gaussian0p1 = "Gaussian0p1"
    EDT4 = "EDT4"
    EDT3 = "EDT3"
    EDT2 = "EDT2"
    EDT2_Custom = "EDT2_Custom"
    Uptake12 = "Uptake12"

    @property
    def trainer_name(self) -> str:
        """The name that nnU-Net finds the variant's trainer by."""
        return f"{TRAINER_PREFIX}{self}"
