"""Sizes: random networks to measure with, as arguments of `lesionclick.testing.make_plans`."""

from typing import Any

from lesionclick.testing import FULL_SIZE, SMALL

SIZES: dict[str, dict[str, Any]] = {"full": FULL_SIZE, "small": SMALL}
"""By the names that `--size` takes: as published, 102.4 M parameters, and one for a quick look."""

MID_SIZE: dict[str, Any] = {  # 28.1 M parameters
    "patch": (96, 96, 96),
    "features": (32, 64, 128, 256, 320),
    "blocks": (1, 2, 2, 3, 2),
    "spacing": (5.0, 5.0, 5.0),
}
