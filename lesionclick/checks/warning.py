"""Warning about a case that looks implausible: a name for programs, a sentence for people, and its figures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class CaseWarning:
    """Something that is rarely so in a PET/CT of a patient; what was asked for is done all the same.

    Attributes:
        name: of the check, in a form that stays, such as "pet-units".
        sentence: what was found, with the figure that raised it, and what is expected.
        figures: the numbers behind it by name.
    """

    name: str
    sentence: str
    figures: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The warning as a JSON object; figures rounded to four digits, which is more than they are worth."""
        figures = {name: float(f"{value:.4g}") for name, value in self.figures.items()}
        return {"name": self.name, "sentence": self.sentence, "figures": figures}
