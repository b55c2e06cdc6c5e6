"""Levers: what makes our side faster than stock nnU-Net, one at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Lever:
    """A run of ours in which one thing differs from stock nnU-Net's way.

    Attributes:
        name: what is measured.
        weights: in which form networks are read.
        options: of process.py.
    """

    name: str
    weights: Literal["checkpoints", "packed"]
    options: Mapping[str, str]


def list_levers(
    published: Mapping[str, str], chosen: Mapping[str, str], precision: str, device: str
) -> tuple[Lever, ...]:
    """The levers that can be measured here.

    Args:
        published: options with which ours makes the passes that stock nnU-Net makes.
        chosen: options of the comparison, which all levers together have.
        precision: the one that ours chooses here.
        device: "cpu" or "cuda".
    """
    plain = {"--backend": "torch", "--precision": "float32", **published}
    changes: dict[str, dict[str, str]] = {"and the body alone": {"--field-of-view": "body"}}
    if published["--mirroring"] != "none":
        changes["and adaptive mirroring"] = {"--mirroring": "adaptive"}
    changes["and adaptive networks"] = {"--networks": "adaptive"}
    if precision != "float32":
        changes[f"and {precision} in torch"] = {"--precision": precision}
    if device == "cpu":
        changes["and openvino, float32"] = {"--backend": "openvino"}
        if precision != "float32":
            changes[f"and openvino, {precision}"] = {"--backend": "openvino", "--precision": precision}
    return (
        Lever("our code around it: loading, export", "checkpoints", plain),
        Lever("and packed weights", "packed", plain),
        *(Lever(name, "checkpoints", {**plain, **change}) for name, change in changes.items()),
        Lever("all together", "packed", chosen),
    )
