"""Names of the baselines, for options of the command line."""

from enum import StrEnum


class Baseline(StrEnum):
    """Ways to segment without a network, see `baselines.segment`."""

    suv_everywhere = "suv-2.5"
    suv_at_clicks = "suv-2.5-at-clicks"
    share_at_clicks = "suvmax-41-at-clicks"

    @property
    def takes_clicks(self) -> bool:
        """Whether clicks change the mask."""
        return self != Baseline.suv_everywhere
