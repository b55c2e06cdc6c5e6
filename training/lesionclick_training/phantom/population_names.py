"""Names of the populations of phantoms, for options of the command line."""

from enum import StrEnum


class PopulationName(StrEnum):
    """Names of the populations in `populations`."""

    REALISTIC = "realistic"
    REALISTIC_MORE = "realistic-more"
    BASE = "base"
    MORE = "more"
