"""Settings of inference: where networks look, how many of them, mirrored how often, and what masks are made of that.

Loads no torch.
"""

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
class PostProcessing:
    """What is done to a mask after the networks, see `session.postprocessing`; nothing by default, as published.

    Attributes:
        lesion_free_gate_ml: the mask is empty where its volume is below this and no tumor click is given; 0 for no
            gate.
        component_floor: components (18 neighbors) whose mean probability is below this are removed, unless a tumor
            click lies in them; up to 0.5 no component is.
        obey_clicks: whether a missed tumor click is marked with the region that its probability supports, and what a
            background click lies in is removed.
    """

    lesion_free_gate_ml: float = 0.0
    component_floor: float = 0.0
    obey_clicks: bool = False


@dataclass(frozen=True)
class InferenceSettings:
    """What decides, beside model, engine and input, what a prediction gives.

    Attributes:
        field_of_view: where networks look.
        mirroring: which tiles are also predicted mirrored, along each combination of a network's allowed axes.
        networks: which tiles all networks see.
        post_processing: what is done to the mask.
    """

    field_of_view: FieldOfView = FieldOfView.body
    mirroring: Mirroring = Mirroring.none
    networks: Networks = Networks.adaptive
    post_processing: PostProcessing = PostProcessing()


DEFAULT_SETTINGS = InferenceSettings()
