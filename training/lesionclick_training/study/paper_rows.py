"""Rows of the paper's table (arXiv 2508.21680), with its figures."""

from dataclasses import dataclass

from lesionclick_training.nnunet.variants import Variant

Figures = tuple[float | None, float]
"""Area under the curve over 0, 3, 7 and 10 clicks, None for a model without clicks; and the value at the last step."""


@dataclass(frozen=True)
class PaperRow:
    """A row of the table.

    Attributes:
        name: as the paper names it.
        variant: of the trainer.
        more_data: whether it is trained on the dataset with more cases.
        paper: the paper's figures for Dice, FPvol and FNvol: area under the curve (None for the model without clicks)
            and value at the last step, Dice in percent there, volumes in ml.
    """

    name: str
    variant: Variant
    more_data: bool
    paper: tuple[Figures, ...]

    @property
    def takes_clicks(self) -> bool:
        """Whether the networks see clicks."""
        return self.variant != Variant.NoClicks


PAPER_ROWS = (
    PaperRow("autoPET III model (no clicks)", Variant.NoClicks, False, ((None, 68.33), (None, 8.93), (None, 10.15))),
    PaperRow("Gaussian sigma 3", Variant.Gaussian3, False, ((2.06, 68.70), (26.74, 8.92), (18.31, 6.14))),
    PaperRow("Gaussian sigma 2", Variant.Gaussian2, False, ((2.10, 70.78), (26.31, 8.76), (18.60, 6.15))),
    PaperRow("Gaussian sigma 1", Variant.Gaussian1, False, ((2.12, 71.89), (26.34, 8.75), (17.83, 5.68))),
    PaperRow("Gaussian sigma 0.75", Variant.Gaussian0p75, False, ((2.14, 72.37), (26.45, 8.78), (17.70, 5.56))),
    PaperRow("Gaussian sigma 0.5", Variant.Gaussian0p5, False, ((2.15, 72.94), (25.73, 8.55), (16.86, 5.23))),
    PaperRow("Gaussian sigma 0.25", Variant.Gaussian0p25, False, ((2.18, 74.53), (25.33, 8.39), (15.98, 4.60))),
    PaperRow("Gaussian sigma 0.1", Variant.Gaussian0p1, False, ((2.18, 74.59), (26.05, 8.64), (16.11, 4.75))),
    PaperRow("EDT 4", Variant.EDT4, False, ((2.21, 75.75), (26.48, 8.73), (13.67, 3.66))),
    PaperRow("EDT 2", Variant.EDT2, False, ((2.22, 76.09), (26.31, 8.62), (14.46, 3.86))),
    PaperRow("EDT 3", Variant.EDT3, False, ((2.21, 75.89), (26.85, 8.81), (15.01, 4.06))),
    PaperRow("EDT 2, custom points", Variant.EDT2_Custom, False, ((2.21, 76.19), (24.53, 8.05), (15.11, 4.19))),
    PaperRow("EDT 2, more data", Variant.EDT2, True, ((2.21, 76.00), (24.85, 8.19), (15.45, 4.15))),
    PaperRow(
        "EDT 2, more data, custom points", Variant.EDT2_Custom, True, ((2.22, 76.35), (26.03, 8.50), (14.17, 3.76))
    ),
)
