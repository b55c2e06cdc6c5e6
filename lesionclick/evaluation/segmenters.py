"""Segmenters: what is evaluated, an ensemble or a baseline, opened with a case and asked for masks."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from lesionclick.case.case import Case
from lesionclick.case.clicks import Click
from lesionclick.evaluation import baselines
from lesionclick.evaluation.baseline_names import Baseline
from lesionclick.inference.ensemble import Ensemble
from lesionclick.inference.settings import DEFAULT_SETTINGS, InferenceSettings
from lesionclick.model.check import fingerprint
from lesionclick.session.session import Session

OpenCase = Callable[[tuple[Click, ...]], np.ndarray]
"""Gives the mask of an open case for all clicks so far: uint8, 0 and 1, on the case's grid."""


class Segmenter(Protocol):
    """Something that segments a case by its images and clicks."""

    @property
    def takes_clicks(self) -> bool:
        """Whether clicks change the mask; where they do not, none are given."""

    def open(self, case: Case) -> OpenCase:
        """Opens a case, to be asked for its mask with more and more clicks."""

    def describe(self) -> dict[str, Any]:
        """All of it that decides the masks, as it comes back from JSON; "model" is its name."""


@dataclass(frozen=True)
class NetworkSegmenter:
    """The networks of an ensemble.

    Attributes:
        ensemble: the networks.
        settings: how they look at a case.
    """

    ensemble: Ensemble
    settings: InferenceSettings = DEFAULT_SETTINGS

    @classmethod
    def load(
        cls, model: Path, device: str, backend: str, precision: str, settings: InferenceSettings
    ) -> "NetworkSegmenter":
        """The networks of a model folder; raises ModelError or DeviceError, see `Ensemble.load`."""
        return cls(Ensemble.load(model, device, backend=backend, precision=precision), settings)

    @property
    def takes_clicks(self) -> bool:
        """Whether the networks see click channels."""
        return self.ensemble.takes_clicks

    def open(self, case: Case) -> OpenCase:
        """Opens a session; its masks raise ModelError or DeviceError, see `Session.predict`."""
        session = Session(self.ensemble, case, self.settings)
        return lambda clicks: session.predict(clicks).mask

    def describe(self) -> dict[str, Any]:
        """The model, the engine and the settings."""
        model, engine = self.ensemble.model, self.ensemble.engine
        return {
            "model": model.path.resolve().name,
            "model_sha256": fingerprint(model),
            "engine": f"{engine.device.type}, {engine.backend}, {engine.precision}",
            **dataclasses.asdict(self.settings),
        }


@dataclass(frozen=True)
class BaselineSegmenter:
    """A threshold of the PET.

    Attributes:
        baseline: which.
    """

    baseline: Baseline

    @property
    def takes_clicks(self) -> bool:
        """Whether the threshold goes by clicks."""
        return self.baseline.takes_clicks

    def open(self, case: Case) -> OpenCase:
        """Masks of `baselines.segment`."""
        return lambda clicks: baselines.segment(self.baseline, case, clicks)

    def describe(self) -> dict[str, Any]:
        """The baseline's name, and the numbers behind all of them."""
        return {
            "model": self.baseline.value,
            "fixed_suv": baselines.FIXED_SUV,
            "share_of_maximum": baselines.SHARE_OF_MAXIMUM,
            "peak_distance_mm": baselines.PEAK_DISTANCE_MM,
        }
