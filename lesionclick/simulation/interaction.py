"""Choices of how a simulated reader interacts; options of the command line, so this module loads no library."""

from enum import StrEnum


class Interaction(StrEnum):
    """Where clicks come from: all known beforehand (official), or each from the error of the last prediction."""

    official = "official"
    corrective_clicks = "corrective-clicks"
    scribbles = "scribbles"


class Scribble(StrEnum):
    """Lines inside an error: from end to end through its middle, round its largest slice, or a random walk."""

    centerline = "centerline"
    border = "border"
    random_walk = "random-walk"
