"""Choices of how a simulated reader interacts; options of the command line, so this module loads no library."""

from enum import StrEnum


class Interaction(StrEnum):
    """Where clicks come from: known beforehand (official, replay), or each from the error of the last prediction."""

    official = "official"
    corrective_clicks = "corrective-clicks"
    autopetv = "autopetv"
    replay = "replay"


class Scribble(StrEnum):
    """Lines that autoPET V draws in an axial slice of an error, see `scribbles.draw_scribble`."""

    centerline = "centerline"
    random_line = "random-line"
    boundary = "boundary"
