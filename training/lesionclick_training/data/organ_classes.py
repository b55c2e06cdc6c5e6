"""Classes of TotalSegmentator that our organs are made of, and their numbers in its tasks and versions."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Task:
    """A task of TotalSegmentator, as far as our organs need it.

    Attributes:
        name: as TotalSegmentator calls it, with the version where that matters.
        class_count: how many classes its multilabel files number, from 1.
        indices: class name -> its number there, of the classes that are part of an organ of ours.
    """

    name: str
    class_count: int
    indices: Mapping[str, int]


TOTAL_V1 = Task(
    "total (version 1)",
    104,
    {
        "spleen": 1,
        "kidney_right": 2,
        "kidney_left": 3,
        "liver": 5,
        "stomach": 6,
        "lung_upper_lobe_left": 13,
        "lung_lower_lobe_left": 14,
        "lung_upper_lobe_right": 15,
        "lung_middle_lobe_right": 16,
        "lung_lower_lobe_right": 17,
        "heart_myocardium": 44,
        "heart_atrium_left": 45,
        "heart_ventricle_left": 46,
        "heart_atrium_right": 47,
        "heart_ventricle_right": 48,
        "brain": 50,
        "urinary_bladder": 104,
    },
)
"""Numbers of TotalSegmentator v1's class map (`totalsegmentator.map_to_binary`, 1.0 to 1.5); it has no prostate."""

TOTAL_V2 = Task(
    "total (version 2)",
    117,
    {
        "spleen": 1,
        "kidney_right": 2,
        "kidney_left": 3,
        "liver": 5,
        "stomach": 6,
        "lung_upper_lobe_left": 10,
        "lung_lower_lobe_left": 11,
        "lung_upper_lobe_right": 12,
        "lung_middle_lobe_right": 13,
        "lung_lower_lobe_right": 14,
        "urinary_bladder": 21,
        "prostate": 22,
        "heart": 51,
        "brain": 90,
    },
)
"""Numbers of TotalSegmentator v2's class map (`totalsegmentator.map_to_binary`, 2.0 to 2.18)."""

TOTALS: Mapping[int, Task] = {1: TOTAL_V1, 2: TOTAL_V2}
"""The task "total" by TotalSegmentator's version."""

HEAD_GLANDS = Task(
    "head_glands_cavities",
    19,
    {
        "parotid_gland_left": 7,
        "parotid_gland_right": 8,
        "submandibular_gland_right": 9,
        "submandibular_gland_left": 10,
    },
)
"""Numbers of version 2's class map; the two sides are in this order there."""

CLASSES: Mapping[str, tuple[str, ...]] = {
    "spleen": ("spleen",),
    "kidneys": ("kidney_right", "kidney_left"),
    "liver": ("liver",),
    "urinary bladder": ("urinary_bladder",),
    "lungs": (
        "lung_upper_lobe_left",
        "lung_lower_lobe_left",
        "lung_upper_lobe_right",
        "lung_middle_lobe_right",
        "lung_lower_lobe_right",
    ),
    "brain": ("brain",),
    "heart": (
        "heart",
        "heart_myocardium",
        "heart_atrium_left",
        "heart_ventricle_left",
        "heart_atrium_right",
        "heart_ventricle_right",
    ),
    "stomach": ("stomach",),
    "prostate": ("prostate",),
    "glands": (
        "parotid_gland_left",
        "parotid_gland_right",
        "submandibular_gland_right",
        "submandibular_gland_left",
    ),
}
"""Our organs (arXiv 2508.21680) and the TotalSegmentator classes that make them up; cysts are no part of a kidney."""

PRECEDENCE = (
    "glands",
    "prostate",
    "urinary bladder",
    "kidneys",
    "spleen",
    "stomach",
    "heart",
    "liver",
    "brain",
    "lungs",
)
"""Where classes overlap the organ that stands first here has the voxel: roughly the smaller, which has more to lose."""


def organs_of(task: Task) -> set[str]:
    """The organs of ours that a task has classes for."""
    return {organ for organ, classes in CLASSES.items() if task.indices.keys() & set(classes)}
