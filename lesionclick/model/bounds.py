"""Bounds of values that a model folder holds: whole numbers, numbers and lists of them, of the right type.

All functions raise ValueError with the value's name, what it is and what was expected.
"""

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

AXES = 3

MAX_STAGES = 10
"""Of a network."""


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number, of Python or numpy, which True and False are not taken for."""
    return type(value) is not bool and isinstance(value, Integral)


def whole_number(value: Any, name: str, low: int, high: int) -> int:
    """A whole number within bounds."""
    if not is_whole(value) or not low <= value <= high:
        raise ValueError(f"{name} is {short(value)}, expected whole numbers from {low} to {high}")
    return int(value)


def real_number(value: Any, name: str, low: float, high: float) -> float:
    """A finite number within bounds."""
    if type(value) is bool or not isinstance(value, Real) or not low <= float(value) <= high:  # nor is NaN
        raise ValueError(f"{name} is {short(value)}, expected numbers from {low:g} to {high:g}")
    return float(value)


def mapping(value: Any, name: str) -> Mapping[str, Any]:
    """Entries with names; ValueError for anything else."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} is {short(value)}, expected entries with names")
    return value


def listed(value: Any, name: str, most: int) -> list[Any]:
    """A list of at most so many values."""
    if not isinstance(value, list | tuple) or len(value) > most:
        raise ValueError(f"{name} is {short(value)}, expected a list of at most {most}")
    return list(value)


def per_stage(value: Any, name: str, stages: int, low: int, high: int) -> tuple[int, ...]:
    """A whole number for each stage; one stands for all of them."""
    return tuple(whole_number(each, name, low, high) for each in _each_stage(value, name, stages))


def per_stage_and_axis(value: Any, name: str, stages: int, high: int) -> tuple[tuple[int, ...], ...]:
    """Three whole numbers from 1 for each stage; one stands for all axes or all of it."""
    return tuple(per_stage(each, name, AXES, 1, high) for each in _each_stage(value, name, stages))


def _each_stage(value: Any, name: str, stages: int) -> list[Any]:
    each_stage = [value] * stages if isinstance(value, Integral) else listed(value, name, most=MAX_STAGES)
    if len(each_stage) != stages:
        raise ValueError(f"{name} is {short(value)}, expected one for each of {stages} stages")
    return each_stage


def short(value: Any) -> str:
    """A value in a sentence, cut where it is long."""
    text = repr(value if not isinstance(value, list | tuple | dict) or len(value) < 50 else type(value).__name__)
    return text if len(text) <= 80 else f"{text[:77]}..."
