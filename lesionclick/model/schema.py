"""Schema of plans.json and dataset.json: every number that decides a prediction has a type and bounds.

What nnU-Net writes and reads is within them. All readers raise ValueError, with the entry's name, what it holds and
what was expected, or KeyError where it is missing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lesionclick.case.image_header import MAX_SPACING, MIN_SPACING
from lesionclick.model.bounds import AXES, is_whole, listed, mapping, real_number, short, whole_number

MAX_ORDER = 5  # of splines


def read_spacing(configuration: Mapping[str, Any]) -> tuple[float, ...]:
    """Spacing of the network's grid, mm, in the order of its axes."""
    spacing = listed(configuration["spacing"], "spacing", most=AXES)
    if len(spacing) != AXES:
        raise ValueError(f"spacing is {spacing}, expected three positive numbers")
    return tuple(real_number(value, "spacing", MIN_SPACING, MAX_SPACING) for value in spacing)


def read_order_of_axes(value: Any, name: str) -> tuple[int, ...]:
    """An order of the three axes."""
    order = tuple(whole_number(axis, name, 0, AXES - 1) for axis in listed(value, name, most=AXES))
    if sorted(order) != [0, 1, 2]:
        raise ValueError(f"{name} is {list(order)}, expected an order of 0, 1, 2")
    return order


def read_mirror_axes(value: Any) -> tuple[int, ...]:
    """Spatial axes along which a network may be mirrored, each once; none for None."""
    given = listed(value, "the list of axes to mirror along", most=100) if value is not None else []
    axes = tuple(int(axis) if is_whole(axis) else -1 for axis in given)
    if len(set(axes)) < len(axes) or not set(axes) <= set(range(AXES)):
        shown = f"({', '.join(map(short, given[:6]))}{', ...' if len(given) > 6 else ''})"
        raise ValueError(f"mirrors along the axes {shown}, expected some of 0, 1, 2, each once")
    return axes


def read_intensities(value: Any, channel: int) -> dict[str, float]:
    """Mean, standard deviation and percentiles of a channel, by which it is normalized."""
    name = f"foreground_intensity_properties_per_channel.{channel}"
    entries = mapping(value, name)
    keys = ("mean", "std", "percentile_00_5", "percentile_99_5")
    found = {key: real_number(entries[key], f"{name}.{key}", -1e6, 1e6) for key in keys}
    if found["std"] < 1e-6:
        raise ValueError(f"{name}.std is {found['std']:g}, expected a positive number")
    if found["percentile_00_5"] >= found["percentile_99_5"]:
        raise ValueError(
            f"{name}.percentile_00_5 is {found['percentile_00_5']:g}, expected less than percentile_99_5,"
            f" {found['percentile_99_5']:g}"
        )
    return found


def read_resampling(value: Any, name: str) -> dict[str, Any]:
    """Keyword arguments of nnU-Net's default resampling of images or logits."""
    options = dict(mapping(value, name))
    for key, each in options.items():
        match key:
            case "is_seg" | "force_separate_z":
                if not isinstance(each, bool) and not (key == "force_separate_z" and each is None):
                    raise ValueError(f"{name}.{key} is {short(each)}, expected true or false")
            case "order" | "order_z":
                whole_number(each, f"{name}.{key}", 0, MAX_ORDER)
            case "separate_z_anisotropy_threshold":
                real_number(each, f"{name}.{key}", 1, 1e6)
            case _:
                raise ValueError(f"{name} has the entry {short(key)}, which nnU-Net's resampling has not")
    if options.get("is_seg"):
        raise ValueError(f"{name}.is_seg is true, expected false for what is no segmentation")
    return options


@dataclass(frozen=True)
class DatasetPlan:
    """What a dataset.json says of a model.

    Attributes:
        channels: names of the channels, those of clicks too where they are listed.
        description: what the model is, in one line; may be empty.
    """

    channels: tuple[str, ...]
    description: str

    @classmethod
    def read(cls, dataset: Mapping[str, Any], channels: int) -> "DatasetPlan":
        """Reads a dataset.json.

        Args:
            dataset: its content.
            channels: that the networks read.
        """
        names, labels = dataset.get("channel_names"), dataset.get("labels")
        # the click channels come on top of CT and PET, or are listed too, as by stock nnU-Net
        counts = (2, channels)
        found = [names.get(str(index)) for index in range(len(names))] if isinstance(names, dict) else []
        titles = [name for name in found if isinstance(name, str)]
        if (
            len(titles) not in counts
            or len(titles) < len(found)
            or titles[0].strip().upper() != "CT"
            # nnU-Net normalizes by the name, so that the PET may be called CT
            or not re.search(r"PET|SUV|^PT$|^CT$", titles[1].strip().upper())
        ):
            clicks = ", and nothing or the clicks as 2 and 3" if channels == 4 else ""
            raise ValueError(f"channel_names is {short(names)}, expected CT as 0 and PET as 1{clicks}")
        numbers = list(labels.values()) if isinstance(labels, dict) else []
        right = len(numbers) == 2 and all(type(each) is int or each in ("0", "1") for each in numbers)
        if not right or sorted(map(int, numbers)) != [0, 1] or str(labels.get("background")) != "0":  # type: ignore[union-attr]
            raise ValueError(f"labels is {short(labels)}, expected background as 0 and one lesion label as 1")
        text = "".join(letter if letter.isprintable() else " " for letter in str(dataset.get("description", ""))[:1000])
        return cls(tuple(titles), " ".join(text.split()))
