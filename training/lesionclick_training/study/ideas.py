"""Ideas beyond the paper, each a change of one thing, by name; no torch, so that a command's help can list them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lesionclick.errors import LesionClickError
from lesionclick_training.augmentation.choices import Augmentation, ClickCounts
from lesionclick_training.nnunet.network_sizes import NetworkSize
from lesionclick_training.nnunet.variants import Variant

BASE = "base"
"""The row that each idea is compared with."""

BASE_VARIANT = Variant.EDT2


@dataclass(frozen=True)
class Idea:
    """An idea: what is other than in the base.

    Attributes:
        name: a word for commands and folders.
        change: what is changed, in words.
        training: fields of `TrainingSettings`.
        network: fields of `row_study.Row`: variant or size.
        low_uptake: whether the dataset is the one that is preprocessed with contrast at low uptake.
        post_processing: fields of `PostProcessing`.
    """

    name: str
    change: str
    training: Mapping[str, Any] = field(default_factory=dict)
    network: Mapping[str, Any] = field(default_factory=dict)
    low_uptake: bool = False
    post_processing: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_trained(self) -> bool:
        """Whether it takes networks of its own, rather than another look at those of the base."""
        return bool(self.training or self.network or self.low_uptake)


IDEAS = (
    Idea("offset-0", "clicks in training stay where the scheme puts them", {"click_offset": 0}),
    Idea("offset-1", "clicks in training are moved by at most 1 voxel an axis", {"click_offset": 1}),
    Idea("uniform-counts", "0 to 10 clicks in training, each number alike", {"click_counts": ClickCounts.uniform}),
    Idea("click-dropout", "a tenth of the patches shows no click", {"click_dropout": 0.1}),
    Idea("strong-augmentation", "strong changes of uptake, blur and noise", {"augmentation": Augmentation.strong}),
    Idea("balanced-components", "patches lie around small lesions as often as large", {"balance_components": True}),
    Idea("hot-background", "half of the patches around lesions lie at high uptake instead", {"hot_background": 0.5}),
    Idea("lesion-free-loss", "a penalty of what is made up in lesion-free patches", {"lesion_free_loss": 1.0}),
    Idea("corrective-clicks", "clicks on the network's errors in 30 % of the patches", {"corrective_clicks": 0.3}),
    Idea("contour-variation", "contours of another reader in 60 % of the patches", {"contour_variation": 0.6}),
    Idea("scribbles", "lines in place of clicks in 20 % of the patches", {"scribbles": 0.2}),
    Idea("edt-3", "balls of radius 3", network={"variant": Variant.EDT3}),
    Idea("uptake-12", "clicks show uptake up to 12 voxels around", network={"variant": Variant.Uptake12}),
    Idea("custom-points", "a fifth of the clicks by the custom scheme", network={"variant": Variant.EDT2_Custom}),
    Idea("fine", "a grid of 4 mm", network={"size": NetworkSize.fine}),
    Idea("low-uptake", "PET normalized by fixed numbers that keep contrast at low uptake", low_uptake=True),
    Idea("gate-1", "masks below 1 ml are empty without tumor clicks", post_processing={"lesion_free_gate_ml": 1.0}),
    Idea("gate-5", "masks below 5 ml are empty without tumor clicks", post_processing={"lesion_free_gate_ml": 5.0}),
    Idea("floor", "no components of a mean probability below 0.6", post_processing={"component_floor": 0.6}),
    Idea("obey-clicks", "clicks are obeyed in the mask", post_processing={"obey_clicks": True}),
)

IDEA_NAMES = tuple(idea.name for idea in IDEAS)

NEED_OTHER_DATA = ("fine", "low-uptake")
"""Ideas whose data are preprocessed for them alone, so that they are tried only where they are asked for."""

AND = "+"
"""Stands between the names of ideas that are tried together."""


def find_ideas(row: str) -> list[Idea]:
    """The ideas that the row of a name tries, in the order of `IDEAS`: none for the base, several for "a+b".

    Raises:
        LesionClickError: there is no such idea, or two ideas change the same thing.
    """
    names = [] if row == BASE else row.split(AND)
    for name in names:
        if name not in IDEA_NAMES:
            raise LesionClickError(f"{name!r} is no idea, expected one of {', '.join(IDEA_NAMES)}")
    ideas = [idea for idea in IDEAS if idea.name in names]
    changed: dict[str, str] = {}
    for idea in ideas:
        for thing in (*idea.training, *idea.network, *idea.post_processing):
            if thing in changed:
                raise LesionClickError(f"{changed[thing]} and {idea.name} both change {thing}, expected one of them")
            changed[thing] = idea.name
    return ideas


def row_name(ideas: Sequence[Idea]) -> str:
    """The name of the row that tries some ideas together."""
    return AND.join(idea.name for idea in ideas) or BASE
