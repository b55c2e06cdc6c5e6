"""Choices of augmentation by name; no torch, so that a command's help can list them."""

from enum import StrEnum


class ClickCounts(StrEnum):
    """How many clicks of a label a patch gets: few more often than many (arXiv 2508.21680), or all numbers alike."""

    published = "published"
    uniform = "uniform"


class Augmentation(StrEnum):
    """What is done to images: nnU-Net's and misalignment (arXiv 2508.21680), or stronger changes of PET and CT too."""

    published = "published"
    strong = "strong"
