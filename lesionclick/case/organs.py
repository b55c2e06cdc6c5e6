"""Organs that networks know beside lesions: their names and their numbers in a mask of organs."""

ORGANS = (
    "spleen",
    "kidneys",
    "liver",
    "urinary bladder",
    "lungs",
    "brain",
    "heart",
    "stomach",
    "prostate",
    "glands",  # parotid and submandibular
)
"""Names of the organs 1 to 10 (arXiv 2508.21680); in a mask of organs 0 is everything else."""

ORGAN_CLASSES = len(ORGANS) + 1


def organ_number(organ: str) -> int:
    """The number of an organ of `ORGANS`, 1 to 10."""
    return ORGANS.index(organ) + 1
