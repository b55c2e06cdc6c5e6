"""Statistics: means over cases with bootstrap intervals."""

import dataclasses
import math
import warnings
from dataclasses import dataclass

import numpy as np

RESAMPLES = 5000

SEED = 42

INTERVAL = (2.5, 97.5)  # percentiles


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
        """Summarizes values, one for each case; NaN is left out.

        Args:
            values: of shape (cases,), or (cases, parts) for a value that is the mean of several: each part has its own
                mean and median over the cases that define it, and these are averaged.
        """
        from scipy.stats import bootstrap  # slow to import and only needed here

        parts = values[:, None] if values.ndim == 1 else values
        parts = parts[~np.isnan(parts).all(axis=1)]
        if not len(parts) or np.isnan(parts).all(axis=0).any():
            return cls(0, math.nan, math.nan, math.nan, math.nan)
        low = high = math.nan
        if len(parts) > 1:
            with warnings.catch_warnings():  # a resample may hold no case that defines some part
                warnings.simplefilter("ignore", RuntimeWarning)
                found = bootstrap(
                    tuple(parts.T), _mean, n_resamples=RESAMPLES, paired=True, method="percentile", rng=SEED
                )
            low, high = np.nanpercentile(found.bootstrap_distribution, INTERVAL).tolist()
        median = float(np.nanmedian(parts, axis=0).mean())
        return cls(len(parts), float(_mean(*parts.T)), median, low, high)

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


def _mean(*parts: np.ndarray, axis: int = -1) -> np.ndarray:
    """The mean of the means of several parts along an axis, without what is NaN."""
    mean: np.ndarray = np.mean([np.nanmean(part, axis=axis) for part in parts], axis=0)
    return mean


def number_format(score: str) -> str:
    """How tables show the numbers of a score: a format specification."""
    return ".2f" if score.endswith("_ml") else ".3f"
