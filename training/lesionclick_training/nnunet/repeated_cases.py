"""Repeated cases: some cases of a dataset are drawn more often in training, such as a few real ones among phantoms."""

import re
from typing import Any

from lesionclick.errors import CaseError


class RepeatedCases:
    """A dataset of nnU-Net's in which cases whose names begin alike count several times; all others count once.

    Attributes:
        identifiers: names of the cases, each as often as it counts; nnU-Net's loader draws among them uniformly.
    """

    def __init__(self, dataset: Any, prefix: str, times: int) -> None:
        """Wraps a dataset as nnU-Net's trainer makes it.

        Raises:
            CaseError: no case's name begins with `prefix`.
        """
        self.dataset = dataset
        self.identifiers = [
            name for name in dataset.identifiers for _ in range(times if name.startswith(prefix) else 1)
        ]
        if not any(name.startswith(prefix) for name in self.identifiers):
            raise CaseError(f"no case to train on has a name that begins with {prefix!r}, as those to repeat do")

    def load_case(self, name: str) -> Any:
        """A case as the wrapped dataset gives it."""
        return self.dataset.load_case(name)


def parse_repetition(text: str) -> tuple[str, int]:
    """The beginning of names and how often these cases count, from a text such as "sts=4".

    Raises:
        ValueError: it is another text, or the number is 0.
    """
    found = re.fullmatch(r"([^=]+)=([1-9][0-9]{0,3})", text)
    if found is None:
        raise ValueError(text)
    return found[1], int(found[2])
