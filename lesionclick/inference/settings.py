"""Settings of inference: where networks look, how many of them, and mirrored how often. Loads no torch."""

from dataclasses import dataclass
from enum import StrEnum


class FieldOfView(StrEnum):
    """Where networks look: at the body and round every click, or everywhere."""

    body = "body"
    full = "full"


class Mirroring(StrEnum):
    """Which tiles each network also sees mirrored: none, those in which it may have found something, or all."""

    none = "none"
    adaptive = "adaptive"
    all = "all"


class Networks(StrEnum):
    """Which tiles all networks see: those in which the first few may have found something, or all."""

    adaptive = "adaptive"
    all = "all"


@dataclass(frozen=True)
class InferenceSettings:
    """What decides, beside model, engine and input, what a prediction gives.

    Attributes:
        field_of_view: where networks look.
        mirroring: which tiles are also predicted mirrored, along each combination of a network's allowed axes.
        networks: which tiles all networks see.
    """

    field_of_view: FieldOfView = FieldOfView.body
    mirroring: Mirroring = Mirroring.none
    networks: Networks = Networks.adaptive


DEFAULT_SETTINGS = InferenceSettings()
