"""Statistics: means over cases with bootstrap intervals."""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

RESAMPLES = 5000

SEED = 42


@dataclass(frozen=True)
class Estimate:
    """A value of many cases, summarized; NaN where there are too few of them.

    Attributes:
        cases: for how many the value is defined.
        mean: over these.
        median: over these.
        low: lower end of the mean's 95 % interval (percentile bootstrap over cases); defined from 2 cases on.
        high: upper end.
    """

    cases: int
    mean: float
    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: np.ndarray) -> "Estimate":
        """Summarizes values, one for each case; NaN is left out."""
        from scipy.stats import bootstrap  # slow to import and only needed here

        defined = values[~np.isnan(values)]
        if not defined.size:
            return cls(0, math.nan, math.nan, math.nan, math.nan)
        low = high = math.nan
        if defined.size > 1:
            found = bootstrap((defined,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=SEED)
            low, high = map(float, found.confidence_interval)
        return cls(int(defined.size), float(defined.mean()), float(np.median(defined)), low, high)

    def to_json(self) -> dict[str, float | None]:
        """The numbers, to 6 digits behind the point, None for NaN."""
        numbers = dataclasses.asdict(self)
        return {name: None if math.isnan(number) else round(number, 6) for name, number in numbers.items()}

    def cell(self, score: str, sign: str = "") -> str:
        """Mean and interval of a score as tables show them; `sign` "+" shows that of positive numbers too."""
        if not self.cases:
            return "-"
        form = f"{sign}{number_format(score)}"
        interval = "" if math.isnan(self.low) else f" [{self.low:{form}}, {self.high:{form}}]"
        return f"{self.mean:{form}}{interval}"


def number_format(score: str) -> str:
    """How tables show the numbers of a score: a format specification."""
    return ".2f" if score.endswith("_ml") else ".3f"
